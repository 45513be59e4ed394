"""Two runs in one folder: the second is kept out, and a killed one leaves nothing behind."""

import os
import signal
import socket
import time

import pytest
import yaml
from several_processes import run_together
from test_resume import BEFORE_A_STEP, METRICS, begin, command, status_of
from test_training import build

from stgcn_pyg.cli import main
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs import run
from stgcn_pyg.runs.training import fit

pytestmark = pytest.mark.usefixtures("one_thread", "narrow_backbone")


@pytest.fixture
def root(mars_tree):
    return mars_tree.write()


@pytest.fixture
def running(root, tmp_path):
    """The folder of a run that stands in its first step, and its process; both end here."""
    output, signs = tmp_path / "run", tmp_path / "signs"
    signs.mkdir()

    def wait(moment):
        if moment == BEFORE_A_STEP:
            (signs / "begun").touch()
            time.sleep(300)

    process = begin(command(root, output, "--data.num_workers=1"), wait)
    for _ in range(600):
        if (signs / "begun").exists():
            break
        time.sleep(0.2)
    yield output, process
    if not os.path.exists(signs / "killed"):
        os.kill(process, signal.SIGKILL)
        status_of(process)


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_second_run_is_refused_and_told_who_is_there(root, running, capsys):
    output, process = running
    before = files(output)
    assert main(command(root, output, "--data.num_workers=1")) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith(f"stgcn train: error: {output}: another run is writing there ")
    assert f"(process {process} on {socket.gethostname()}, since 20" in line
    module, data = build(root)
    with pytest.raises(UserError, match=f"process {process} on"):
        fit(module, data, output, epochs=1, accelerator="cpu")
    assert files(output) == before


def test_a_killed_run_leaves_nothing_to_clean_up(root, running, tmp_path):
    output, process = running
    os.kill(process, signal.SIGKILL)
    assert status_of(process) == -signal.SIGKILL
    (tmp_path / "signs" / "killed").touch()
    # At once: the processes that read its pictures may still be there.
    assert main(command(root, output, "--data.num_workers=1", "--epochs=4")) == 0
    assert (output / METRICS).is_file()
    assert not (output / "run.lock").exists()


def test_a_second_run_of_two_processes_is_refused_once_and_both_end(root, running, capfd):
    output, process = running
    again = command(root, output, "--data.num_workers=1")
    assert run_together(lambda rank: main(again)) == [2, 2]
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("stgcn ")]
    (line,) = told
    assert f"another run is writing there (process {process} on" in line


def test_a_run_that_ends_while_a_second_one_prepares_is_not_written_over(
    root, tmp_path, monkeypatch, capsys
):
    output, load = tmp_path / "run", run.load
    options = ["--epochs=1", "--data.num_workers=0"]

    def load_after_another_run(options_of_the_second):
        monkeypatch.setattr(run, "load", load)
        assert main(command(root, output, *options)) == 0
        return load(options_of_the_second)

    monkeypatch.setattr(run, "load", load_after_another_run)
    assert main(command(root, output, *options, "--training.margin=0.5")) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "holds another run (training.margin is 0.3 there, 0.5 here)" in line
    assert yaml.safe_load((output / "config.yaml").read_text())["training"]["margin"] == 0.3
