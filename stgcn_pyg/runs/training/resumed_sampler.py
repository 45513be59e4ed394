"""The batches of an epoch that was begun before."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from torch.utils.data import Sampler

from stgcn_pyg.data.pk_sampler import Draw, PKSampler


class ResumedSampler(Sampler[list[Draw]]):
    """A sampler whose first epoch begins where a run was cut short; the others are whole.

    Its length is that of a whole epoch, by which Lightning counts.

    Args:
        sampler: Whose batches it gives.
        epoch: The epoch to begin with.
        batches: How many of its batches are done.

    Example:
        >>> sampler = PKSampler([7, 7, 8, 8, 9, 9], people_per_batch=2, tracklets_per_person=2)
        >>> resumed = ResumedSampler(sampler, epoch=3, batches=1)
        >>> len(resumed), list(resumed) == list(sampler)[1:]
        (2, True)
        >>> resumed.set_epoch(4)
        >>> list(resumed) == list(sampler)
        True
    """

    def __init__(self, sampler: PKSampler, epoch: int, batches: int):
        self.sampler = sampler
        self.begun = (epoch, batches)
        # Workers fetch the first batches before Lightning says which epoch it is.
        sampler.set_epoch(epoch)

    def set_epoch(self, epoch: int) -> None:
        """Moves to another epoch; Lightning calls it."""
        self.sampler.set_epoch(epoch)

    def share(self, rank: int, world_size: int) -> None:
        """Shares every batch among processes."""
        self.sampler.share(rank, world_size)

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[list[Draw]]:
        epoch, batches = self.begun
        return islice(iter(self.sampler), batches if self.sampler.epoch == epoch else 0, None)


def position(checkpoint: dict[str, Any]) -> tuple[int, int]:
    """How many epochs a checkpoint has behind it, and how many batches of the next.

    Args:
        checkpoint: As Lightning writes it; its loops count what they have done.
    """
    loops = checkpoint["loops"]["fit_loop"]
    epochs = loops["epoch_progress"]["current"]
    if epochs["started"] > epochs["processed"]:
        return epochs["processed"], loops["epoch_loop.batch_progress"]["current"]["processed"]
    return epochs["processed"], 0
