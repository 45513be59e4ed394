"""Whatever happens to a command or its worker processes, all of them end within seconds."""

import os
import shutil
import signal
import subprocess
import sys
import time
from unittest.mock import patch

import pytest
from command_server import Job, serving
from conftest import MarsTree, slow
from PIL import Image
from tiny_run import write_run
from torchvision.models import get_model

from stgcn_pyg.data import load_dataset
from stgcn_pyg.runs.training import hold_out

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("narrow_backbone")]

TINY = ["num_frames=2", "backbone=resnet18", "weights=null", "branches=[spatial]"]
TINY = [
    f"--model.{option}"
    for option in [*TINY, "spatial_channels=16", "spatial_patches=2", "temporal_patches=2"]
]
TINY += ["--data.height=32", "--data.width=16", "--data.identities_per_batch=2"]
TINY += ["--data.tracklets_per_identity=2", "--accelerator=cpu"]


@pytest.fixture(scope="module")
def begin():
    with serving("--narrow") as begin:
        yield begin


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A data set without a fault whose test takes seconds, in batches of one clip."""
    tree = MarsTree(tmp_path_factory.mktemp("whole") / "mars")
    for camid in (3, 4):
        tree.add("test", 1, camid, frames=900)
    return tree.write()


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """One with a damaged picture in a query."""
    root = MarsTree(tmp_path_factory.mktemp("damaged") / "mars").write()
    cut_short(root, "0003C1T0001F002.jpg")
    return root


def cut_short(root, name):
    (path,) = root.rglob(name)
    path.write_bytes(path.read_bytes()[:300])


@pytest.fixture(scope="module")
def run_on(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return lambda root: write_run(folder / str(len(list(folder.iterdir()))), root)


def train(root, output, workers, *more):
    return ["train", "mars", str(root), f"--output={output}", "--epochs=1", *TINY,
            f"--data.num_workers={workers}", *more]  # fmt: skip


def command(name, root, run_on, tmp_path, workers):
    if name == "train":
        return train(root, tmp_path / "output", workers)
    if name == "train with baselines":
        return train(root, tmp_path / "output", workers, "--baselines=true")
    output = [str(tmp_path / "output")] if name in ("extract", "explain") else []
    more = [f"--num-workers={workers}", "--accelerator=cpu"]
    more += ["--clips-per-batch=1"] if name == "evaluate" else []
    return [name, str(run_on(root)), *output, *more]


def one_line(job):
    (line,) = job.told()
    assert "Traceback" not in job.log.read_text()
    return line


@pytest.mark.parametrize(
    ("name", "workers"),
    [
        ("evaluate", 2),
        ("train", 1),
        *(slow("evaluate", workers) for workers in (0, 1)),
        *(slow("extract", workers) for workers in (0, 1, 2)),
        *(slow("explain", workers) for workers in (0, 1, 2)),
        *(slow("train", workers) for workers in (0, 2)),
    ],
)
def test_a_damaged_test_picture_is_told_and_all_ends(
    begin, damaged, run_on, tmp_path, name, workers
):
    job = begin(command(name, damaged, run_on, tmp_path, workers), tmp_path / "log")
    assert job.status() == 2
    assert "0003C1T0001F002.jpg: truncated or no image" in one_line(job)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "start"),
    [("evaluate", "spawn"), ("explain", "forkserver"), ("train with baselines", "fork")],
)
def test_so_it_is_with_other_start_methods_and_loops(begin, damaged, run_on, tmp_path, name, start):
    job = begin(command(name, damaged, run_on, tmp_path, 1), tmp_path / "log", start)
    assert job.status() == 2
    assert "0003C1T0001F002.jpg: truncated or no image" in one_line(job)


def test_a_training_that_cannot_be_evaluated_says_that_it_is_kept_and_goes_on(
    begin, damaged, tmp_path
):
    root = shutil.copytree(damaged, tmp_path / "mars")
    job = begin(train(root, tmp_path / "run", 1), tmp_path / "log")
    assert job.status() == 2
    line = one_line(job)
    assert f"kept in {tmp_path / 'run' / 'checkpoint.ckpt'}" in line
    # Both ways that the line names do what it says.
    skipping = ["--on-bad-frame=skip", "--num-workers=0"]
    job = begin(["evaluate", str(tmp_path / "run"), *skipping], tmp_path / "log")
    assert job.status() == 0
    shutil.copy(next(root.rglob("0003C1T0001F001.jpg")), next(root.rglob("0003C1T0001F002.jpg")))
    job = begin(train(root, tmp_path / "run", 1), tmp_path / "log")
    assert job.status() == 0
    assert "training: 100%" not in job.log.read_text()


def damage_what_is_held_out(root):
    _, held_out = hold_out(load_dataset("mars", root), 0.4, seed=0)
    for tracklet in held_out.itertuples():
        cut_short(root, f"{tracklet.pid:04d}C{tracklet.camid}T0001F001.jpg")


def damage_all(root):
    for path in (root / "bbox_train").rglob("*F00[1-4].jpg"):
        cut_short(root, path.name)


@pytest.mark.parametrize(
    ("damage", "more", "workers"),
    [
        (damage_all, [], 2),
        slow(damage_all, [], 0),
        slow(damage_what_is_held_out, ["--validation_share=0.4"], 0),
        slow(damage_what_is_held_out, ["--validation_share=0.4"], 2),
    ],
)
def test_a_damaged_picture_in_the_training_ends_it(begin, tmp_path, whole, workers, damage, more):
    root = MarsTree(tmp_path / "mars").write()
    damage(root)
    job = begin(train(root, tmp_path / "run", workers, *more), tmp_path / "log")
    assert job.status() == 2
    assert "truncated or no image" in one_line(job)


SCRIPT = """
from stgcn_pyg import STGCN
from stgcn_pyg.data import TrackletDataModule, load_dataset
from stgcn_pyg.runs.embedding import embed_tracklets

