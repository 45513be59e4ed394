"""Batches of clips: what one holds, and how those of training and test are read."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from stgcn_pyg.data.clips import ClipReader
from stgcn_pyg.data.pk_sampler import Draw
from stgcn_pyg.data.sampling import TrainFrames, training_clip
from stgcn_pyg.data.transforms import ClipAugmentation


class ClipBatch(NamedTuple):
    """A batch of clips."""

    clips: Tensor
    """``[B, T, 3, H, W]``: uint8 from disk; normalised float on the device."""
    labels: Tensor
    """``[B]``: the class of each clip in training, the row of its tracklet at test."""
    changes: Tensor | None = None
    """``[B, 1 or T, 14]``: the numbers of the augmentation, in training."""
    skipped: tuple[str, ...] = ()
    """What was wrong with frames that were replaced by others."""


class TrainingBatches(Dataset):
    """The training batch for a list of draws of a :class:`.PKSampler`.

    Args:
        tracklets: The training table.
        classes: The class of each tracklet, from 0.
        reader: The reader of frames.
        augmentation: Draws the changes of each clip, after its frames.
        frames: How a clip's frames are drawn: a kind of :func:`.training_clip`.
        clip_length: T.
        stride: The stride of ``"strided"`` clips.
    """

    def __init__(
        self,
        tracklets: pd.DataFrame,
        classes: np.ndarray,
        reader: ClipReader,
        augmentation: ClipAugmentation,
        frames: TrainFrames,
        clip_length: int,
        stride: int,
    ):
        self.tracklets = tracklets
        self.classes = classes
        self.reader = reader
        self.augmentation = augmentation
        self.frames = frames
        self.clip_length = clip_length
        self.stride = stride

    def __getitem__(self, draws: Sequence[Draw]) -> ClipBatch:
        rows = [draw.row for draw in draws]
        tracklets = self.tracklets.iloc[rows]
        frames, changes = [], []
        for draw, length in zip(draws, tracklets["num_frames"].tolist(), strict=True):
            rng = np.random.default_rng(draw.seed)
            frames.append(training_clip(self.frames, length, self.clip_length, self.stride, rng))
            changes.append(self.augmentation.draw(self.clip_length, rng))
        clips, skipped = self.reader.read(tracklets, np.stack(frames))
        return ClipBatch(
            _channels_first(clips),
            torch.from_numpy(self.classes[rows]),
            torch.from_numpy(np.stack(changes)),
            tuple(skipped),
        )


class EvaluationBatches(Dataset):
    """All clips of some tracklets in equal batches; a clip's label is its tracklet's row.

    Args:
        tracklets: A table of tracklets.
        clips: The clips of each tracklet: indices of frames, ``[clips, T]``.
        reader: The reader of frames.
        batch_size: The number of clips in a batch.
    """

    def __init__(
        self,
        tracklets: pd.DataFrame,
        clips: Sequence[np.ndarray],
        reader: ClipReader,
        batch_size: int,
    ):
        self.tracklets = tracklets
        self.reader = reader
        self.batch_size = batch_size
        self.clips = [(row, frames) for row, of_one in enumerate(clips) for frames in of_one]

    def __len__(self) -> int:
        return -(-len(self.clips) // self.batch_size)

    def __getitem__(self, index: int) -> ClipBatch:
        chosen = self.clips[index * self.batch_size : (index + 1) * self.batch_size]
        if not chosen:
            raise IndexError(index)
        rows, frames = zip(*chosen, strict=True)
        clips, skipped = self.reader.read(self.tracklets.iloc[list(rows)], np.stack(frames))
        return ClipBatch(_channels_first(clips), torch.tensor(rows), skipped=tuple(skipped))


def _channels_first(clips: Tensor) -> Tensor:
    """Clips `[B, T, H, W, 3]` to `[B, T, 3, H, W]`; bytes stay where they are, for that is slow."""
    return clips.permute(0, 1, 4, 2, 3)
