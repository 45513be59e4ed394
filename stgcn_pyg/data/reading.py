"""Loops over a DataLoader, whose worker processes end when the loop does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from torch.utils.data import DataLoader

Batch = TypeVar("Batch")


@contextmanager
def reading(loader: DataLoader[Batch]) -> Iterator[Iterator[Batch]]:
    """Gives the batches of a loader and ends its worker processes with the block.

    They end whether the block ends by itself, by an error of theirs or of the block's, or by
    Ctrl-C. Otherwise they would live as long as the error that holds the loop's variables.

    Args:
        loader: The loader; its workers must not be persistent, as those of
            ``TrackletDataModule.train_dataloader`` are, which Lightning's trainer ends.

    Example:
        >>> loader = DataLoader([1, 2, 3], batch_size=None)
        >>> with reading(loader) as batches:
        ...     print(list(batches))
        [1, 2, 3]
    """
    batches = iter(loader)
    try:
        yield batches
    finally:
        # Not public, but there is no other way; Lightning's trainer goes it too.
        end_workers = getattr(batches, "_shutdown_workers", None)
        if end_workers is not None:
            end_workers()
