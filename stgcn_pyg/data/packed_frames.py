"""The frames of a data set, read from a pack."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stgcn_pyg.data.pack import FORMAT, digest_of_file, digest_of_paths
from stgcn_pyg.errors import BadPictureError, UserError


class PackedFrames:
    """The frames of a data set from a pack.

    Args:
        folder: That :func:`~stgcn_pyg.data.pack.write_pack` wrote.
        frames: The path of each frame of the data set, which must be those of the pack.
        height: Of a frame, in pixels; must be that of the pack.
        width: The same.

    Raises:
        UserError: It is no pack, is damaged, or is one of other frames or of another size.
    """

    def __init__(self, folder: Path, frames: pd.Series, height: int, width: int):
        self.folder = folder
        self.frames = frames
        self.index = _read_index(folder)
        size = (self.index["height"], self.index["width"])
        if size != (height, width):
            raise UserError(
                f"{folder}: packed at {size[0]} x {size[1]}, not at {height} x {width}: pack again"
            )
        if self.index["paths_sha256"] != digest_of_paths(frames):
            raise UserError(f"{folder}: packed from other frames than these: pack again")
        self.bad = dict(self.index["bad"])
        shape = (len(frames), height, width, 3)
        try:
            self._pixels = np.load(folder / "frames.npy", mmap_mode="r")
        except (OSError, ValueError) as error:
            raise UserError(f"{folder / 'frames.npy'}: damaged ({error}): pack again") from error
        if self._pixels.shape != shape or self._pixels.dtype != np.uint8:
            raise UserError(f"{folder / 'frames.npy'}: holds {self._pixels.shape}, not {shape}")

    def read(self, rows: Sequence[int]) -> Tensor:
        """Some frames, by their rows among all: ``[N, height, width, 3]`` of uint8, RGB.

        Those of a whole batch at a time come fastest: they are copied once, to where they stay.

        Raises:
            BadPictureError: One was bad when it was packed.
        """
        for row in rows:
            if row in self.bad:
                raise BadPictureError(self.bad[row])
        return torch.from_numpy(self._pixels[list(rows)])

    def verify(self) -> None:
        """Reads everything and holds it against its checksum.

        Raises:
            UserError: They disagree.
        """
        path = self.folder / "frames.npy"
        if digest_of_file(path) != self.index["sha256"]:
            raise UserError(f"{path}: does not have its checksum, so it is damaged: pack again")


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / "index.json"
    try:
        index = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UserError(
            f"{folder}: no pack (it has no index.json); `stgcn pack` makes one"
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: pack again") from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise UserError(f"{path}: of another version: pack again")
    return index
