"""Which frames make a clip, and which tracklets make a batch."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from stgcn_pyg.errors import UserError


def restricted_random(num_frames: int, clip_length: int, rng: np.random.Generator) -> np.ndarray:
    """Restricted random sampling (Li et al., CVPR 2018): one frame from each of T equal chunks.

    A tracklet shorter than T repeats its last frame.

    Args:
        num_frames: Of the tracklet.
        clip_length: T.
        rng: Draws the frames.

    Returns:
        Increasing indices of frames, ``[T]``.

    Example:
        >>> restricted_random(3, 5, np.random.default_rng(0))
        array([0, 1, 2, 2, 2])
    """
    first, last = _chunks(num_frames, clip_length)
    return rng.integers(first, last)


def spread_clips(num_frames: int, clip_length: int) -> np.ndarray:
    """Clips that spread over the tracklet as in training and together hold every frame.

    The tracklet is cut into T equal chunks; clip c takes frame c of each, or the last frame of a
    chunk that is shorter.

    Returns:
        Indices of frames, ``[clips, T]``; the first row is the first frame of each chunk.

    Example:
        >>> spread_clips(8, 3)
        array([[0, 2, 5],
               [1, 3, 6],
               [1, 4, 7]])
    """
    first, last = _chunks(num_frames, clip_length)
    offset = np.arange((last - first).max())[:, None]
    return np.minimum(first + offset, last - 1)


def consecutive_clips(num_frames: int, clip_length: int) -> np.ndarray:
    """Clips of T frames in a row, end to end; the last repeats the tracklet's last frame.

    Returns:
        Indices of frames, ``[clips, T]``.

    Example:
        >>> consecutive_clips(5, 3)
        array([[0, 1, 2],
               [3, 4, 4]])
    """
    starts = np.arange(0, num_frames, clip_length)[:, None]
    return np.minimum(starts + np.arange(clip_length), num_frames - 1)


def _chunks(num_frames: int, clip_length: int) -> tuple[np.ndarray, np.ndarray]:
    """The first frame of each of T chunks, and the one after its last."""
    if num_frames < clip_length:
        first = np.minimum(np.arange(clip_length), num_frames - 1)
        return first, first + 1
    edges = np.arange(clip_length + 1) * num_frames // clip_length
    return edges[:-1], edges[1:]


class Draw(NamedTuple):
    """One tracklet of a batch, and the seed of all that is random about its clip."""

    row: int
    seed: tuple[int, ...]


class PKSampler(Sampler[list[Draw]]):
    """Batches of P people x K tracklets that take in every person once an epoch.

    The last batch is filled up with people from the epoch's beginning. A person with fewer than
    K tracklets repeats some. Every draw follows from the seed, the epoch and its place in the
    epoch, so that any number of workers and a resumed run see the same batches.

    Args:
        pids: The person of each training tracklet.
        people_per_batch: P.
        tracklets_per_person: K.
        seed: Of every draw.

    Raises:
        UserError: There are fewer people than P, or P or K is below 2.

    Example:
        >>> sampler = PKSampler([7, 7, 8, 8, 9, 9], people_per_batch=2, tracklets_per_person=2)
        >>> [[draw.row for draw in batch] for batch in sampler]
        [[5, 4, 0, 1], [2, 3, 5, 4]]
    """

    def __init__(
        self,
        pids: Sequence[int],
        people_per_batch: int = 16,
        tracklets_per_person: int = 4,
        seed: int = 0,
    ):
        if people_per_batch < 2 or tracklets_per_person < 2:
            raise UserError(
                f"batches of {people_per_batch} people x {tracklets_per_person} tracklets have no "
                f"triplets: both must be at least 2"
            )
        labels = np.asarray(pids)
        self.rows_of = [np.flatnonzero(labels == pid) for pid in np.unique(labels)]
        if len(self.rows_of) < people_per_batch:
            raise UserError(
                f"there are {len(self.rows_of)} people to train on, fewer than "
                f"people_per_batch={people_per_batch}: lower it"
            )
        self.people_per_batch = people_per_batch
        self.tracklets_per_person = tracklets_per_person
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Moves to another epoch; Lightning calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.rows_of) // self.people_per_batch)

    def __iter__(self) -> Iterator[list[Draw]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.rows_of))
        people = np.resize(order, len(self) * self.people_per_batch)
        place = 0
        for batch in people.reshape(len(self), self.people_per_batch):
            draws = []
            for person in batch:
                for row in self._tracklets(self.rows_of[person], rng):
                    draws.append(Draw(int(row), (self.seed, self.epoch, place)))
                    place += 1
            yield draws

    def _tracklets(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.resize(rng.permutation(rows), self.tracklets_per_person)