dataset = load_dataset("mars", {root!r})
data = TrackletDataModule(
    dataset, 2, 32, 16, identities_per_batch=2, tracklets_per_identity=2, num_workers={workers}
)
"""
EMBED = """
model = STGCN(4, 2, "resnet18", None, spatial_channels=16, spatial_patches=2, temporal_patches=2)
embed_tracklets(model, data, dataset.test())
"""
READ = """
from stgcn_pyg.data.reading import reading

with reading(data.train_dataloader()) as batches:
    next(batches)
"""
LOOP = """
for batch in data.train_dataloader():
    raise ValueError("of the user's own code")
"""


@pytest.mark.parametrize(
    ("then", "workers"), [(EMBED, 2), slow(EMBED, 0), slow(LOOP, 0), slow(LOOP, 2)]
)
def test_a_script_that_an_error_ends_ends(begin, damaged, tmp_path, workers, then):
    script = SCRIPT.format(root=str(damaged), workers=workers) + then
    job = begin(script, tmp_path / "log")
    assert job.status() == 1
    assert "Error: " in job.log.read_text().rstrip().splitlines()[-1]


@pytest.mark.slow
def test_a_script_whose_workers_cannot_start_ends_and_says_why(damaged, tmp_path):
    spawned = "import multiprocessing\nmultiprocessing.set_start_method('spawn', force=True)\n"
    script = tmp_path / "script.py"
    script.write_text(spawned + SCRIPT.format(root=str(damaged), workers=1) + READ)
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=110)
    assert run.returncode == 1
    assert 'under `if __name__ == "__main__":`' in run.stderr.rstrip().splitlines()[-1]


TERM, INT, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGKILL


@pytest.mark.parametrize(
    ("name", "number", "workers"),
    [
        ("evaluate", TERM, 2),
        ("train", INT, 2),
        ("train", KILL, 2),
        slow("evaluate", INT, 2),
        slow("evaluate", KILL, 2),
        slow("train", TERM, 2),
        *(slow(name, number, 0) for name in ("evaluate", "train") for number in (TERM, INT)),
    ],
)
def test_a_signal_to_the_command_alone_ends_its_workers_too(
    begin, whole, run_on, tmp_path, name, number, workers
):
    job = begin_work(begin, whole, run_on, tmp_path, name, workers)
    os.kill(job.pid, number)
    assert_ended_by(job, number, name)


@pytest.mark.parametrize(
    ("name", "number"),
    [("train", INT), slow("train", TERM), slow("evaluate", INT), slow("evaluate", TERM)],
)
def test_a_signal_to_the_whole_group_is_told_once(begin, whole, run_on, tmp_path, name, number):
    job = begin_work(begin, whole, run_on, tmp_path, name, workers=2)
    os.killpg(job.pid, number)
    assert_ended_by(job, number, name)


def begin_work(begin, root, run_on, tmp_path, name, workers, start="fork"):
    """Begins a command and returns in the middle of its work."""
    run = command(name, root, run_on, tmp_path, workers)
    if name == "train":
        run += ["--epochs=100000", "--checkpoint_every=100000"]
    job = begin(run, tmp_path / "log", start)
    while not ("embedding:" in job.log.read_text() or list(tmp_path.glob("output/log/*"))):
        assert job.pid in job.processes(), job.log.read_text()
        time.sleep(0.01)
    job.workers(workers if name == "train" else 0)  # on a CPU, threads read what is embedded
    return job


def assert_ended_by(job, number, name):
    if number == KILL:
        assert job.status() == -KILL
        return
    assert job.status() == 128 + number, job.log.read_text()
    assert one_line(job).startswith(f"stgcn {name}: interrupted")
    assert name != "train" or "is saved in" in one_line(job)


def test_a_killed_worker_ends_the_command(begin, whole, run_on, tmp_path):
    job = begin_work(begin, whole, run_on, tmp_path, "train", workers=2)
    os.kill(job.workers(2)[0], KILL)
    assert job.status() == 2
    assert "a process that reads images was killed" in one_line(job)


@pytest.fixture(scope="module")
def large(whole, tmp_path_factory):
    """A data set whose pictures take long to decode."""
    root = shutil.copytree(whole, tmp_path_factory.mktemp("large") / "mars")
    first, *others = sorted(root.rglob("*.jpg"))
    Image.effect_noise((3000, 3000), 50).save(first)
    for other in others:
        other.unlink()
        other.hardlink_to(first)
    return root


@pytest.mark.parametrize(
    ("name", "workers", "number", "to"),
    [
        ("check", 2, TERM, os.kill),
        ("pack", 2, INT, os.killpg),
        slow("check", 1, TERM, os.kill),
        slow("check", 2, TERM, os.killpg),
        slow("check", 2, INT, os.killpg),
        slow("check", 2, KILL, os.kill),
        slow("pack", 2, TERM, os.kill),
    ],
)
def test_a_signal_ends_what_prepares_data(begin, large, tmp_path, name, workers, number, to):
    output = [str(tmp_path / "pack")] if name == "pack" else []
    run = [name, "mars", str(large), *output, f"--workers={workers}"]
    job = begin(run, tmp_path / "log")
    job.workers(workers if workers > 1 else 0)  # which are starting, or at work, when it comes
    time.sleep(0.5)
    to(job.pid, number)
    assert_ended_by(job, number, name)


@pytest.mark.slow
def test_under_torchrun_one_damaged_picture_ends_both_processes(damaged, run_on, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    with patch(
        "stgcn_pyg.models.backbones.torchvision_networks.get_model", get_model
    ):  # as these processes know it
        evaluate = command("evaluate", damaged, run_on, tmp_path, workers=2)
    with (tmp_path / "log").open("w") as log:
        run = subprocess.Popen(
            [*torchrun, "-m", "stgcn_pyg.cli", *evaluate], stdout=log, stderr=log,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    job = Job(None, run.pid, tmp_path / "log")
    assert run.wait(timeout=60) == 1
    (line,) = job.told()
    assert "0003C1T0001F002.jpg: truncated or no image" in line
    left = subprocess.run(["pgrep", "-f", str(evaluate[1])], capture_output=True, text=True)
    assert not left.stdout
