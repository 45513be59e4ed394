"""The exact answer comes out of whatever float32 makes of a database's distances."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from stgcn_pyg.evaluation.distances import pairwise_distances
from stgcn_pyg.search.answers import Candidates, nearest


class RoundingDatabase:
    """Sums of squares are off by as much as float32 may be, in the worst way that `rng` finds."""

    def __init__(self, embeddings, queries, rng, misses=0):
        self.embeddings, self.queries = embeddings, queries
        squares = ((queries[:, None].astype(np.float64) - embeddings) ** 2).sum(axis=2)
        off = rng.choice([-1, 0, 1], squares.shape) * (embeddings.shape[1] + 7) * 2.0**-24
        self.distances = np.sqrt(squares * (1 + off))
        self.misses = misses
        self.limits = []

    def ask(self, rows, limit, exact):
        self.limits.append(limit)
        for row in rows:
            order = self.distances[row].argsort(kind="stable")[:limit]
            if not exact:
                order = order[self.misses :]
            farthest = self.distances[row, order[-1]] if len(order) else 0.0
            yield Candidates(order, self.embeddings[order], farthest)


def exactly(queries, embeddings, k):
    distances = pairwise_distances(queries, embeddings).numpy()
    order = [np.lexsort((np.arange(len(embeddings)), row))[:k] for row in distances]
    return np.array(order), np.take_along_axis(distances, np.array(order), axis=1)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 120),
    spread=st.sampled_from([0, 1e-8, 1e-7, 1e-6]),
    k=st.integers(1, 9),
)
def test_near_duplicates_and_ties_are_found_in_exact_order(seed, count, spread, k):
    rng = np.random.default_rng(seed)
    k = min(k, count)
    embeddings = rng.integers(0, 2, (count, 3)) + spread * rng.normal(size=(count, 3))
    embeddings, queries = embeddings.astype(np.float32), np.float32([[0, 0, 0], [0.5, 1, 3]])
    database = RoundingDatabase(embeddings, queries, rng)
    found = nearest(lambda *asked: list(database.ask(*asked)), queries, k)
    ids, distances = exactly(queries, embeddings, k)
    assert_array_equal(found.ids, ids)
    assert_array_equal(found.distances, distances)


def test_few_are_asked_for_where_no_other_can_be_as_near():
    rng = np.random.default_rng(0)
    embeddings, queries = rng.random((500, 64), np.float32), rng.random((3, 64), np.float32)
    database = RoundingDatabase(embeddings, queries, rng)
    nearest(lambda *asked: list(database.ask(*asked)), queries, k=10)
    assert database.limits == [22]


def test_where_an_index_gives_too_few_all_are_compared():
    rng = np.random.default_rng(0)
    embeddings, queries = rng.random((150, 8), np.float32), rng.random((2, 8), np.float32)
    database = RoundingDatabase(embeddings, queries, rng, misses=3)
    found = nearest(lambda *asked: list(database.ask(*asked)), queries, k=10, exact=False)
    assert_array_equal(found.ids, exactly(queries, embeddings, 10)[0])
