"""A data set's frames, decoded and resized once, in one memory-mapped file.

frames.npy     uint8 [F, height, width, 3], in the order of the data set's frames
pictures.npy   the size, time of change and digest of the image of each frame
index.json     what they are: data set, size, digests, and which frames are bad
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.decoding import DIGEST_SIZE, decode, digest_of, read_file
from stgcn_pyg.data.workers import map_in_workers
from stgcn_pyg.errors import BadImageError, UnreadableFileError, UserError
from stgcn_pyg.files import written_aside

FORMAT = 2  # 1 had no pictures.npy
CHUNK = 128  # frames that a worker reads at a time
RECORD = np.dtype([("size", "<i8"), ("changed_ns", "<i8"), ("digest", "u1", DIGEST_SIZE)])
ABSENT = -1  # the size of an image that is not there


def write_pack(
    dataset: TrackletDataset,
    folder: Path,
    height: int = 256,
    width: int = 128,
    on_bad_frame: Literal["stop", "skip"] = "stop",
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
        BadImageError: An image is bad, under ``"stop"``.
        UserError: An image cannot be read for another reason, the folder holds something, the
            disk is full, or a worker was killed.
    """
    left = {"frames.part", "pictures.npy", "pictures.npy.part"}  # by a packing that was killed
    if folder.exists() and not (folder.is_dir() and {p.name for p in folder.iterdir()} <= left):
        raise UserError(f"{folder}: holds something already; choose a new folder")
    return _packing(dataset, folder, height, width, on_bad_frame, workers)


def _packing(
    dataset: TrackletDataset, folder: Path, height: int, width: int, on_bad_frame: str, workers: int
) -> Iterator[int]:
    paths = [dataset.root / frame for frame in dataset.frames]
    part = folder / "frames.part"
    bad: list[tuple[int, str]] = []
    records: list[np.ndarray] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shape = (len(paths), height, width, 3)
        np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
        starts = range(0, len(paths), CHUNK)
        chunks = [(part, i, paths[i : i + CHUNK], height, width) for i in starts]
        with closing(map_in_workers(_pack_chunk, chunks, workers)) as packed:
            for chunk, (faults, of_chunk) in zip(chunks, packed, strict=True):
                if faults and on_bad_frame == "stop":
                    raise BadImageError(faults[0][1])
                bad += faults
                records.append(of_chunk)
                yield len(chunk[2])
        with written_aside(folder / "pictures.npy") as file:
            np.save(file, np.concatenate([np.empty(0, RECORD), *records]))
        _write_index(dataset, folder, height, width, bad)
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
        # Before it is read: if it changes meanwhile, its time will tell.
        records[place]["size"], records[place]["changed_ns"] = state_of(path)
        content = b""
        try:
            content = read_file(path)
            pixels[first + place] = decode(path, content, height, width)
        except BadImageError as error:
            bad.append((first + place, str(error)))
        records[place]["digest"] = np.frombuffer(digest_of(content), np.uint8)
    return bad, records


def _write_index(
    dataset: TrackletDataset, folder: Path, height: int, width: int, bad: list[tuple[int, str]]
) -> None:
    part, path = folder / "frames.part", folder / "frames.npy"
    index = {
        "format": FORMAT,
        "dataset": dataset.name,
        "frames": len(dataset.frames),
        "height": height,
        "width": width,
        "paths_sha256": digest_of_paths(dataset.frames),
        "sha256": digest_of_file(part),
        "pictures_sha256": digest_of_file(folder / "pictures.npy"),
        "bad": bad,
    }
    part.rename(path)
    # Last: without an index it is no pack.
    with written_aside(folder / "index.json") as file:
        file.write((json.dumps(index, indent=2) + "\n").encode())


def digest_of_paths(frames: pd.Series) -> str:
    """The SHA-256 by which a pack knows the frames that it was made of."""
    return hashlib.sha256("\n".join(frames).encode()).hexdigest()


def digest_of_file(path: Path) -> str:
    """The SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state_of(path: str | Path) -> tuple[int, int]:
    """The size of a file in bytes, or ABSENT, and its time of change in nanoseconds.

    Raises:
        UnreadableFileError: The system does not say.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ABSENT, 0
    except (OSError, ValueError) as error:
        raise UnreadableFileError.of(Path(path), error) from error
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else (ABSENT, 0)
