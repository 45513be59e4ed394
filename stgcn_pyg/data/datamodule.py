"""The batches of a data set, for training and for test."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.distributed
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from stgcn_pyg.data.clips import ClipReader, FrameFiles
from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.pack import PackedFrames
from stgcn_pyg.data.pk_sampler import Draw, PKSampler
from stgcn_pyg.data.reading import reading, reading_in_threads
from stgcn_pyg.data.sampling import OnBadFrame, TestClips, TrainFrames, clips_at_test, training_clip
from stgcn_pyg.data.transforms import ClipAugmentation, normalize
from stgcn_pyg.data.workers import end_with_the_parent
from stgcn_pyg.errors import UserError, require_known, whole_number
from stgcn_pyg.progress import bar_options


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


class FrameBatch(NamedTuple):
    """A batch of clips at test, in which each frame stands once."""

    frames: Tensor
    """``[F, H, W, 3]`` of uint8."""
    places: Tensor
    """``[B, T]``: the row of ``frames`` that holds each frame of each clip."""
    labels: Tensor
    """``[B]``: the row of each clip's tracklet."""
    skipped: tuple[str, ...] = ()
    """What was wrong with frames that were replaced by others."""


class _Batches(Dataset):
    """The batch that a function reads for each item of a loader's sampler."""

    def __init__(self, read: Callable[[Any], Any]):
        self.read = read

    def __getitem__(self, item: Any) -> Any:
        return self.read(item)


