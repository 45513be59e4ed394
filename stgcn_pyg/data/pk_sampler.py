"""Which tracklets make a training batch: P identities x K tracklets."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from stgcn_pyg.errors import UserError


class Draw(NamedTuple):
    """One tracklet of a batch, and the seed of all that is random about its clip."""

    row: int
    seed: tuple[int, ...]


class PKSampler(Sampler[list[Draw]]):
    """Batches of P identities x K tracklets that take in every identity once an epoch.

    The last batch is filled up with identities from the epoch's beginning. An identity with fewer
    than K tracklets repeats some. Every draw follows from the seed, the epoch and its place in the
    epoch, so that any number of workers and a resumed run see the same batches. So do several
    processes: each is given its own P / R identities of the same batch, and the ranks' parts, one
    after the other, are the batch of one process.

    Args:
        pids: The identity of each training tracklet.
        identities_per_batch: P, over all processes.
        tracklets_per_identity: K.
        seed: The seed of every draw.
        rank: The rank of this process among those that share a batch.
        world_size: R, the number of those processes.

    Raises:
        UserError: There are fewer identities than P, P or K is below 2, or P cannot be shared.

    Example:
        >>> sampler = PKSampler([7, 7, 8, 8, 9, 9], 2, tracklets_per_identity=2)
        >>> [[draw.row for draw in batch] for batch in sampler]
        [[5, 4, 0, 1], [2, 3, 5, 4]]
    """

    def __init__(
        self,
        pids: Sequence[int],
        identities_per_batch: int = 16,
        tracklets_per_identity: int = 4,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ):
        if identities_per_batch < 2 or tracklets_per_identity < 2:
            raise UserError(
                f"batches of {identities_per_batch} identities x {tracklets_per_identity} "
                "tracklets have no triplets: both must be at least 2"
            )
        labels = np.asarray(pids)
        self.rows_of = [np.flatnonzero(labels == pid) for pid in np.unique(labels)]
        if len(self.rows_of) < identities_per_batch:
            raise UserError(
                f"there are {len(self.rows_of)} identities to train on, fewer than "
                f"identities_per_batch={identities_per_batch}: lower it"
            )
        self.identities_per_batch = identities_per_batch
        self.tracklets_per_identity = tracklets_per_identity
        self.seed = seed
        self.epoch = 0
        self.share(rank, world_size)

    def share(self, rank: int, world_size: int) -> None:
        """Shares every batch among processes, of which this is one; P must be a multiple of R."""
        if self.identities_per_batch % world_size:
            raise UserError(
                f"identities_per_batch={self.identities_per_batch} cannot be shared by "
                f"{world_size} processes: pass a multiple of {world_size}"
            )
        self.rank = rank
        self.world_size = world_size

    def set_epoch(self, epoch: int) -> None:
        """Moves to another epoch, from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.rows_of) // self.identities_per_batch)

    def __iter__(self) -> Iterator[list[Draw]]:
        share = self.identities_per_batch * self.tracklets_per_identity // self.world_size
        # Every process draws the whole batch: what comes after depends on it.
        for draws in self.whole_batches():
            yield draws[self.rank * share : (self.rank + 1) * share]

    def over_epochs(self, epochs: int, epoch: int = 0, batch: int = 0) -> Iterator[list[Draw]]:
        """The batches of epoch after epoch, from batch ``batch`` of epoch ``epoch`` on.

        Example:
            >>> sampler = PKSampler([7, 7, 8, 8, 9, 9], 2, tracklets_per_identity=2)
            >>> rest = list(sampler.over_epochs(2, epoch=1, batch=1))
            >>> rest == list(sampler)[1:]
            True
        """
        for number in range(epoch, epochs):
            self.set_epoch(number)
            yield from islice(self, batch if number == epoch else 0, None)

    def whole_batches(self) -> Iterator[list[Draw]]:
        """The epoch's batches of which each process is given its part."""
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.rows_of))
        identities = np.resize(order, (len(self), self.identities_per_batch))
        place = 0
        for batch in identities:
            draws = []
            for identity in batch:
                rows = rng.permutation(self.rows_of[identity])
                for row in np.resize(rows, self.tracklets_per_identity):
                    draws.append(Draw(int(row), (self.seed, self.epoch, place)))
                    place += 1
            yield draws
