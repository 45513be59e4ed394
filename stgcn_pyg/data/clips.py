"""Frames and clips of tracklets as uint8 tensors: read whole, or with bad frames replaced."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stgcn_pyg.data.decoding import read_image
from stgcn_pyg.data.sampling import OnBadFrame
from stgcn_pyg.errors import BadImageError, require_known


class FrameSource(Protocol):
    """Where frames come from: :class:`FrameFiles` or :class:`.PackedFrames`."""

    def read(self, rows: Sequence[int]) -> Tensor:
        """The frames at some rows of the data set's ``frames``, ``[N, H, W, 3]`` of uint8, RGB.

        Raises:
            BadImageError: One of them is missing, damaged, or cannot be used.
            UserError: They cannot be read for another reason.
        """


class FrameFiles:
    """The frames of a data set as image files.

    Args:
        root: The folder that the paths start from.
        frames: The path of each frame.
        height: The height that frames are resized to, in pixels.
        width: The width that frames are resized to, in pixels.
    """

    def __init__(self, root: Path, frames: pd.Series, height: int, width: int):
        self.root = root
        self.frames = frames
        self.height = height
        self.width = width

    def read(self, rows: Sequence[int]) -> Tensor:
        """Some frames by their rows, as :meth:`FrameSource.read`; a repeated one is read once."""
        images = {
            row: read_image(self.root / self.frames.iat[row], self.height, self.width)
            for row in dict.fromkeys(rows)
        }
        return torch.from_numpy(np.stack([images[row] for row in rows]))


class ClipReader:
    """Reads clips of tracklets.

    Args:
        source: Where frames come from.
        on_bad_frame: ``"stop"`` raises at a bad frame; ``"skip"`` takes the nearest good frame of
            the tracklet instead.
    """

    def __init__(self, source: FrameSource, on_bad_frame: OnBadFrame = "stop"):
        require_known(on_bad_frame=(on_bad_frame, OnBadFrame))
        self.source = source
        self.on_bad_frame = on_bad_frame
        self._bad: dict[int, str] = {}

    def read(
        self, tracklets: pd.Series | pd.DataFrame, indices: Sequence[int] | np.ndarray
    ) -> tuple[Tensor, list[str]]:
        """The clip of a tracklet, or the clips of a table of tracklets.

        Args:
            tracklets: One tracklet, or B rows of them.
            indices: The frames in each tracklet, ``[T]`` or ``[B, T]``.

        Returns:
            ``[T, H, W, 3]`` or ``[B, T, H, W, 3]`` of uint8, and what was wrong with frames that
            were replaced.

        Raises:
            BadImageError: A frame is bad; under ``"skip"``, all frames of its tracklet are.
            UserError: A frame cannot be read for another reason, whatever ``on_bad_frame`` says.
        """
        indices = np.asarray(indices)
        first, length = (
            np.broadcast_to(np.asarray(tracklets[name])[..., None], indices.shape)
            for name in ("first_frame", "num_frames")
        )
        frames, faults = self.read_frames(*(part.ravel() for part in (first, length, indices)))
        return frames.unflatten(0, indices.shape), faults

    def read_frames(
        self, first: np.ndarray, length: np.ndarray, indices: np.ndarray
    ) -> tuple[Tensor, list[str]]:
        """Some frames of any tracklets, as :meth:`read`.

        Args:
            first: The row of the first frame of each one's tracklet, ``[F]``.
            length: The number of frames of each one's tracklet, ``[F]``.
            indices: The number of each in its tracklet, ``[F]``.

        Returns:
            ``[F, H, W, 3]`` of uint8, and what was wrong with frames that were replaced.
        """
        if self.on_bad_frame == "stop":
            return self.source.read((first + indices).tolist()), []
        return self._read_good(first, length, indices)

    def _read_good(self, *places: np.ndarray) -> tuple[Tensor, list[str]]:
        """Frames one by one, each by its tracklet's first row and length and its index in it."""
        frames, faults = [], []
        for first, length, index in zip(*(place.tolist() for place in places), strict=True):
            others = np.arange(length)
            # The nearest first, and of two equally near ones the later.
            for near in others[np.lexsort((-others, abs(others - index)))].tolist():
                frame = self._read_one(first + near)
                if frame is not None:
                    frames.append(frame)
                    break
                faults.append(self._bad[first + near])
            else:
                raise BadImageError(f"{faults[-1]} (and no frame of its tracklet is good)")
        return torch.cat(frames), faults

    def _read_one(self, row: int) -> Tensor | None:
        if row not in self._bad:
            try:
                return self.source.read([row])
            except BadImageError as error:
                self._bad[row] = str(error)
        return None