class TrackletDataModule:
    """Clips of a data set's tracklets: P x K batches in training, every clip at test.

    The P x K sampler is built when it is first asked for, so that an evaluation needs none.

    Args:
        dataset: The data set.
        num_frames: T, the number of frames of a clip.
        height: Height of a frame, in pixels.
        width: Width of a frame, in pixels.
        identities_per_batch: P, the number of identities in a training batch.
        tracklets_per_identity: K, the number of tracklets of each identity in a training batch.
        train_frames: Frames of a training clip. ``"restricted"``: one from each of T chunks
            (restricted random sampling); ``"random"``: any T, in the order of time; ``"even"``:
            evenly spaced, the same in every epoch; ``"strided"``: at a fixed stride from a random
            start.
        stride: Distance from a frame to the next in a strided clip.
        test_clips: Clips of a tracklet at test; their embeddings are averaged.
            ``"all"``: clips spread over the tracklet that together hold every frame;
            ``"consecutive"``: clips of frames in a row; ``"first"``: the first frame of each of
            T chunks; ``"even"``: T frames evenly spaced.
        clips_per_test_batch: Number of clips in a batch at test.
        min_frames: Smallest number of frames that a tracklet may have; a data set with a shorter
            one is refused. A tracklet of a single frame gives clips that repeat this frame.
        pack: Folder of the data set's pack, to read frames from instead of the image files.
        on_bad_frame: ``"stop"`` raises at a bad image; ``"skip"`` takes the nearest good frame of
            its tracklet instead and keeps what was wrong in ``skipped``.
        num_workers: Number of processes that read frames, or of threads at test on a CPU; 0
            reads in the main thread.
        seed: Seed of the batches, the clips and the augmentation.
        **augmentation: Arguments of :class:`.ClipAugmentation`, by name.

    Attributes:
        skipped: What was wrong with each bad frame that was read so far, under ``"skip"``.

    Raises:
        UserError: The data set cannot give such clips, a number is too small, a word is unknown,
            or, once the sampler is asked for, the data set cannot give such batches.
        TypeError: There is no such argument of :class:`.ClipAugmentation`.
    """

    def __init__(
        self,
        dataset: TrackletDataset,
        num_frames: int = 8,
        height: int = 256,
        width: int = 128,
        identities_per_batch: int = 16,
        tracklets_per_identity: int = 4,
        train_frames: TrainFrames = "restricted",
        stride: int = 8,
        test_clips: TestClips = "all",
        clips_per_test_batch: int = 32,
        min_frames: int = 1,
        pack: Path | None = None,
        on_bad_frame: OnBadFrame = "stop",
        num_workers: int = 2,
        seed: int = 0,
        **augmentation: Any,
    ):
        require_known(train_frames=(train_frames, TrainFrames), test_clips=(test_clips, TestClips))
        require_known(on_bad_frame=(on_bad_frame, OnBadFrame))
        self.num_frames = whole_number("num_frames", num_frames)
        self.height, self.width = whole_number("height", height), whole_number("width", width)
        self.identities_per_batch = whole_number("identities_per_batch", identities_per_batch)
        self.tracklets_per_identity = whole_number("tracklets_per_identity", tracklets_per_identity)
        self.stride = whole_number("stride", stride)
        self.clips_per_test_batch = whole_number("clips_per_test_batch", clips_per_test_batch)
        self.num_workers = whole_number("num_workers", num_workers, least=0)
        self.seed = whole_number("seed", seed, least=0)
        min_frames = whole_number("min_frames", min_frames, least=0)
        for split, table in dataset.tables().items():
            short = table[table["num_frames"] < min_frames]
            if len(short):
                path = dataset.paths(short.iloc[0])[0]
                raise UserError(
                    f"{path}: its {split} tracklet has {short['num_frames'].iat[0]} frame(s), "
                    f"fewer than min_frames={min_frames} ({len(short)} such): remove it or lower "
                    "min_frames"
                )
        self.dataset = dataset
        self.train_frames = train_frames
        self.test_clips = test_clips
        self.augmentation = ClipAugmentation(**augmentation)
        frames = dataset.frames
        self.reader = ClipReader(
            FrameFiles(dataset.root, frames, height, width)
            if pack is None
            else PackedFrames(pack, frames, height, width, dataset.root),
            on_bad_frame,
        )
        self.skipped: set[str] = set()
        self.pids = np.unique(dataset.train["pid"])

    @cached_property
    def sampler(self) -> PKSampler:
        """Draws the P x K batches of training; a UserError where the data set allows none."""
        return PKSampler(
            self.dataset.train["pid"].to_list(),
            self.identities_per_batch,
            self.tracklets_per_identity,
            self.seed,
        )

    @property
    def num_classes(self) -> int:
        """Number of training identities."""
        return len(self.pids)

    def train_dataloader(
        self, draws: Iterable[list[Draw]] | None = None, device: torch.device | str = "cpu"
    ) -> DataLoader:
        """P x K batches; of each, this process's part where several processes train.

        Args:
            draws: The tracklets of each batch; those of the sampler's epoch if they are not given.
            device: Device that the batches will be moved to; for a GPU they are read into pinned
                memory.
        """
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            self.sampler.share(torch.distributed.get_rank(), torch.distributed.get_world_size())
        draws = self.sampler if draws is None else draws
        return self._loader(self._training_batch, draws, device)

    def _training_batch(self, draws: Sequence[Draw]) -> ClipBatch:
        tracklets = self.dataset.train.iloc[[draw.row for draw in draws]]
        frames, changes = [], []
        for draw, length in zip(draws, tracklets["num_frames"].tolist(), strict=True):
            rng = np.random.default_rng(draw.seed)
            clip = training_clip(self.train_frames, length, self.num_frames, self.stride, rng)
            frames.append(clip)
            changes.append(self.augmentation.draw(self.num_frames, rng))
        batch = self._read(tracklets, frames, np.searchsorted(self.pids, tracklets["pid"]))
        return batch._replace(changes=torch.from_numpy(np.stack(changes)))

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
            tracklets: N rows of the data set's tables.
            rank: Rank of this process among R that share the batches: it gets the batches rank,
                rank + R, rank + 2 R, ...
            world_size: R, the number of processes.
            device: Where the batches will be moved to; for a GPU they are read into pinned memory.
            clips: Frames of each tracklet's clips, N arrays ``[clips, T]``; those of
                :meth:`clips_of` if not given.
        """
        read = partial(self._test_batch, tracklets)
        return self._loader(read, self._test_batches(tracklets, clips)[rank::world_size], device)

    def frame_batches(
        self,
        tracklets: pd.DataFrame,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
    ) -> AbstractContextManager[Iterator[FrameBatch]]:
        """The batches of :meth:`clip_dataloader`, each frame of a batch once.

        They are read in threads for a CPU, which the network uses by itself and which further
        processes would only share, and in processes for a GPU. What reads ends with the block.
        """
        first, length = (tracklets[name].to_numpy() for name in ("first_frame", "num_frames"))
        read = partial(self._frame_batch, first, length)
        batches = self._test_batches(tracklets)[rank::world_size]
        if torch.device(device).type == "cpu":
            return reading_in_threads(read, batches, self.num_workers)
        return reading(self._loader(read, batches, device))

    def _test_batches(
        self, tracklets: pd.DataFrame, clips: Sequence[np.ndarray] | None = None
    ) -> list[list[tuple[int, np.ndarray]]]:
        """The clips of each batch: the row of the tracklet, and the frames in it."""
        if clips is None:
            clips = [self.clips_of(int(num_frames)) for num_frames in tracklets["num_frames"]]
        pairs = [(row, frames) for row, of_one in enumerate(clips) for frames in of_one]
        size = self.clips_per_test_batch
        return [pairs[start : start + size] for start in range(0, len(pairs), size)]

    def _frame_batch(
        self, first: np.ndarray, length: np.ndarray, pairs: Sequence[tuple[int, np.ndarray]]
    ) -> FrameBatch:
        labels, clips = (np.array(column) for column in zip(*pairs, strict=True))
        rows, indices = np.broadcast_to(labels[:, None], clips.shape), clips
        wanted = np.stack([first[rows], length[rows], indices], axis=-1).reshape(-1, 3)
        once, inverse = np.unique(wanted, axis=0, return_inverse=True)
        frames, skipped = self.reader.read_frames(*once.T)
        places = torch.from_numpy(inverse.reshape(clips.shape))
        return FrameBatch(frames, places, torch.from_numpy(labels), tuple(skipped))

    def _test_batch(
        self, tracklets: pd.DataFrame, pairs: Sequence[tuple[int, np.ndarray]]
    ) -> ClipBatch:
        rows, frames = zip(*pairs, strict=True)
        return self._read(tracklets.iloc[list(rows)], frames, np.array(rows))

    def _read(
        self, tracklets: pd.DataFrame, frames: Sequence[np.ndarray], labels: np.ndarray
    ) -> ClipBatch:
        clips, skipped = self.reader.read(tracklets, np.stack(frames))
        # A view: to move the bytes would be slow.
        clips = clips.permute(0, 1, 4, 2, 3)
        return ClipBatch(clips, torch.from_numpy(labels), skipped=tuple(skipped))

    def _loader(
        self, read: Callable[[Any], Any], sampler: Iterable, device: torch.device | str
    ) -> DataLoader:
        # The sampler decides what a batch holds, so the loader does not batch.
        return DataLoader(
            _Batches(read),
            batch_size=None,
            sampler=sampler,
            num_workers=self.num_workers,
            worker_init_fn=end_with_the_parent,
            pin_memory=torch.device(device).type == "cuda",
        )

    def move_and_normalize(
        self,
        batch: ClipBatch,
        device: torch.device | str,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> ClipBatch:
        """A batch of any loader, moved to a device and there put through :meth:`transform`."""
        # From pinned memory a GPU copies while the host goes on.
        to_gpu = torch.device(device).type == "cuda"
        on_device = {
            name: value.to(device, non_blocking=to_gpu)
            for name, value in batch._asdict().items()
            if isinstance(value, torch.Tensor)
        }
        return self.transform(batch._replace(**on_device), mean, std)  # type: ignore[arg-type]

    def transform(self, batch: ClipBatch, mean: Sequence[float], std: Sequence[float]) -> ClipBatch:
        """Augments a training batch, normalises any, and keeps what was wrong with its frames.

        Args:
            batch: Clips of uint8, on the device that is to compute.
            mean: Mean of each colour, for RGB in [0, 1]: ``model.mean`` of an :class:`.STGCN`.
            std: Deviation of each colour, likewise ``model.std``.
        """
        self.skipped.update(batch.skipped)
        clips = batch.clips.float() / 255
        if batch.changes is not None:
            clips = self.augmentation.apply(clips, batch.changes, mean)
        return ClipBatch(normalize(clips, mean, std), batch.labels)

    def clips_of(self, num_frames: int) -> np.ndarray:
        """The clips by which a tracklet is tested, ``[clips, T]``."""
        return clips_at_test(self.test_clips, num_frames, self.num_frames)

    def require_good_frames(
        self, tracklets: pd.DataFrame, rank: int = 0, world_size: int = 1
    ) -> None:
        """Raises a UserError for bad frames at which a run would fail after its training.

        With ``on_bad_frame="skip"`` one good frame of each of the tracklets is read, shared among
        the processes. With ``"stop"`` the test frames that a pack lists as bad are refused; image
        files are not decoded for this.
        """
        source = self.reader.source
        if self.reader.on_bad_frame == "skip":
            first_frames = [np.zeros((1, 1), np.int64)] * len(tracklets)
            loader = self.clip_dataloader(tracklets, rank, world_size, clips=first_frames)
            total = len(range(rank, len(tracklets), world_size))
            style = bar_options() | {"desc": "finding good frames", "unit": "tracklet"}
            with tqdm(total=total, **style) as bar, reading(loader) as batches:
                for batch in batches:
                    bar.update(len(batch.labels))
        elif isinstance(source, PackedFrames) and source.bad:
            test = self.dataset.test()
            for first, length in zip(test["first_frame"], test["num_frames"], strict=True):
                source.require_good(np.unique(first + self.clips_of(int(length))).tolist())
