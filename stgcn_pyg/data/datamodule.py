"""The batches of a data set, for training and for test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import lightning as L
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from stgcn_pyg.data.clips import ClipReader, OnBadFrame
from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.frames import FrameFiles
from stgcn_pyg.data.pack import PackedFrames
from stgcn_pyg.data.sampling import (
    Draw,
    PKSampler,
    consecutive_clips,
    restricted_random,
    spread_clips,
)
from stgcn_pyg.data.transforms import ClipAugmentation, normalize
from stgcn_pyg.errors import UserError

TestClips = Literal["all", "consecutive", "first"]


class ClipBatch(NamedTuple):
    """A batch of clips."""

    clips: Tensor
    """``[B, T, 3, H, W]``: uint8 from disk; normalised float on the device."""
    labels: Tensor
    """``[B]``: the class of each clip in training, the row of its tracklet at test."""
    changes: Tensor | None = None
    """``[B, 11]``: the numbers of the augmentation, in training."""
    skipped: tuple[str, ...] = ()
    """What was wrong with frames in whose place others stand."""


class TrackletDataModule(L.LightningDataModule):
    """Clips of a data set's tracklets: P x K batches in training, every clip at test.

    Args:
        dataset: The tracklets.
        num_frames: T, the frames of a clip.
        height: Of a picture, in pixels.
        width: Of a picture, in pixels.
        people_per_batch: P.
        tracklets_per_person: K.
        flip: The probability that a training clip is flipped.
        shift: The largest shift of a training clip, as a share of its height and width.
        zoom: The largest change of size of a training clip, as a share.
        colour: The largest change of each colour's gain in a training clip, as a share.
        erase: The probability that a rectangle of a training clip is erased.
        test_clips: ``"all"``: clips spread over the tracklet that together hold every frame;
            ``"consecutive"``: clips of frames in a row; ``"first"``: the first frame of each of
            T chunks. The embeddings of a tracklet's clips are averaged.
        clips_per_test_batch: How many clips a batch holds at test.
        min_frames: The fewest frames that a tracklet may have.
        pack: The folder of the data set's pack, to read frames from instead of the pictures.
        on_bad_frame: ``"stop"`` raises at a bad picture; ``"skip"`` takes the nearest good frame
            of its tracklet instead and keeps what was wrong in ``skipped``.
        num_workers: Processes that read pictures; 0 reads in the main process.
        seed: Of the batches, clips and augmentation.

    Attributes:
        skipped: What was wrong with each bad frame that was met so far, under ``"skip"``.

    Raises:
        UserError: The data set cannot give such batches.
    """

    def __init__(
        self,
        dataset: TrackletDataset,
        num_frames: int = 8,
        height: int = 256,
        width: int = 128,
        people_per_batch: int = 16,
        tracklets_per_person: int = 4,
        flip: float = 0.5,
        shift: float = 0.0,
        zoom: float = 0.0,
        colour: float = 0.0,
        erase: float = 0.0,
        test_clips: TestClips = "all",
        clips_per_test_batch: int = 32,
        min_frames: int = 2,
        pack: Path | None = None,
        on_bad_frame: OnBadFrame = "stop",
        num_workers: int = 2,
        seed: int = 0,
    ):
        super().__init__()
        _require_length(dataset, min_frames)
        self.dataset = dataset
        self.num_frames = num_frames
        self.height = height
        self.width = width
        self.test_clips = test_clips
        self.clips_per_test_batch = clips_per_test_batch
        self.num_workers = num_workers
        frames = dataset.frames
        self.reader = ClipReader(
            FrameFiles(dataset.root, frames, height, width)
            if pack is None
            else PackedFrames(pack, frames, height, width),
            on_bad_frame,
        )
        self.skipped: set[str] = set()
        self.augmentation = ClipAugmentation(flip, shift, zoom, colour, erase)
        self.sampler = PKSampler(
            dataset.train["pid"].to_list(), people_per_batch, tracklets_per_person, seed
        )
        self.pids = np.unique(dataset.train["pid"])

    @property
    def num_classes(self) -> int:
        """The number of people to train on."""
        return len(self.pids)

    def train_dataloader(self) -> DataLoader:
        """P x K batches; the sampler decides what a batch holds, so the loader does not batch."""
        return self._loader(_TrainBatches(self), self.sampler)

    def clip_dataloader(self, tracklets: pd.DataFrame) -> DataLoader:
        """Every clip of some tracklets; a clip's label is its tracklet's row in the table."""
        return self._loader(_TestBatches(self, tracklets))

    def _loader(self, batches: Dataset, sampler: PKSampler | None = None) -> DataLoader:
        return DataLoader(
            batches,
            batch_size=None,
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=sampler is not None and self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def on_after_batch_transfer(self, batch: ClipBatch, dataloader_idx: int = 0) -> ClipBatch:
        """Augments where the batch says how, and normalises; runs on the device."""
        self.skipped.update(batch.skipped)
        clips = batch.clips.float() / 255
        if batch.changes is not None:
            clips = self.augmentation.apply(clips, batch.changes)
        return ClipBatch(normalize(clips), batch.labels)

    def clips_of(self, num_frames: int) -> np.ndarray:
        """The clips by which a tracklet is tested, ``[clips, T]``."""
        if self.test_clips == "consecutive":
            return consecutive_clips(num_frames, self.num_frames)
        clips = spread_clips(num_frames, self.num_frames)
        return clips[:1] if self.test_clips == "first" else clips


class _TrainBatches(Dataset):
    """Gives the batch that a list of draws describes."""

    def __init__(self, data: TrackletDataModule):
        self.data = data
        self.classes = np.searchsorted(data.pids, data.dataset.train["pid"])

    def __len__(self) -> int:
        return len(self.data.sampler)

    def __getitem__(self, draws: list[Draw]) -> ClipBatch:
        clips, changes, skipped = [], [], []
        for draw in draws:
            tracklet = self.data.dataset.train.iloc[draw.row]
            rng = np.random.default_rng(draw.seed)
            frames = restricted_random(int(tracklet["num_frames"]), self.data.num_frames, rng)
            changes.append(self.data.augmentation.draw(rng))
            clip, faults = self.data.reader.read(tracklet, frames)
            clips.append(clip)
            skipped += faults
        return ClipBatch(
            _channels_first(clips),
            torch.from_numpy(self.classes[[draw.row for draw in draws]]),
            torch.from_numpy(np.stack(changes)),
            tuple(skipped),
        )


class _TestBatches(Dataset):
    """All clips of some tracklets in equal batches."""

    def __init__(self, data: TrackletDataModule, tracklets: pd.DataFrame):
        self.data = data
        self.tracklets = tracklets
        self.clips = list(self._clips())

    def _clips(self) -> Iterator[tuple[int, np.ndarray]]:
        for row, num_frames in enumerate(self.tracklets["num_frames"]):
            for clip in self.data.clips_of(int(num_frames)):
                yield row, clip

    def __len__(self) -> int:
        return -(-len(self.clips) // self.data.clips_per_test_batch)

    def __getitem__(self, index: int) -> ClipBatch:
        size = self.data.clips_per_test_batch
        chosen = self.clips[index * size : (index + 1) * size]
        if not chosen:
            raise IndexError(index)
        clips, skipped = [], []
        for row, indices in chosen:
            clip, faults = self.data.reader.read(self.tracklets.iloc[row], indices)
            clips.append(clip)
            skipped += faults
        labels = torch.tensor([row for row, _ in chosen])
        return ClipBatch(_channels_first(clips), labels, skipped=tuple(skipped))


def _channels_first(clips: list[Tensor]) -> Tensor:
    """Clips `[T, H, W, 3]` to `[B, T, 3, H, W]`; bytes stay where they are, for that takes long."""
    return torch.stack(clips).permute(0, 1, 4, 2, 3)


def _require_length(dataset: TrackletDataset, min_frames: int) -> None:
    for split, table in dataset.tables().items():
        short = table[table["num_frames"] < min_frames]
        if len(short):
            path = dataset.paths(short.iloc[0])[0]
            raise UserError(
                f"{path}: its {split} tracklet has {short['num_frames'].iat[0]} frame(s), fewer "
                f"than min_frames={min_frames} ({len(short)} such): remove it or lower min_frames"
            )
