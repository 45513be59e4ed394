"""The commands in several processes write what one does, and tell it once."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import MarsTree
from score_files import read_scores
from several_processes import run_together
from test_resume import announce, content, same, signal_at
from test_resume import command as long_command
from tiny_run import write_run

from stgcn_pyg import distributed
from stgcn_pyg.cli import main
from stgcn_pyg.models import STGCN

pytestmark = pytest.mark.usefixtures("one_thread", "narrow_backbone")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return MarsTree(tmp_path_factory.mktemp("scale") / "mars").write()


def command(root, output, *more):
    """Two epochs of two steps, so slow that rounding stays what it is, and one checkpoint."""
    # No loss of this seed is a small difference of large numbers, which rounding would show in.
    few = ["--epochs=2", "--checkpoint_every=9", "--training.learning_rate=1e-6", "--seed=6"]
    return long_command(root, output, *few, *more)


def run(*arguments):
    """Both processes' statuses of one command."""
    return run_together(lambda rank: main(list(map(str, arguments))))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def errors(capfd):
    """What was told on the standard error, bars aside."""
    lines = capfd.readouterr().err.splitlines()
    return [line for line in lines if line.startswith("stgcn ")]


def assert_logs_agree(output, other):
    logs = [pd.read_csv(folder / "log" / "metrics.csv") for folder in (output, other)]
    pd.testing.assert_frame_equal(*logs, rtol=1e-4)


def test_two_processes_tell_and_write_what_one_does_once(root, tmp_path, capfd):
    together, alone = tmp_path / "together", tmp_path / "alone"
    scored = ["--validation_share=0.4", "--validation_every=1"]
    assert run(*command(root, together, *scored)) == [0, 0]
    told = capfd.readouterr()
    assert main(command(root, alone, *scored)) == 0
    told_alone = capfd.readouterr()
    said = [re.sub(r"checkpoint \w{12}\b", "", out) for out in (told.out, told_alone.out)]
    assert said[0].replace(str(together), str(alone)) == said[1]  # it holds the folder's name
    assert told.err.count("training:") == told_alone.err.count("training:")
    assert_logs_agree(together, alone)
    assert {path.name for path in together.iterdir()} == {path.name for path in alone.iterdir()}
    assert len(list((together / "tensorboard").iterdir())) == 1


@pytest.mark.slow
def test_signals_save_once_and_two_processes_end_with_the_same_bits_or_one_does(
    root, tmp_path, capfd
):
    whole, output = tmp_path / "whole", tmp_path / "stopped"
    assert run(*command(root, whole)) == [0, 0]

    def stop(signalled, step):
        def work(rank):
            if rank in signalled:
                announce(signal_at(signal.SIGTERM, step))
            return main(command(root, output))

        capfd.readouterr()
        assert run_together(work) == [143, 143]
        (line,) = errors(capfd)
        return line.partition(" is saved in ")[0]

    until = "stgcn train: interrupted; all up to step 1 of epoch"
    assert stop(signalled=[0, 1], step=1) == f"{until} 1"
    assert stop(signalled=[1], step=2) == f"{until} 2"
    other = shutil.copytree(output, tmp_path / "other")
    assert run(*command(root, output)) == [0, 0]
    for name in ("state_dict", "optimizer", "log"):
        assert same(*(content(folder / "checkpoint.ckpt")[name] for folder in (output, whole)))
    assert read_scores(output / "metrics.json") == read_scores(whole / "metrics.json")
    log = Path("log") / "metrics.csv"
    assert (output / log).read_bytes() == (whole / log).read_bytes()
    settings = (other / "config.yaml").read_text().replace(str(output), str(other))
    (other / "config.yaml").write_text(settings)
    assert main(command(root, other)) == 0
    assert_logs_agree(other, whole)


@pytest.mark.filterwarnings("default:.*going on from checkpoint.previous.ckpt")
def test_a_damaged_checkpoint_is_put_aside_by_the_first_before_the_others_read(
    root, tmp_path, capfd
):
    output = tmp_path / "run"
    assert run(*command(root, output, "--checkpoint_every=1")) == [0, 0]
    path = output / "checkpoint.ckpt"
    whole = content(path)
    os.truncate(path, 100)
    read = Path.read_bytes

    def read_late(file):
        if file == path:
            time.sleep(0.2)  # the other one would be first
        return read(file)

    def work(rank):
        if rank == 0:
            Path.read_bytes = read_late
        return main(command(root, output, "--checkpoint_every=1"))

    capfd.readouterr()
    assert run_together(work) == [0, 0]
    assert capfd.readouterr().err.count("going on from checkpoint.previous.ckpt") == 1
    assert same(content(path)["state_dict"], whole["state_dict"])
    names = {file.name for file in output.glob("*.ckpt")}
    assert names == {"checkpoint.ckpt", "checkpoint.damaged.ckpt", "checkpoint.previous.ckpt"}


def test_people_that_cannot_be_shared_are_told_once_and_nothing_is_written(root, tmp_path, capfd):
    output = tmp_path / "output"
    assert run_together(lambda rank: main(command(root, output)), world_size=3) == [2, 2, 2]
    assert errors(capfd) == [
        "stgcn train: error: identities_per_batch=2 cannot be shared by 3 processes: pass a "
        "multiple of 3"
    ]
    assert not output.exists()


