"""The frames of a data set, read from a pack that is held against its images."""

import json
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stgcn_pyg.data.decoding import digest_of, read_file
from stgcn_pyg.data.pack import ABSENT, FORMAT, RECORD, digest_of_file, digest_of_paths, state_of
from stgcn_pyg.errors import BadImageError, UnreadableFileError, UserError

FORMATS = (1, FORMAT)  # those that can be read
KINDS = {
    "frames": int,
    "height": int,
    "width": int,
    "paths_sha256": str,
    "sha256": str,
    "bad": list,
}
READ_AT_MOST = 1000  # images that are read again where only their times have changed


class PackedFrames:
    """The frames of a data set from a pack.

    Copies for other processes are small: each process opens the file of frames by itself.

    Args:
        folder: The pack's folder, which :func:`~stgcn_pyg.data.pack.write_pack` wrote.
        frames: The path of each frame of the data set, which must be those of the pack.
        height: The height of a frame, in pixels; it must be that of the pack.
        width: The width of a frame, in pixels; it must be that of the pack.
        root: The folder that the paths start from. If it is given, the images that are there must
            be those that were packed, as :meth:`compare` finds.

    Raises:
        UserError: It is no pack, is damaged, or is one of other frames, of other images or of
            another size.
    """

    def __init__(
        self, folder: Path, frames: pd.Series, height: int, width: int, root: Path | None = None
    ):
        self.folder = folder
        self.index = read_index(folder)
        size = (self.index["height"], self.index["width"])
        if size != (height, width):
            raise UserError(
                f"{folder}: packed at {size[0]} x {size[1]}, not at {height} x {width}: pack again"
            )
        if self.index["paths_sha256"] != digest_of_paths(frames):
            raise UserError(f"{folder}: packed from other frames than these: pack again")
        self.bad = dict(self.index["bad"])
        shape = (len(frames), height, width, 3)
        path = folder / "frames.npy"
        if self._pixels.shape != shape or self._pixels.dtype != np.uint8:
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
        """Compares the images with those that were packed, as far as they are there.

        The sizes of all are compared. An image whose size is the same and whose time is not, as
        after copying a data set, is read and its digest compared; of more than 1,000 such, 1,000
        that are spread evenly. Images that are absent are passed over, so that a pack can be used
        by itself.

        Args:
            root: The folder that the paths start from.
            frames: The path of each frame.
            every: Whether to read every image, which takes as long as reading the data set.

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
        size, changed_ns = np.array([state_of(f"{root}/{path}") for path in paths], np.int64).T
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

    def read(self, rows: Sequence[int]) -> Tensor:
        """Some frames by their rows, as :meth:`.FrameSource.read`; fastest a whole batch at once.

        Raises:
            BadImageError: One was bad when it was packed.
        """
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
            if key in self.index and digest_of_file(path) != self.index[key]:
                raise UserError(f"{path}: does not have its checksum, so it is damaged: pack again")


def _digest_now(path: Path) -> bytes:
    try:
        return digest_of(read_file(path))
    except BadImageError:  # an empty file, or one that has just been removed
        return digest_of(b"")


def _load(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r")
    except FileNotFoundError as error:
        raise UserError(f"{path}: is missing: pack again") from error
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UnreadableFileError.of(path, error) from error
        raise UserError(f"{path}: damaged ({error}): pack again") from error


def read_index(folder: Path) -> dict[str, Any]:
    """The content of a pack's ``index.json``, or a UserError where there is no such pack."""
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
    if not isinstance(index, dict) or index.get("format") not in FORMATS:
        raise UserError(f"{path}: of another version: pack again")
    whole = all(isinstance(index.get(name), kind) for name, kind in KINDS.items())
    pairs = index["bad"] if whole else []
    if not whole or not all(isinstance(p, list) and [*map(type, p)] == [int, str] for p in pairs):
        raise UserError(f"{path}: damaged (it does not tell all that a pack tells): pack again")
    return index
