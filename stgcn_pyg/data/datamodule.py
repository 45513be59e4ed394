"""The batches of a data set, for training and for test."""

from collections.abc import Sequence
from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
import torch
import torch.distributed
from torch.utils.data import DataLoader, Dataset

from stgcn_pyg.data.batches import ClipBatch, EvaluationBatches, TrainingBatches
from stgcn_pyg.data.clips import ClipReader, FrameFiles, OnBadFrame
from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.packed_frames import PackedFrames
from stgcn_pyg.data.pk_sampler import PKSampler
from stgcn_pyg.data.sampling import TestClips, TrainFrames, clips_at_test
from stgcn_pyg.data.transforms import Augment, ClipAugmentation, normalize
from stgcn_pyg.data.workers import end_with_the_parent
from stgcn_pyg.errors import UserError, require_known


class TrackletDataModule(L.LightningDataModule):
    """Clips of a data set's tracklets: P x K batches in training, every clip at test.

    Args:
        dataset: The tracklets.
        num_frames: T, the frames of a clip.
        height: Of a picture, in pixels.
        width: Of a picture, in pixels.
        people_per_batch: P.
        tracklets_per_person: K.
        train_frames: The frames of a training clip. ``"restricted"``: one from each of T chunks;
            ``"random"``: any T, in the order of time; ``"even"``: evenly spaced, without chance;
            ``"strided"``: at a fixed stride from a random start.
        stride: From a frame to the next in a strided clip.
        flip: The probability that a training clip is flipped.
        shift: The largest shift of a training clip, as a share of its height and width: padding
            with its border, then a random crop.
        zoom: The largest change of size of a training clip, as a share.
        colour: The largest change of each colour's gain in a training clip, as a share.
        erase: The probability that a rectangle of a training clip is erased.
        brightness: The largest change of a training clip's brightness, as a share.
        contrast: The largest change of a training clip's contrast, as a share.
        saturation: The largest change of a training clip's saturation, as a share.
        augment: ``"clip"``: one random change for all frames of a training clip; ``"frame"``: one
            for each frame.
        test_clips: ``"all"``: clips spread over the tracklet that together hold every frame;
            ``"consecutive"``: clips of frames in a row; ``"first"``: the first frame of each of
            T chunks; ``"even"``: T frames evenly spaced. The embeddings of a tracklet's clips are
            averaged.
        clips_per_test_batch: How many clips a batch holds at test.
        min_frames: The fewest frames that a tracklet may have; a shorter one is refused. A
            tracklet of a single frame gives clips that repeat it.
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
        train_frames: TrainFrames = "restricted",
        stride: int = 8,
        flip: float = 0.5,
        shift: float = 0.0,
        zoom: float = 0.0,
        colour: float = 0.0,
        erase: float = 0.0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        augment: Augment = "clip",
        test_clips: TestClips = "all",
        clips_per_test_batch: int = 32,
        min_frames: int = 1,
        pack: Path | None = None,
        on_bad_frame: OnBadFrame = "stop",
        num_workers: int = 2,
        seed: int = 0,
    ):
        super().__init__()
        require_known(
            train_frames=(train_frames, TrainFrames),
            augment=(augment, Augment),
            test_clips=(test_clips, TestClips),
        )
        if stride < 1:
            raise UserError(f"stride={stride} leads nowhere: it must be at least 1")
        _require_length(dataset, min_frames)
        self.dataset = dataset
        self.num_frames = num_frames
        self.height = height
        self.width = width
        self.train_frames = train_frames
        self.stride = stride
        self.test_clips = test_clips
        self.clips_per_test_batch = clips_per_test_batch
        self.num_workers = num_workers
        frames = dataset.frames
        self.reader = ClipReader(
            FrameFiles(dataset.root, frames, height, width)
            if pack is None
            else PackedFrames(pack, frames, height, width, dataset.root),
            on_bad_frame,
        )
        self.skipped: set[str] = set()
        self.augmentation = ClipAugmentation(
            flip, shift, zoom, colour, erase, brightness, contrast, saturation, augment
        )
        self.sampler = PKSampler(
            dataset.train["pid"].to_list(), people_per_batch, tracklets_per_person, seed
        )
        self.pids = np.unique(dataset.train["pid"])

    @property
    def num_classes(self) -> int:
        """The number of people to train on."""
        return len(self.pids)

    def train_dataloader(self) -> DataLoader:
        """P x K batches; of each, this process's people where several processes train."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            self.sampler.share(torch.distributed.get_rank(), torch.distributed.get_world_size())
        batches = TrainingBatches(
            self.dataset.train,
            np.searchsorted(self.pids, self.dataset.train["pid"]),
            self.reader,
            self.augmentation,
            self.train_frames,
            self.num_frames,
            self.stride,
        )
        to_gpu = torch.cuda.is_available()
        if self.trainer is not None:
            to_gpu = self.trainer.strategy.root_device.type == "cuda"
        # The sampler decides what a batch holds, so the loader does not batch.
        return self._loader(batches, self.sampler, to_gpu)

    def clip_dataloader(
        self,
        tracklets: pd.DataFrame,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
        clips: Sequence[np.ndarray] | None = None,
    ) -> DataLoader:
        """Clips of some tracklets; a clip's label is its tracklet's row in the table.

        Loop over it in :func:`stgcn_pyg.data.reading.reading`, which ends its worker processes
        also where an error ends the loop.

        Args:
            tracklets: N rows of the data set's.
            rank: This process among R that share the batches: it gets the batches rank, rank + R,
                rank + 2 R, ...
            world_size: R.
            device: Where the batches will be moved to; for a GPU they are read into pinned memory.
            clips: The frames of each tracklet's clips, N arrays ``[clips, T]``; those of
                :meth:`clips_of` if they are not given.
        """
        if clips is None:
            clips = [self.clips_of(int(num_frames)) for num_frames in tracklets["num_frames"]]
        batches = EvaluationBatches(tracklets, clips, self.reader, self.clips_per_test_batch)
        of_this_process = range(rank, len(batches), world_size)
        return self._loader(batches, of_this_process, torch.device(device).type == "cuda")

    def _loader(self, batches: Dataset, sampler: PKSampler | range, to_gpu: bool) -> DataLoader:
        return DataLoader(
            batches,
            batch_size=None,
            sampler=sampler,
            num_workers=self.num_workers,
            worker_init_fn=end_with_the_parent,
            persistent_workers=sampler is self.sampler and self.num_workers > 0,
            pin_memory=to_gpu,
        )

    def move_and_normalize(self, batch: ClipBatch, device: torch.device | str) -> ClipBatch:
        """A batch of :meth:`clip_dataloader`, its clips normalised on a device."""
        # From pinned memory a GPU copies while the host goes on.
        to_gpu = torch.device(device).type == "cuda"
        clips = batch.clips.to(device, non_blocking=to_gpu)
        return self.on_after_batch_transfer(batch._replace(clips=clips))

    def on_after_batch_transfer(self, batch: ClipBatch, dataloader_idx: int = 0) -> ClipBatch:
        """Augments where the batch says how, and normalises; runs on the device."""
        self.skipped.update(batch.skipped)
        clips = batch.clips.float() / 255
        if batch.changes is not None:
            clips = self.augmentation.apply(clips, batch.changes)
        return ClipBatch(normalize(clips), batch.labels)

    def clips_of(self, num_frames: int) -> np.ndarray:
        """The clips by which a tracklet is tested, ``[clips, T]``."""
        return clips_at_test(self.test_clips, num_frames, self.num_frames)


def _require_length(dataset: TrackletDataset, min_frames: int) -> None:
    for split, table in dataset.tables().items():
        short = table[table["num_frames"] < min_frames]
        if len(short):
            path = dataset.paths(short.iloc[0])[0]
            raise UserError(
                f"{path}: its {split} tracklet has {short['num_frames'].iat[0]} frame(s), fewer "
                f"than min_frames={min_frames} ({len(short)} such): remove it or lower min_frames"
            )
