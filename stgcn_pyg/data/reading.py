"""Loops over a DataLoader that end its worker processes, and bad frames found before a run."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
from torch.utils.data import DataLoader
from tqdm import tqdm

from stgcn_pyg.data.packed_frames import PackedFrames
from stgcn_pyg.data.workers import signals_held_back
from stgcn_pyg.errors import UserError
from stgcn_pyg.progress import bar_options

if TYPE_CHECKING:
    from stgcn_pyg.data.datamodule import TrackletDataModule

PATIENCE = 1.0  # seconds that the workers have to finish what they read
BY_ERROR = (
    "; or an error ended it, which then stands above, as where a script does not do its work under "
    '`if __name__ == "__main__":`, which processes that are spawned need'
)

Batch = TypeVar("Batch")


@contextmanager
def reading(loader: DataLoader[Batch]) -> Iterator[Iterator[Batch]]:
    """Gives the batches of a loader and ends its worker processes with the block.

    They end whether the block ends by itself, by an error of theirs or of the block's, or by
    Ctrl-C. Otherwise they would live as long as the error that holds the loop's variables.

    Args:
        loader: The loader; its workers must not be persistent.

    Example:
        >>> loader = DataLoader([1, 2, 3], batch_size=None)
        >>> with reading(loader) as batches:
        ...     print(list(batches))
        [1, 2, 3]

    Raises:
        UserError: A worker was killed.
    """
    with told_if_a_worker_is_killed():
        batches: Iterator[Batch] | None = None
        try:
            with signals_held_back():
                batches = iter(loader)
            yield batches
        finally:
            _end_workers(batches)


def _end_workers(batches: object) -> None:
    # Not public, but there is no other way.
    end = getattr(batches, "_shutdown_workers", None)
    if end is None:  # this process reads alone
        return

    def terminate() -> None:
        for worker in getattr(batches, "_workers", []):
            worker.terminate()

    # PyTorch alone would wait 5 seconds for each that is in the middle of something.
    late = threading.Timer(PATIENCE, terminate)
    late.start()
    try:
        end()
    finally:
        late.cancel()


@contextmanager
def told_if_a_worker_is_killed() -> Iterator[None]:
    """Turns the error that PyTorch raises when a worker process was killed into a UserError."""
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):
            raise
        by_error = "" if "killed by signal" in str(error) else BY_ERROR
        raise UserError(
            "a process that reads images was killed, most likely for want of memory: pass fewer "
            f"--num-workers or smaller batches{by_error}"
        ) from error


def require_good_frames(
    data: "TrackletDataModule", tracklets: pd.DataFrame, rank: int = 0, world_size: int = 1
) -> None:
    """Refuses, before a training, bad frames at which the run would fail after it.

    With ``on_bad_frame="skip"`` one good frame of each tracklet is read, and a tracklet without any
    is refused. With ``"stop"`` the test frames that a pack lists as bad are refused; image files
    are not decoded for this.

    Args:
        data: The data module that reads the frames.
        tracklets: The rows of all tracklets that the run needs.
        rank: The number of this process among those that share the tracklets.
        world_size: The number of those processes.

    Raises:
        UserError: There is such a frame, or such a tracklet.
    """
    if data.reader.on_bad_frame == "skip":
        _require_one_each(data, tracklets, rank, world_size)
    elif isinstance(data.reader.source, PackedFrames) and data.reader.source.bad:
        test = data.dataset.test()
        for first, length in zip(test["first_frame"], test["num_frames"], strict=True):
            rows = np.unique(first + data.clips_of(int(length)))
            data.reader.source.require_good(rows.tolist())


def _require_one_each(
    data: "TrackletDataModule", tracklets: pd.DataFrame, rank: int, world_size: int
) -> None:
    first_frames = [np.zeros((1, 1), np.int64)] * len(tracklets)
    loader = data.clip_dataloader(tracklets, rank, world_size, clips=first_frames)
    total = len(range(rank, len(tracklets), world_size))
    bar = tqdm(total=total, desc="looking for good frames", unit="tracklet", **bar_options())
    with bar, reading(loader) as batches:
        for batch in batches:
            bar.update(len(batch.labels))
