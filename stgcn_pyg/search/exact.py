"""The nearest k of a gallery to each query, exactly, with a part of the gallery at a time.

Matrix products in float32, whose errors are bounded, leave few pairs in question. Only those get
their exact distances, so that the answer does not depend on the parts.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation.arrays import in_threads, slices
from stgcn_pyg.evaluation.distances import Distances
from stgcn_pyg.search.engine import Found

LONGEST = 2.0**30  # of an embedding: with longer ones, distances would depend on the parts
_QUERIES = 1024  # at a time
_FEW = 4  # queries, up to which each is compared by itself
_NUMBERS = 2**18  # of the embeddings that a thread compares at a time, for its cache
_MOST_DOUBTFUL = 1 / 16  # the share of a part from which on all of it is computed in float64


class Part(NamedTuple):
    """Some tracklets of a gallery, n of them."""

    ids: np.ndarray
    """``[n]`` int64."""
    embeddings: np.ndarray
    """``[n, D]`` float32."""
    left_out: np.ndarray | None = None
    """Boolean ``[Q, n]``: those that may not be found for a query; None: all may be."""


def nearest(queries: np.ndarray, parts: Iterable[Part], k: int) -> Found:
    """The nearest k of all parts to each query.

    The ids and distances are those of sorting :func:`.pairwise_distances` by distance and id,
    whatever the parts and their order.

    Args:
        queries: ``[Q, D]`` of float32.
        parts: The tracklets, each in one part.
        k: Number of tracklets to find for each query.

    Raises:
        UserError: An embedding is not finite or longer than 2^30.

    Example:
        >>> queries = np.float32([[0, 0]])
        >>> parts = [Part(np.array([7, 8]), np.float32([[3, 4], [0, 1]]))]
        >>> nearest(queries, parts, k=3)
        Found(ids=array([[ 8,  7, -1]]), distances=array([[ 1.,  5., inf]], dtype=float32))
    """
    require_usable("queries", queries)
    best = Nearest(queries, k)
    for part in filter(lambda part: len(part.ids), parts):
        if len(queries) <= _FEW:  # preparing the factors of a product takes longer
            for query in range(len(queries)):
                rows = slice(None) if part.left_out is None else ~part.left_out[query]
                ids = part.ids[rows]
                best.compare(np.full(len(ids), query), ids, part.embeddings[rows])
            continue
        for some in slices(0, len(queries), _QUERIES):
            best.add(*_candidates(queries, some, part, best))
    return best.found


class Nearest:
    """The nearest k tracklets to each of Q queries among those that were added.

    Attributes:
        queries: The queries, ``[Q, D]``.
        found: The ids and distances of the nearest, in order.
    """

    def __init__(self, queries: np.ndarray, k: int):
        self.queries, shape = queries, (len(queries), k)
        self._lengths = np.linalg.norm(queries.astype(np.float64), axis=1)
        self.found = Found(np.full(shape, -1, np.int64), np.full(shape, np.inf, np.float32))

    @property
    def farthest(self) -> np.ndarray:
        """The distance of each query's k-th, ``[Q]``; infinity while there are fewer."""
        return self.found.distances[:, -1]

    def compare(self, query: np.ndarray, ids: np.ndarray, embeddings: np.ndarray) -> None:
        """Adds those of M pairs that may be among the nearest, with their exact distances.

        Args:
            query: Row of the query, ``[M]``.
            ids: Id of the tracklet, ``[M]``.
            embeddings: Embedding of the tracklet, ``[M, D]`` of float32.
        """
        near = np.flatnonzero(self._may_be_near(query, embeddings))
        if len(near):
            of, place = np.unique(query[near], return_inverse=True)
            pair = torch.from_numpy(self.queries[of]), torch.from_numpy(embeddings[near])
            distances = Distances(*pair)
            exact = distances.of(place, np.arange(len(near))) * np.float32(distances.unit)
            self.add(of[place], ids[near], exact)

    def _may_be_near(self, query: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
        """Which of M pairs may be among the nearest, by their distances in float32."""
        width = embeddings.shape[1]

        def sums(some: slice) -> np.ndarray:
            differences = self.queries[query[some]]
            np.subtract(embeddings[some], differences, out=differences)
            return np.einsum("nd,nd->n", differences, differences)

        parts = slices(0, len(query), max(1, _NUMBERS // max(1, width)))
        found = in_threads(sums, parts, embeddings.size)
        squares = np.concatenate([np.empty(0, np.float32), *found]).astype(np.float64)
        # A sum of D squares is off by (D + 2) / 2^24 of itself at most, and where squares are below
        # the least float32 by that of each. Distances are rounded, too.
        error, least = (width + 16) * 2.0**-23, width * 2.0**-148
        limit = self.farthest[query].astype(np.float64) ** 2
        k = self.found.ids.shape[1]
        if len(query) > k and (query == query[0]).all():
            # There are k within the k-th of these, too.
            limit = np.minimum(limit, np.partition(squares, k - 1)[k - 1] * (1 + error) + least)
        rounding = 1e-11 * (self._lengths[query] + np.sqrt(limit)) ** 2
        return squares * (1 - error) - least <= limit + rounding

    def add(self, query: np.ndarray, ids: np.ndarray, distances: np.ndarray) -> None:
        """Adds M pairs: the row of the query, the tracklet's id, and their distance."""
        touched, query = np.unique(query, return_inverse=True)
        before, k = Found(*(array[touched] for array in self.found)), self.found.ids.shape[1]
        query = np.concatenate([np.repeat(np.arange(len(touched)), k), query])
        ids = np.concatenate([before.ids.ravel(), ids])
        distances = np.concatenate([before.distances.ravel(), distances])
        order = np.lexsort((ids, distances, query))
        # Each has k at least, those from before.
        first = np.searchsorted(query[order], np.arange(len(touched)))[:, None] + np.arange(k)
        self.found.ids[touched] = ids[order][first]
        self.found.distances[touched] = distances[order][first]


def _candidates(
    queries: np.ndarray, rows: slice, part: Part, best: Nearest
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of a part that may be among the nearest k, with their exact distances."""
    k, count = best.found.ids.shape[1], rows.stop - rows.start
    try:
        distances = Distances(torch.from_numpy(queries[rows]), torch.from_numpy(part.embeddings))
    except ValueError as error:
        raise UserError(f"gallery: {error}") from error
    every = slice(0, count), slice(0, len(part.ids))
    rough = distances.rough(distances.a.tile(every[0]), distances.b.tile(every[1]))
    if part.left_out is not None:
        rough.masked_fill_(torch.from_numpy(part.left_out[rows]), torch.inf)
    farthest = torch.from_numpy(best.farthest[rows].astype(np.float64) / distances.unit)[:, None]
    high = distances.limits(every[0], farthest)[1]
    doubtful = _up_to(rough, high)
    if doubtful.sum() > 4 * k * count and k <= len(part.ids):
        # There are k within the k-th of this part, too.
        margin = distances.limits(every[0], torch.zeros_like(farthest))[1]
        own = rough.kthvalue(k, dim=1, keepdim=True).values.double() + 2.1 * margin
        doubtful = _up_to(rough, torch.minimum(high, own))
    row, column = (index.numpy() for index in doubtful.nonzero(as_tuple=True))
    if len(row) > _MOST_DOUBTFUL * rough.numel():
        exact = distances.block(*every)[row, column]
    else:
        exact = distances.of(row, column)
    return row + rows.start, part.ids[column], exact * np.float32(distances.unit)


def _up_to(rough: Tensor, high: Tensor) -> Tensor:
    """Which are at most so high, and not left out: a boolean ``[Q, n]``."""
    infinity = torch.tensor(torch.inf)
    return (rough <= torch.nextafter(high.float(), infinity)) & (rough < infinity)


def require_usable(name: str, embeddings: np.ndarray) -> None:
    """Raises a UserError if embeddings ``[N, D]`` are not finite or longer than 2^30."""
    for rows in slices(0, len(embeddings), 1024):
        some = embeddings[rows].astype(np.float64)
        bad = ~(np.einsum("nd,nd->n", some, some) < LONGEST**2)  # not NaN either
        if bad.any():
            raise UserError(
                f"{name}: row {rows.start + int(bad.argmax())} is not finite or longer than 2^30: "
                "look at the model that made it"
            )
