"""Clips of tracklets: read whole, or with bad frames replaced."""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stgcn_pyg.errors import BadPictureError

OnBadFrame = Literal["stop", "skip"]


class FrameSource(Protocol):
    """Where frames come from: pictures on disk, or a pack."""

    def read(self, rows: Sequence[int]) -> Tensor:
        """Some frames, by their rows among all, as ``[N, H, W, 3]`` of uint8.

        Raises:
            BadPictureError: One of them is bad.
            UserError: They cannot be read for another reason.
        """


class ClipReader:
    """Reads some frames of tracklets.

    Args:
        source: Where they come from.
        on_bad_frame: ``"stop"`` raises at a bad frame; ``"skip"`` takes the nearest good frame of
            the tracklet instead.
    """

    def __init__(self, source: FrameSource, on_bad_frame: OnBadFrame = "stop"):
        self.source = source
        self.on_bad_frame = on_bad_frame
        self._bad: dict[int, str] = {}

    def read(
        self, tracklets: pd.Series | pd.DataFrame, indices: Sequence[int] | np.ndarray
    ) -> tuple[Tensor, list[str]]:
        """The clip of a tracklet, or the clips of a table of tracklets.

        Args:
            tracklets: One tracklet, or B rows of them.
            indices: Of frames in each tracklet, ``[T]`` or ``[B, T]``.

        Returns:
            ``[T, H, W, 3]`` or ``[B, T, H, W, 3]`` of uint8, and what was wrong with frames that
            were replaced.

        Raises:
            BadPictureError: A frame is bad; under ``"skip"``, all frames of its tracklet are.
            UserError: A frame cannot be read for another reason, whatever ``on_bad_frame`` says.
        """
        indices = np.asarray(indices)
        first, length = (
            np.broadcast_to(np.asarray(tracklets[name])[..., None], indices.shape)
            for name in ("first_frame", "num_frames")
        )
        faults: list[str] = []
        if self.on_bad_frame == "stop":
            frames = self.source.read((first + indices).ravel().tolist())
        else:
            frames, faults = self._read_good(first, length, indices)
        return frames.unflatten(0, indices.shape), faults

    def _read_good(self, *places: np.ndarray) -> tuple[Tensor, list[str]]:
        """Frames one by one, each by its tracklet's first row and length and its index in it."""
        frames, faults = [], []
        for first, length, index in zip(*(place.ravel().tolist() for place in places), strict=True):
            for near in _by_distance(index, length):
                frame = self._read_one(first + near)
                if frame is not None:
                    frames.append(frame)
                    break
                faults.append(self._bad[first + near])
            else:
                raise BadPictureError(f"{faults[-1]} (and no frame of its tracklet is good)")
        return torch.cat(frames), faults

    def _read_one(self, row: int) -> Tensor | None:
        if row not in self._bad:
            try:
                return self.source.read([row])
            except BadPictureError as error:
                self._bad[row] = str(error)
        return None


def _by_distance(index: int, length: int) -> Iterator[int]:
    """All indices below `length`, the nearest to `index` first, the later of two."""
    return iter(sorted(range(length), key=lambda other: (abs(other - index), -other)))
