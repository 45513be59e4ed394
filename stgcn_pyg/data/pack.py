"""A data set's frames, decoded and resized once, in one memory-mapped file.

frames.npy     uint8 [F, height, width, 3], in the order of the data set's frames
pictures.npy   the size, time of change and digest of the image of each frame
index.json     what they are: data set, size, digests, and which frames are bad
"""

import hashlib
import json
import os
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.decoding import DIGEST_SIZE, decode, digest_of, read_file
from stgcn_pyg.data.sampling import OnBadFrame
from stgcn_pyg.data.workers import map_in_workers
from stgcn_pyg.errors import BadImageError, UnreadableFileError, UserError, require_known
from stgcn_pyg.files import written_aside

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 2  # 1 had no pictures.npy
CHUNK = 128  # frames that a worker reads at a time
RECORD = np.dtype([("size", "<i8"), ("changed_ns", "<i8"), ("digest", "u1", DIGEST_SIZE)])
ABSENT = -1  # the size of an image that is not there
READ_AT_MOST = 1000  # images that are read again where only their times have changed
KINDS = {
    "frames": int,
    "height": int,
    "width": int,
    "paths_sha256": str,
    "sha256": str,
    "bad": list,
}
"""What an index must hold."""


def write_pack(
    dataset: TrackletDataset,
    folder: Path,
    height: int = 256,
    width: int = 128,
    on_bad_frame: OnBadFrame = "stop",
    workers: int = 2,
) -> Iterator[int]:
    """Decodes and resizes every frame of a data set into a pack.

    Args:
        dataset: The data set whose frames are packed.
        folder: The folder that receives the pack. It must be new or empty, or hold what a packing
            that was killed has left.
        height: The height of a packed frame, in pixels.
        width: The width of a packed frame, in pixels.
        on_bad_frame: ``"stop"`` at the first bad image, or ``"skip"`` it: it then counts as bad in
            training and test too.
        workers: The number of processes that decode; 1 decodes in this one.

    Yields:
        How many frames were packed since the last time, until all are.

    Raises:
        UserError: An image is bad or cannot be read, the folder holds something, the disk is full,
            or a worker was killed.
    """
    require_known(on_bad_frame=(on_bad_frame, OnBadFrame))
    left = {"frames.part", "pictures.npy", "pictures.npy.part"}  # by a packing that was killed
    if (folder / "pictures.npy").is_file():
        left |= {"frames.npy", "index.json.part"}
    if folder.exists() and not (folder.is_dir() and {p.name for p in folder.iterdir()} <= left):
        raise UserError(f"{folder}: holds something already; choose a new folder")
    return _packing(dataset, folder, height, width, on_bad_frame, workers)


