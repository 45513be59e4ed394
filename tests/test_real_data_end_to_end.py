"""A data set as real ones are, through every command: overlapping tracklets, identities that one
camera alone shows, a query without a match, and a damaged picture among those to test on."""

import json
import shutil
from pathlib import Path

import pytest
from command_server import serving
from conftest import slow
from mars_excerpt import excerpt_of_mars

pytestmark = pytest.mark.timeout(180)

DAMAGED = "0001C1T0001F002.jpg"

SETTINGS = [
    "--epochs=1",
    "--model.backbone=resnet18",
    "--model.weights=null",
    "--model.num_frames=2",
    "--model.branches=[global,spatial]",
    "--model.spatial_channels=16",
    "--model.spatial_patches=2",
    "--model.temporal_patches=2",
    "--data.height=32",
    "--data.width=16",
    "--data.identities_per_batch=4",
    "--data.tracklets_per_identity=2",
    "--data.num_workers=2",
    "--accelerator=cpu",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder that holds the data set and all that is made of it."""
    folder = tmp_path_factory.mktemp("real")
    tree = excerpt_of_mars(folder / "mars")
    tree.write()
    damaged = tree.path(DAMAGED)
    damaged.write_bytes(damaged.read_bytes()[:-200])
    return folder


@pytest.fixture(scope="module")
def stgcn(folder):
    """Runs a command to its end: its exit status, its error or None, and all that it printed."""
    with serving("--narrow") as begin:

        def run(*arguments):
            job = begin([str(argument) for argument in arguments], folder / "log")
            status = job.status()  # fails if it does not end, or leaves a process
            printed = job.log.read_text()
            assert "Traceback" not in printed
            errors = [line for line in job.told() if ": error: " in line]
            assert len(errors) == (status == 2), printed
            return status, errors[0] if errors else None, printed

        yield run


@pytest.fixture(scope="module")
def run(folder, stgcn):
    """The training: it is kept, though the damaged picture stops the evaluation behind it."""
    output = folder / "run"
    status, error, _ = stgcn("train", "mars", folder / "mars", f"--output={output}", *SETTINGS)
    assert status == 2
    assert DAMAGED in error
    assert str(output / "checkpoint.ckpt") in error
    return output


def test_the_damaged_picture_is_the_only_fault(folder, stgcn):
    status, *_ = stgcn("check", "mars", folder / "mars", f"--json={folder / 'found.json'}")
    assert status == 1
    found = json.loads((folder / "found.json").read_text())
    (fault,) = found["faults"]
    assert (Path(fault["path"]).name, fault["kind"]) == (DAMAGED, "truncated or damaged")
    kinds = {note["kind"] for note in found["notes"]}
    assert {"shared images", "one camera", "query without a match"} <= kinds


@pytest.mark.parametrize("command", ["evaluate", slow("extract"), slow("explain")])
def test_a_command_stops_at_the_damaged_picture(folder, stgcn, run, command):
    output = [] if command == "evaluate" else [folder / f"{command}-stopped"]
    status, error, _ = stgcn(command, run, *output, "--accelerator=cpu")
    assert status == 2
    assert DAMAGED in error


@pytest.mark.parametrize("command", ["evaluate", slow("extract"), slow("explain")])
def test_a_command_goes_on_with_another_frame(folder, stgcn, run, command):
    output = [] if command == "evaluate" else [folder / f"{command}-skipping"]
    more = ["--on-bad-frame=skip", "--accelerator=cpu"]
    status, _, printed = stgcn(command, run, *output, *more)
    assert status == 0
    assert DAMAGED in printed


def test_the_training_goes_on_with_another_frame(folder, stgcn, run):
    weights = (run / "checkpoint.ckpt").read_bytes()
    command = ["train", "mars", folder / "mars", f"--output={run}", *SETTINGS]
    status, _, printed = stgcn(*command, "--on-bad-frame=skip")
    assert status == 0
    assert DAMAGED in printed
    assert (run / "checkpoint.ckpt").read_bytes() == weights
    assert json.loads((run / "metrics.json").read_text())["about"]["passed_over"] == 1


def test_the_training_goes_on_where_the_data_set_is_now(folder, stgcn, run):
    weights = (run / "checkpoint.ckpt").read_bytes()
    moved = folder / "elsewhere" / "moved"
    shutil.copytree(folder / "mars", moved)
    (mended,) = moved.rglob(DAMAGED)
    shutil.copyfile(mended.with_name(DAMAGED.replace("F002", "F001")), mended)
    status, *_ = stgcn("train", "mars", moved, f"--output={run}", *SETTINGS)
    assert status == 0
    assert (run / "checkpoint.ckpt").read_bytes() == weights
    result = json.loads((run / "metrics.json").read_text())["mars-official"]["trained"]
    assert result["num_queries"] - result["num_valid_queries"] == 1
