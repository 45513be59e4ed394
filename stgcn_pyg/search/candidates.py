"""The nearest k by codes: estimates choose candidates, whose exact distances decide.

A tracklet among the nearest k is missed only if the estimate of its squared distance is too large
by more than its codes allow for (:class:`.CodeFacts`), whatever k and the filter are. All that are
estimated within that are compared exactly, so that ties are decided as in an exact search.
"""

import mmap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stgcn_pyg.errors import needs_extra
from stgcn_pyg.evaluation.arrays import in_threads, slices
from stgcn_pyg.search.codes import Codes
from stgcn_pyg.search.engine import Found
from stgcn_pyg.search.exact import Nearest

with needs_extra("search"):
    import faiss

_NUMBERS = 2**20  # of the embeddings that are compared at a time, for the processor's cache
_STEPS = (1, 4)  # times k candidates are compared before all others that may be near
_MORE = 8  # times as many candidates are looked for where there were too few


class CodedPart(NamedTuple):
    """A segment of a gallery, with n tracklets, and its codes."""

    ids: np.ndarray
    """``[n]`` int64."""
    embeddings: np.ndarray
    """``[n, D]`` float32, also mapped into memory."""
    codes: Codes
    allowed: np.ndarray
    """Which may be found, a boolean ``[n]``."""
    left_out: np.ndarray | None = None
    """Boolean ``[Q, n]``: those that may not be found for a query; None: all may be."""


def nearest_by_codes(
    queries: np.ndarray, parts: Sequence[CodedPart], k: int, others: Found | None = None
) -> tuple[Found, np.ndarray]:
    """The nearest k of all parts to each query, nearly always those of :func:`.nearest`.

    Memory grows with the queries times the tracklets: give a hundred queries at a time.

    Args:
        queries: ``[Q, D]`` of float32, finite and not longer than 2^30.
        parts: The tracklets, each in one part.
        k: Number of tracklets to find for each query.
        others: The nearest k of other tracklets, if there are any.

    Returns:
        The nearest k of all, with their exact distances; and the number of candidates that were
        compared for each query, ``[Q]``.

    Example:
        >>> gallery = np.random.default_rng(0).random((2000, 64), dtype=np.float32)
        >>> part = CodedPart(np.arange(2000), gallery, Codes.of(gallery), np.full(2000, True))
        >>> found, compared = nearest_by_codes(gallery[:1], [part], k=2)
        >>> int(found.ids[0, 0]), float(found.distances[0, 0]), bool(compared[0] < 2000)
        (0, 0.0, True)
    """
    best = Nearest(queries, k)
    if others is not None:
        best.found = others
    searches = [_Search(queries, part, best) for part in parts if part.allowed.any()]
    _look(searches)
    if searches:
        # Those of the lowest estimates first: they limit how far away the others can be.
        lowest = np.concatenate([search.estimates for search in searches], axis=1)
        places = [min(step * k, lowest.shape[1]) - 1 for step in _STEPS]
        for limit in np.partition(lowest, places, axis=1)[:, places].T:
            _compare(searches, limit)
    left = searches
    while left:
        _compare(left)
        left = [search for search in left if search.needs_more()]
        _look(left)
    compared = [search.num_compared() for search in searches]
    return best.found, np.sum(compared, axis=0, dtype=np.int64) + np.zeros(len(queries), np.int64)


def _look(searches: Sequence["_Search"]) -> None:
    """Finds candidates in each part, a thread for a part at a time."""
    numbers = sum(len(s.which) * s.part.embeddings.size for s in searches) // 32
    in_threads(_Search.look, searches, numbers)


def _compare(searches: Sequence["_Search"], limit: np.ndarray | float = np.inf) -> None:
    """Compares the candidates whose estimates are at most a limit, and low enough to matter."""
    pairs = [search.take(limit) for search in searches]
    for search, (_, rows) in zip(searches, pairs, strict=True):
        _read_ahead(search.part.embeddings, np.unique(rows))
    number = np.repeat(np.arange(len(pairs)), [len(rows) for _, rows in pairs])
    query, row = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
    first = searches[0]
    for some in slices(0, len(row), max(1, _NUMBERS // first.queries.shape[1])):
        embeddings = np.empty((some.stop - some.start, first.queries.shape[1]), dtype=np.float32)
        ids = np.empty(len(embeddings), dtype=np.int64)
        for which in np.unique(number[some]):
            of_part = number[some] == which
            part, rows = searches[which].part, row[some][of_part]
            embeddings[of_part], ids[of_part] = part.embeddings[rows], part.ids[rows]
        first.best.compare(query[some], ids, embeddings)


class _Search:
    """The search of one part.

    Attributes:
        which: The queries that candidates are looked for: ``[W]``.
        estimates, rows: The candidates of each, ``[W, C]``; the estimate is infinite where there is
            none, and where it needs no comparison.
    """

    def __init__(self, queries: np.ndarray, part: CodedPart, best: Nearest):
        self.queries, self.part, self.best = queries, part, best
        self.spread = part.codes.spread(queries)
        self.done = np.zeros((len(queries), len(part.ids)), dtype=bool)
        if part.left_out is not None:
            self.done |= part.left_out
        self.num_left_out = self.done.sum(axis=1)
        self.num_allowed = int(part.allowed.sum())
        k = best.found.ids.shape[1]
        self.count = min(self.num_allowed, k + part.codes.facts.candidates)
        self.which = np.arange(len(queries))

    def look(self) -> None:
        """Finds candidates by their estimates."""
        faiss.omp_set_num_threads(1)  # of this thread; others search other parts
        whole = self.num_allowed == len(self.part.ids)
        allowed = None if whole else self.part.allowed
        queries = self.queries[self.which]
        self.estimates, self.rows = self.part.codes.nearest(queries, self.count, allowed)
        self.last = self.estimates[:, -1].copy()
        self.estimates[self.done[self.which[:, None], self.rows]] = np.inf

    def limit(self) -> np.ndarray:
        """The highest estimates that may be of one of the nearest k: ``[Q]``."""
        farthest = self.best.farthest.astype(np.float64)
        return farthest**2 + self.part.codes.slack(self.spread, farthest)

    def take(self, limit: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """The candidates to compare: the number of the query, and the row."""
        limit = np.minimum(self.limit(), limit)[self.which, None]
        wanted = (self.estimates <= limit) & (self.estimates < np.inf)
        place, column = np.nonzero(wanted)
        query, rows = self.which[place], self.rows[place, column]
        self.estimates[wanted] = np.inf
        self.done[query, rows] = True
        return query, rows

    def needs_more(self) -> bool:
        """Whether there may be more candidates for a query: which are looked for next."""
        short = (self.last <= self.limit()[self.which]) & (self.count < self.num_allowed)
        self.which = self.which[short]
        self.count = min(self.num_allowed, _MORE * self.count)
        return len(self.which) > 0

    def num_compared(self) -> np.ndarray:
        """The number of candidates that were compared for each query: ``[Q]``."""
        return self.done.sum(axis=1) - self.num_left_out


def _read_ahead(embeddings: np.ndarray, rows: np.ndarray) -> None:
    """Has the system read rows that are mapped from a file, all at once and nothing between."""
    if isinstance(embeddings, np.memmap) and isinstance(embeddings.base, mmap.mmap):
        size = embeddings.strides[0]
        start = embeddings.offset % mmap.ALLOCATIONGRANULARITY + rows * size
        page = start // mmap.PAGESIZE * mmap.PAGESIZE
        for first, length in zip(page.tolist(), (start + size - page).tolist(), strict=True):
            embeddings.base.madvise(mmap.MADV_WILLNEED, first, length)
