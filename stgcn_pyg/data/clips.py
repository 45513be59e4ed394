"""Clips of tracklets: read whole, or with bad frames replaced."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Protocol

import pandas as pd
import torch
from torch import Tensor

from stgcn_pyg.errors import UserError

OnBadFrame = Literal["stop", "skip"]


class FrameSource(Protocol):
    """Where frames come from: pictures on disk, or a pack."""

    def read(self, rows: Sequence[int]) -> Tensor:
        """Frames by their rows, ``[T, H, W, 3]`` of uint8; raises UserError at a bad one."""


class ClipReader:
    """Reads some frames of a tracklet.

    Args:
        source: Where they come from.
        on_bad_frame: ``"stop"`` raises at a bad frame; ``"skip"`` takes the nearest good frame of
            the tracklet instead.
    """

    def __init__(self, source: FrameSource, on_bad_frame: OnBadFrame = "stop"):
        self.source = source
        self.on_bad_frame = on_bad_frame
        self._bad: dict[int, str] = {}

    def read(self, tracklet: pd.Series, indices: Iterable[int]) -> tuple[Tensor, list[str]]:
        """The clip ``[T, H, W, 3]`` of uint8, and what was wrong with frames that were replaced.

        Raises:
            UserError: A frame is bad; under ``"skip"``, all frames of the tracklet are.
        """
        first = int(tracklet["first_frame"])
        if self.on_bad_frame == "stop":
            return self.source.read([first + int(i) for i in indices]), []
        frames, faults = [], []
        for index in map(int, indices):
            for near in _by_distance(index, int(tracklet["num_frames"])):
                frame = self._read_one(first + near)
                if frame is not None:
                    frames.append(frame)
                    break
                faults.append(self._bad[first + near])
            else:
                raise UserError(f"{faults[-1]} (and no frame of its tracklet is good)")
        return torch.cat(frames), faults

    def _read_one(self, row: int) -> Tensor | None:
        if row not in self._bad:
            try:
                return self.source.read([row])
            except UserError as error:
                self._bad[row] = str(error)
        return None


def _by_distance(index: int, length: int) -> Iterator[int]:
    """All indices below `length`, the nearest to `index` first, the later of two."""
    return iter(sorted(range(length), key=lambda other: (abs(other - index), -other)))