def test_a_mistake_in_the_arguments_is_told_once(tmp_path, capfd):
    arguments = ["train", "mars", str(tmp_path), "--epochs=none"]
    assert run(*arguments) == [2, 2]
    (line,) = errors(capfd)
    assert "epochs" in line


def test_a_process_that_waits_in_vain_for_the_others_says_so(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(distributed, "START_TIMEOUT", timedelta(seconds=1))
    late = ["evaluate", str(tmp_path)]
    assert run_together(lambda rank: main(late) if rank == 0 else 0) == [1, 0]
    (line,) = errors(capfd)
    assert line.startswith("stgcn evaluate: error: process 0 of 2: the others did not come within")


def test_a_loss_that_is_not_finite_in_one_is_told_once_with_all_tracklets(root, tmp_path, capfd):
    def work(rank):
        forward = STGCN.forward

        def overflowing(model, clips):
            output = forward(model, clips)
            return output._replace(logits=output.logits * (torch.inf if rank == 1 else 1))

        STGCN.forward = overflowing
        return main(command(root, tmp_path / "output"))

    assert run_together(work) == [1, 1]
    (line,) = errors(capfd)
    assert "step 1 (batch 1 of epoch 1): the loss is nan" in line
    assert len(re.search(r"its tracklets are ([\d, ]+);", line)[1].split(", ")) == 4


@pytest.fixture(scope="module")
def trained(root):
    return write_run(root.parent / "run", root)


def extract(trained, output, *more):
    options = ["--num-workers=0", "--clips-per-batch=3", "--shard-size=4"]
    return ["extract", str(trained), str(output), *options, *more]


def test_two_processes_extract_the_bytes_of_one(trained, tmp_path, capfd):
    together, alone = tmp_path / "together", tmp_path / "alone"
    assert run(*extract(trained, together)) == [0, 0]
    told = capfd.readouterr().out
    assert main(extract(trained, alone)) == 0
    assert contents(together) == contents(alone)
    assert told.replace(str(together), str(alone)) == capfd.readouterr().out
    (together / "00001.parquet").unlink()  # that shard alone is missing
    assert run(*extract(trained, together)) == [0, 0]
    assert f"{together}: 4 of 6 tracklets are there already" in capfd.readouterr().out
    assert contents(together) == contents(alone)


def test_two_processes_of_slurm_evaluate_as_one(trained, tmp_path, capfd):
    def evaluate(name):
        options = ["--num-workers=0", "--clips-per-batch=2", "--resamples=100"]
        return main(["evaluate", str(trained), *options, f"--json={tmp_path / name}"])

    assert run_together(lambda rank: evaluate("together"), slurm=True) == [0, 0]
    told = capfd.readouterr().out
    assert evaluate("alone") == 0
    assert told == capfd.readouterr().out
    assert (tmp_path / "together").read_bytes() == (tmp_path / "alone").read_bytes()
    assert json.loads((tmp_path / "together").read_text())


@contextmanager
def cut_short(root, *names):
    """The paths of pictures that are damaged meanwhile."""
    whole = {path: path.read_bytes() for name in names for path in root.rglob(name)}
    for path, pixels in whole.items():
        path.write_bytes(pixels[:300])
    yield list(whole)
    for path, pixels in whole.items():
        path.write_bytes(pixels)


def test_a_bad_picture_that_one_process_meets_stops_all_and_is_told_once(
    root, trained, tmp_path, capfd
):
    with cut_short(root, "0003C1T0001F002.jpg") as (bad,):
        statuses = run(*extract(trained, tmp_path / "output"))
    assert sorted(statuses) == [1, 2]
    (line,) = errors(capfd)
    assert line.startswith(f"stgcn extract: error: {bad}: truncated or no image")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_both_outside_of_training_is_told_once(
    trained, tmp_path, capfd, number, status
):
    def work(rank):
        signal.signal(signal.SIGINT, signal.default_int_handler)  # if the tests ignore it
        STGCN.from_feature_maps = lambda model, maps: signal.raise_signal(number)
        return main(extract(trained, tmp_path / "output"))

    assert run_together(work) == [status, status]
    assert errors(capfd) == ["stgcn extract: interrupted"]


def test_bad_pictures_that_are_passed_over_are_counted_over_all(root, trained, tmp_path, capfd):
    one_each = ["--on-bad-frame=skip", "--test-clips=first", "--clips-per-batch=1"]
    with cut_short(root, "0001C1T0001F001.jpg", "0003C1T0001F001.jpg"):
        assert run(*extract(trained, tmp_path / "output", *one_each)) == [0, 0]
    assert "skipped for another frame of their tracklet: 2\n" in capfd.readouterr().out


@pytest.mark.slow
def test_torchrun_ends_within_a_minute_when_a_process_dies(root, tmp_path):
    output = tmp_path / "output"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    arguments = command(root, output, "--epochs=100000", "--accelerator=cpu")
    process = subprocess.Popen(
        [*torchrun, "-m", "stgcn_pyg.cli", *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    try:
        while not (output / "log" / "metrics.csv").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        children = subprocess.run(
            ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
        )
        victim = next(
            pid
            for pid in map(int, children.stdout.split())
            if "RANK=1" in Path(f"/proc/{pid}/environ").read_text().split("\0")
        )
        os.kill(victim, signal.SIGKILL)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert f"Signal 9 (SIGKILL) received by PID {victim}" in told
    # torchrun's own SIGTERM may come before the other process has noticed.
    assert told.count("process 0 of 2 has lost another one") <= 1
