"""Files of results: written whole or not at all, and refused before the work if they cannot be."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import MarsTree
from full_disk import largest_file
from tiny_run import write_run

from stgcn_pyg.cli import main
from stgcn_pyg.data import load_dataset, write_manifest
from stgcn_pyg.errors import UserError
from stgcn_pyg.files import new_folder
from stgcn_pyg.models import STGCN

pytestmark = pytest.mark.usefixtures("narrow_backbone")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    return write_run(folder / "run", MarsTree(folder / "mars").write())


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    path = tmp_path_factory.mktemp("arrays") / "features.npz"
    rng = np.random.default_rng(0)
    np.savez(
        path,
        query_features=rng.normal(size=(40, 4)),
        gallery_features=rng.normal(size=(80, 4)),
        query_pids=np.arange(40),
        gallery_pids=np.arange(80) % 40,
        query_camids=np.ones(40, int),
        gallery_camids=np.full(80, 2),
    )
    return path


def refused(arguments, capsys):
    """The line by which a command refuses."""
    assert main([str(argument) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


@pytest.mark.parametrize("option", ["--json", "--per-query"])
def test_a_full_disk_leaves_the_file_that_was_there(arrays, option, tmp_path, capsys):
    path = tmp_path / "scores"
    path.write_text("of last week")
    with largest_file(500):
        line = refused(["evaluate", arrays, option, path], capsys)
    assert f"{path}: cannot be written (File too large)" in line
    assert path.read_text() == "of last week"
    assert os.listdir(tmp_path) == ["scores"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_full_disk_leaves_the_manifest_that_was_there(mars_tree, tmp_path, suffix):
    dataset, path = load_dataset("mars", mars_tree.write()), tmp_path / f"frames{suffix}"
    path.write_text("of last week")
    with largest_file(500), pytest.raises(UserError, match=r"cannot be written \(File too large"):
        write_manifest(dataset, path)
    assert path.read_text() == "of last week"
    assert sorted(os.listdir(tmp_path)) == [path.name, "mars"]


def test_killed_in_the_middle_a_manifest_is_whole_or_as_it_was(mars_tree, tmp_path):
    dataset, path = load_dataset("mars", mars_tree.write()), tmp_path / "frames.csv"
    path.write_text("of last week")
    process = os.fork()
    if process == 0:
        os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
        write_manifest(dataset, path)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status)
    assert path.read_text() == "of last week"
    write_manifest(dataset, path)
    assert len(pd.read_csv(path)) == len(dataset.frames) + 12  # the queries' frames stand twice


def test_a_full_disk_leaves_no_half_of_an_explanation(run, tmp_path, capsys):
    path = tmp_path / "explained"
    with largest_file(2000):
        assert main(["explain", str(run), str(path), "--num-workers=0", "--parts=maps"]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"{path.name}" in last
    assert "cannot be written (File too large)" in last
    assert os.listdir(tmp_path) == []


def test_the_numbers_of_an_explanation_that_do_not_fit_are_told(run, tmp_path, capsys):
    path = tmp_path / "explained"
    with largest_file(40):
        assert main(["explain", str(run), str(path), "--num-workers=0", "--parts=summary"]) == 2
    assert "cannot be written (File too large)" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


UNWRITABLE = {
    "a folder": lambda folder: folder,
    "below a file": lambda folder: folder / "file" / "scores",
    "too long a name": lambda folder: folder / ("s" * 253),
}


@pytest.mark.parametrize("kind", UNWRITABLE)
@pytest.mark.parametrize("option", ["--json", "--per-query"])
def test_what_cannot_be_written_is_refused_before_anything_is_embedded(
    run, option, kind, tmp_path, capsys, monkeypatch
):
    (tmp_path / "file").write_text("precious")
    monkeypatch.setattr(STGCN, "from_feature_maps", None)
    path = UNWRITABLE[kind](tmp_path)
    line = refused(["evaluate", run, "--num-workers=0", option, path], capsys)
    assert f"{option[:5]}" in line
    assert str(path) in line
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize("option", ["--json", "--write-manifest"])
def test_check_refuses_such_a_file_before_it_reads_a_picture(run, option, tmp_path, capsys):
    (tmp_path / "file").write_text("precious")
    path = tmp_path / "file" / "found.csv"
    line = refused(["check", "mars", run.parent / "mars", option, path], capsys)
    assert f"{option} {path}: cannot be written" in line


def test_train_refuses_such_a_file_before_it_makes_a_run(run, tmp_path, capsys):
    (tmp_path / "file").write_text("precious")
    path, output = tmp_path / "file" / "scores.json", tmp_path / "run"
    command = ["train", "mars", run.parent / "mars", "--output", output, "--json", path]
    assert f"--json {path}: cannot be written" in refused(command, capsys)
    assert not output.exists()


def test_two_results_in_one_file_are_refused(run, tmp_path, capsys):
    path = tmp_path / "scores"
    line = refused(["evaluate", run, "--json", path, "--per-query", path], capsys)
    assert "--json and --per-query" in line
    assert not path.exists()


def test_the_source_is_not_replaced_by_its_scores(arrays, capsys):
    before = arrays.read_bytes()
    assert "same file" in refused(["evaluate", arrays, "--json", arrays], capsys)
    assert arrays.read_bytes() == before


def test_a_report_that_cannot_be_written_is_refused_first(run, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("precious")
    monkeypatch.setattr(STGCN, "from_feature_maps", None)
    path = tmp_path / "file" / "report.html"
    line = refused(["report", run, "--num-workers=0", "--output", path], capsys)
    assert f"--output {path}: cannot be written" in line


def test_a_link_is_written_through_and_a_device_stays_one(arrays, tmp_path):
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    link.symlink_to(target)
    assert main(["evaluate", str(arrays), "--json", str(link)]) == 0
    assert link.is_symlink()
    assert "full-gallery" in target.read_text()
    code = "import sys; from stgcn_pyg.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "evaluate", arrays, "--per-query", "/dev/stderr"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.startswith("protocol,tracklet,pid,camid,")
    assert not Path("/dev/stderr.part").exists()


@pytest.mark.parametrize("kind", ["the current folder", "a link", "a link to nothing yet", "plain"])
def test_an_empty_folder_that_is_there_gets_the_files(tmp_path, monkeypatch, kind):
    real = tmp_path / "real"
    if kind != "a link to nothing yet":
        real.mkdir()
    monkeypatch.chdir(real if kind == "the current folder" else tmp_path)
    path = Path(".") if kind == "the current folder" else real
    if "link" in kind:
        path = tmp_path / "link"
        path.symlink_to(real)
    with new_folder(path) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "greeting").write_text("good day")
    assert (path / "inner" / "greeting").read_text() == "good day"
    assert os.listdir(real) == ["inner"] and path.is_symlink() == ("link" in kind)


def test_of_a_block_that_fails_an_empty_folder_keeps_nothing(tmp_path):
    with pytest.raises(UserError, match="no"), new_folder(tmp_path) as folder:
        (folder / "greeting").write_text("good day")
        raise UserError("no")
    assert os.listdir(tmp_path) == []
