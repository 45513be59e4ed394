"""The contract's exact answers out of what a database finds by its own float32 distances."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from stgcn_pyg.errors import whole_number
from stgcn_pyg.evaluation.distances import pairwise_distances
from stgcn_pyg.search.engine import Found

SPARE = 12  # candidates beyond k: mostly enough to see that no other can be as near
SPARE_APPROXIMATE = 90  # the same of an index, which may have missed some
_GROWTH = 4
_ROUNDING = 2.0**-24
_SMALLEST = 2.0**-149


class Candidates(NamedTuple):
    """What a database answers to one query: its nearest n, the farthest last."""

    ids: np.ndarray
    """``[n]`` int64."""
    embeddings: np.ndarray
    """``[n, D]`` float32, as they were added."""
    farthest: float
    """The database's own distance of the last of them."""


Ask = Callable[[np.ndarray, int, bool], Sequence[Candidates]]
"""The candidates of some queries: their rows, how many of each at most, and whether all tracklets
are to be compared (True) or an index may choose (False)."""


def nearest(ask: Ask, queries: np.ndarray, k: int, exact: bool = True) -> Found:
    r"""The nearest k of each query, with distances and ties as :class:`.Engine` promises.

    A database computes in float32 and may put near ones in another order. The sum of D squares that
    it gives as :math:`s` is off by a factor of at most :math:`1 \pm (D + 8)\,2^{-24}`, in whatever
    order it adds (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2). So what it
    did not give is farther than a bound that follows from the last of what it gave. While the
    k-th exact distance is not below that bound, more candidates are asked for, up to all.

    Args:
        ask: Gives candidates.
        queries: Embeddings ``[Q, D]`` of float32.
        k: The number of tracklets to find.
        exact: Whether every tracklet is compared. Otherwise the first k + 90 candidates of an index
            are taken as they are; where it gives fewer, all tracklets are compared.

    Example:
        >>> gallery = np.float32([[3.0], [1.0], [1.0]])
        >>> def ask(rows, limit, exact):  # a database of three tracklets
        ...     return [Candidates(np.array([1, 2, 0]), gallery[[1, 2, 0]], 3.0) for _ in rows]
        >>> nearest(ask, np.float32([[0.0]]), k=2)
        Found(ids=array([[1, 2]]), distances=array([[1., 1.]], dtype=float32))
    """
    k = whole_number("k", k)
    found = Found(
        np.full((len(queries), k), -1, dtype=np.int64),
        np.full((len(queries), k), np.inf, dtype=np.float32),
    )
    rows, limit = np.arange(len(queries)), k + (SPARE if exact else SPARE_APPROXIMATE)
    while len(rows):
        again = []
        for row, given in zip(rows, ask(rows, limit, exact), strict=True):
            query, all_given = queries[row : row + 1], len(given.ids) < limit
            distances = np.empty(0, dtype=np.float32)
            if len(given.ids):
                distances = pairwise_distances(query, given.embeddings)[0].numpy()
            order = np.lexsort((given.ids, distances))[:k]
            found.ids[row, : len(order)] = given.ids[order]
            found.distances[row, : len(order)] = distances[order]
            if exact:
                done = all_given or found.distances[row, -1] < _least_of_others(query, given)
            else:
                done = not all_given
            if not done:
                again.append(row)
        rows = np.array(again, dtype=np.int64)
        limit, exact = limit * _GROWTH if exact else limit, True
    return found


def _least_of_others(query: np.ndarray, given: Candidates) -> float:
    """What the float32 distance of any that was not given is at least, as our own rounds it."""
    width = query.shape[1]
    square = given.farthest**2 * (1 - (width + 8) * _ROUNDING) - width * _SMALLEST
    if square <= 0:
        return 0.0
    length = np.linalg.norm(query.astype(np.float64))
    # Ours are rounded to a multiple of 1e-12 of the squared lengths, then to float32.
    square -= 1e-12 * (length**2 + (length + square**0.5) ** 2)
    return max(square, 0.0) ** 0.5 * (1 - 2 * _ROUNDING)