def _packing(
    dataset: TrackletDataset, folder: Path, height: int, width: int, on_bad_frame: str, workers: int
) -> Iterator[int]:
    paths = [dataset.root / frame for frame in dataset.frames]
    part = folder / "frames.part"
    bad: list[tuple[int, str]] = []
    records = [np.empty(0, RECORD)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shape = (len(paths), height, width, 3)
        np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
        starts = range(0, len(paths), CHUNK)
        chunks = [(part, i, paths[i : i + CHUNK], height, width) for i in starts]
        with closing(map_in_workers(_pack_chunk, chunks, workers)) as packed:
            for bad_of_chunk, records_of_chunk in packed:
                if bad_of_chunk and on_bad_frame == "stop":
                    raise BadImageError(bad_of_chunk[0][1])
                bad += bad_of_chunk
                records.append(records_of_chunk)
                yield len(records_of_chunk)
        with written_aside(folder / "pictures.npy") as file:
            np.save(file, np.concatenate(records))
        index = {
            "format": FORMAT,
            "dataset": dataset.name,
            "frames": len(paths),
            "height": height,
            "width": width,
            "paths_sha256": _digest_of_paths(dataset.frames),
            "sha256": _digest_of_file(part),
            "pictures_sha256": _digest_of_file(folder / "pictures.npy"),
            "bad": bad,
        }
        part.rename(folder / "frames.npy")
        # Last: without an index it is no pack.
        with written_aside(folder / "index.json") as file:
            file.write((json.dumps(index, indent=2) + "\n").encode())
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from error
    finally:
        part.unlink(missing_ok=True)


def _pack_chunk(
    chunk: tuple[Path, int, list[Path], int, int],
) -> tuple[list[tuple[int, str]], np.ndarray]:
    """Writes some frames at their rows; returns the bad ones, and a record of each image."""
    part, first, paths, height, width = chunk
    pixels = np.load(part, mmap_mode="r+")
    bad = []
    records = np.zeros(len(paths), RECORD)
    for place, path in enumerate(paths):
        # Before it is read: a change meanwhile then shows in its time.
        records[place]["size"], records[place]["changed_ns"] = _state_of(path)
        content = b""
        try:
            content = read_file(path)
            pixels[first + place] = decode(path, content, height, width)
        except BadImageError as error:
            bad.append((first + place, str(error)))
        records[place]["digest"] = np.frombuffer(digest_of(content), np.uint8)
    return bad, records


class PackedFrames:
    """The frames of a data set from a pack.

    Copies for other processes are small: each process opens the file of frames by itself.

    Args:
        folder: The pack's folder, which :func:`write_pack` wrote.
        frames: The path of each frame of the data set, which must be those of the pack.
        height: The height of a frame, in pixels, which must be that of the pack; None: the pack's.
        width: The width of a frame, in pixels, likewise.
        root: The folder that the paths start from. If it is given, :meth:`compare` is called.

    Raises:
        UserError: It is no pack, is damaged, or is one of other frames or of another size.
    """

    def __init__(
        self,
        folder: Path,
        frames: pd.Series,
        height: int | None = None,
        width: int | None = None,
        root: Path | None = None,
    ):
        self.folder = folder
        self.index = _read_index(folder)
        size = (self.index["height"], self.index["width"])
        height, width = height or size[0], width or size[1]
        if size != (height, width):
            raise UserError(
                f"{folder}: packed at {size[0]} x {size[1]}, not at {height} x {width}: pass "
                f"--height {size[0]} --width {size[1]}, or pack again"
            )
        if self.index["paths_sha256"] != _digest_of_paths(frames):
            raise UserError(f"{folder}: packed from other frames than these: pack again")
        self.bad = dict(self.index["bad"])
        shape = (len(frames), height, width, 3)
        if self._pixels.shape != shape or self._pixels.dtype != np.uint8:
            path = folder / "frames.npy"
            raise UserError(f"{path}: holds {self._pixels.shape}, not {shape}: pack again")
        if root is not None:
            self.compare(root, frames)

    @cached_property
    def _pixels(self) -> np.ndarray:
        return _load(self.folder / "frames.npy")

    def __getstate__(self) -> dict[str, Any]:
        # A memory map would be pickled as all of its bytes.
        return {name: value for name, value in self.__dict__.items() if name != "_pixels"}

    def compare(self, root: Path, frames: pd.Series, every: bool = False) -> int:
        """Compares the images that are there with those that were packed.

        The sizes of all are compared. An image whose size is the same and whose time is not, as
        after copying a data set, is read and its digest compared; of more than 1,000 such, 1,000
        that are spread evenly. With ``every``, all images are read.

        Returns:
            The number of images that are there and were compared; 0 for a pack of an earlier
            version, which holds no record of its images and gives a warning.

        Raises:
            UserError: An image has changed.
        """
        if self.index["format"] == 1:
            warnings.warn(
                f"{self.folder}: a pack of an earlier version, which cannot be held against its "
                "images: pack again if they may have changed since",
                stacklevel=2,
            )
            return 0
        path = self.folder / "pictures.npy"
        records = _load(path)
        if records.dtype != RECORD or records.shape != (len(frames),):
            raise UserError(f"{path}: does not hold a record a frame: pack again")
        paths = frames.tolist()
        # As text: to make a Path of each takes longer than to ask for its state.
        size, changed_ns = np.array([_state_of(f"{root}/{path}") for path in paths], np.int64).T
        there = size != ABSENT
        other = np.flatnonzero(there & (size != records["size"])).tolist()
        if not other:
            suspects = np.flatnonzero(there & (every | (changed_ns != records["changed_ns"])))
            if len(suspects) > READ_AT_MOST and not every:
                suspects = suspects[np.linspace(0, len(suspects) - 1, READ_AT_MOST).astype(int)]
            other = [
                row
                for row in suspects.tolist()
                if _digest_now(root / paths[row]) != records["digest"][row].tobytes()
            ]
        if other:
            raise UserError(
                f"{self.folder}: {root / paths[other[0]]} is not the image that was packed"
                + (f", nor are {len(other) - 1:,} others" if len(other) > 1 else "")
                + ": pack again"
            )
        return int(there.sum())

    def read(self, rows: Sequence[int]) -> "Tensor":
        """Frames by their rows, as :meth:`.FrameSource.read`; fastest a whole batch at once."""
        import torch  # only here: the processes that write a pack need none

        self.require_good(rows)
        return torch.from_numpy(self._pixels[list(rows)])

    def require_good(self, rows: Sequence[int]) -> None:
        """Raises a BadImageError if one of some frames, by their rows among all, is bad."""
        for row in rows:
            if row in self.bad:
                raise BadImageError(self.bad[row])

    def verify(self) -> None:
        """Raises a UserError where a file of the pack does not have its checksum."""
        sums = {"frames.npy": "sha256", "pictures.npy": "pictures_sha256"}
        for name, key in sums.items():
            path = self.folder / name
            if key in self.index and _digest_of_file(path) != self.index[key]:
                raise UserError(f"{path}: does not have its checksum, so it is damaged: pack again")


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / "index.json"
    try:
        index = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f"{folder}: no pack (it has no index.json); `stgcn pack` makes one"
        ) from error
    except OSError as error:
        raise UnreadableFileError.of(path, error) from error
    except ValueError as error:
        raise UserError(f"{path}: cannot be read: pack again") from error
    if not isinstance(index, dict) or index.get("format") not in (1, FORMAT):
        raise UserError(f"{path}: of another version: pack again")
    whole = all(isinstance(index.get(name), kind) for name, kind in KINDS.items())
    pairs = index["bad"] if whole else []
    if not whole or not all(isinstance(p, list) and [*map(type, p)] == [int, str] for p in pairs):
        raise UserError(f"{path}: damaged (it does not say all that an index says): pack again")
    return index


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{path}: is missing: pack again") from error
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UnreadableFileError.of(path, error) from error
        raise UserError(f"{path}: damaged ({error}): pack again") from error


def _load(path: Path) -> np.ndarray:
    with _readable(path):
        return np.load(path, mmap_mode="r")


def _digest_now(path: Path) -> bytes:
    try:
        return digest_of(read_file(path))
    except BadImageError:  # an empty file, or one that has just been removed
        return digest_of(b"")


def _digest_of_paths(frames: pd.Series) -> str:
    return hashlib.sha256("\n".join(frames).encode()).hexdigest()


def _digest_of_file(path: Path) -> str:
    with _readable(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state_of(path: str | Path) -> tuple[int, int]:
    """The size of a file in bytes, or ABSENT, and its time of change in nanoseconds."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ABSENT, 0
    except (OSError, ValueError) as error:
        raise UnreadableFileError.of(Path(path), error) from error
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else (ABSENT, 0)
