"""Whatever happens to a command or its worker processes, all of them end within seconds."""

import pytest
from command_server import serving
from conftest import MarsTree
from tiny_run import write_run

pytestmark = pytest.mark.timeout(120)

TINY = ["num_frames=2", "backbone=resnet18", "weights=null", "branches=[spatial]"]
TINY = [
    f"--model.{option}"
    for option in [*TINY, "spatial_channels=16", "spatial_patches=2", "temporal_patches=2"]
]
TINY += ["--data.height=32", "--data.width=16", "--data.people_per_batch=2"]
TINY += ["--data.tracklets_per_person=2", "--accelerator=cpu"]


@pytest.fixture(scope="module")
def begin():
    with serving() as begin:
        yield begin


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A data set without a fault whose test takes seconds, in batches of one clip."""
    tree = MarsTree(tmp_path_factory.mktemp("whole") / "mars")
    tree.add("test", 5, 1, frames=1200)
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


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("name", ["evaluate", "extract", "explain", "train"])
def test_a_damaged_test_picture_is_told_and_all_ends(
    begin, damaged, run_on, tmp_path, name, workers
):
    job = begin(command(name, damaged, run_on, tmp_path, workers), tmp_path / "log")
    assert job.status() == 2
    assert "0003C1T0001F002.jpg: truncated or no picture" in one_line(job)


@pytest.mark.parametrize(
    ("name", "start"),
    [("evaluate", "spawn"), ("explain", "forkserver"), ("train with baselines", "fork")],
)
def test_so_it_is_with_other_start_methods_and_loops(begin, damaged, run_on, tmp_path, name, start):
    job = begin(command(name, damaged, run_on, tmp_path, 1), tmp_path / "log", start)
    assert job.status() == 2
    assert "0003C1T0001F002.jpg: truncated or no picture" in one_line(job)
