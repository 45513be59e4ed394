"""Exact search: the answer of plain loops over all distances, whatever the parts and the filter."""

from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from galleries import alike, found_by_loops, gallery_of, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import pairwise_distances
from stgcn_pyg.search import Filter, Gallery, Queries
from stgcn_pyg.search.exact import Part, nearest

SEEDS = st.integers(0, 2**32 - 1)


def some(values):
    return st.none() | st.lists(st.sampled_from(values), min_size=1, max_size=2)


FILTERS = st.builds(
    Filter,
    camids=some([1, 2, 3]),
    pids=some([-1, 0, 1, 2]),
    datasets=some(["mars", "ward", "nowhere"]),
    after=st.none() | st.integers(0, 25),
    before=st.none() | st.integers(0, 25),
    same_camera=st.sampled_from([None, "person", "all"]),
)


def queries_of(embeddings, rng, count):
    """Some of the gallery's own embeddings and some others, with labels."""
    own = embeddings[rng.integers(0, len(embeddings), count)]
    other = alike(count, embeddings.shape[1], rng)
    chosen = np.where(rng.random((count, 1)) < 0.5, own, other)
    return Queries(chosen, rng.integers(-1, 5, count), rng.integers(1, 4, count))


def assert_same(found, ids, distances):
    np.testing.assert_array_equal(found.ids, ids)
    np.testing.assert_array_equal(found.distances, distances)
    assert (found.ids.dtype, found.distances.dtype) == (np.int64, np.float32)


@settings(deadline=None, max_examples=40)
@given(
    seed=SEEDS,
    count=st.integers(1, 40),
    width=st.integers(1, 20),
    num_queries=st.integers(0, 8),
    k=st.integers(1, 45),
    where=FILTERS,
    part_rows=st.none() | st.integers(1, 12),
)
def test_the_gallery_finds_what_loops_over_all_distances_find(
    seed, count, width, num_queries, k, where, part_rows
):
    rng = np.random.default_rng(seed)
    embeddings = alike(count, width, rng)
    tracklets = rows(count, rng).assign(dataset=rng.choice(["mars", "ward"], count))
    queries = queries_of(embeddings, rng, num_queries)
    cuts = np.sort(rng.integers(0, count + 1, rng.integers(0, 4)))
    removed = np.flatnonzero(rng.random(count) < 0.2)
    with TemporaryDirectory() as folder:
        gallery = gallery_of(f"{folder}/gallery", embeddings, tracklets, cuts)
        assert gallery.remove(removed) == len(removed)
        if rng.random() < 0.3:
            gallery.compact()
        found = gallery.search(queries, k, where, part_rows)
    kept = np.delete(np.arange(count), removed)
    assert_same(found, *found_by_loops(queries, embeddings[kept], tracklets.iloc[kept], k, where))


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, count=st.integers(1, 300), k=st.integers(1, 30), scale=st.integers(-35, 27))
def test_parts_and_their_order_change_no_bit(seed, count, k, scale):
    rng = np.random.default_rng(seed)
    embeddings = np.ldexp(alike(count, 24, rng), scale)
    queries = Queries(np.concatenate([embeddings[:3], np.ldexp(alike(3, 24, rng), scale)]))
    ids = rng.permutation(10 * count)[:count]
    expected = found_by_loops(queries, embeddings, rows(count, rng).set_index(ids), k)
    for parts in (1, 2, 7):
        cut = np.array_split(rng.permutation(count), parts)
        for few in (6, 2):  # few are compared in another way
            chosen = [Part(ids[p], embeddings[p]) for p in cut]
            found = nearest(queries.embeddings[:few], chosen, k)
            assert_same(found, *(values[:few] for values in expected))


def test_lengths_that_differ_by_far_give_the_distances_of_all_together():
    # In parts of their own, the first would be computed in another unit than the last.
    embeddings = np.float32([[1e-30], [2e-30], [1], [1e9], [9e8]])
    queries = np.float32([[0], [3e-30], [1e9]])
    parts = [Part(np.array([row]), embeddings[row : row + 1]) for row in range(5)]
    found = nearest(queries, parts, k=5)
    many = nearest(np.repeat(queries, 2, axis=0), parts, k=5)
    assert_same(found, many.ids[::2], many.distances[::2])
    matrix = pairwise_distances(queries, embeddings).numpy()
    order = np.argsort(matrix, axis=1, kind="stable")
    np.testing.assert_array_equal(found.ids, order)
    np.testing.assert_array_equal(found.distances, np.take_along_axis(matrix, order, axis=1))


@pytest.mark.parametrize("passed", [0, 1, 4, 5])  # of k = 5
def test_a_filter_that_passes_few_gives_all_of_them(tmp_path, passed):
    rng = np.random.default_rng(0)
    embeddings, tracklets = alike(400, 16, rng), rows(400, rng).assign(camid=1)
    chosen = rng.permutation(400)[:passed]
    tracklets.loc[chosen, "camid"] = 2
    gallery = gallery_of(tmp_path / "gallery", embeddings, tracklets, cuts=[100, 250])
    found = gallery.search(Queries(embeddings[:3]), 5, Filter(camids=[2]))
    assert [sorted(row)[5 - passed :] for row in found.ids.tolist()] == [sorted(chosen)] * 3
    assert (found.ids[:, passed:] == -1).all()
    assert np.isinf(found.distances[:, passed:]).all()
    assert np.isfinite(found.distances[:, :passed]).all()


@pytest.mark.parametrize("width", [1, 300])
def test_equal_embeddings_are_found_by_their_ids(tmp_path, width):
    rng = np.random.default_rng(0)
    same = np.tile(rng.normal(size=width).astype(np.float32), (700, 1))
    gallery = gallery_of(tmp_path / "gallery", same, rows(700, rng), cuts=[300])
    found = gallery.search(Queries(same[:2]), 6, part_rows=64)
    assert found.ids.tolist() == [list(range(6))] * 2
    assert not found.distances.any()


def test_threads_change_no_bit(tmp_path):
    rng = np.random.default_rng(0)
    embeddings = rng.random((3000, 700), dtype=np.float32)
    embeddings[1500:] = embeddings[:1500] + rng.choice([0, 1e-6], (1500, 1)).astype(np.float32)
    gallery = gallery_of(tmp_path / "gallery", embeddings, rows(3000, rng))
    queries = Queries(embeddings[::60])
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(gallery.search(queries, 20))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert_same(other, *found[0])
    assert_same(found[0], *found_by_loops(queries, embeddings, gallery.tracklets(), 20))


@pytest.mark.parametrize(
    ("queries", "k", "where", "message"),
    [
        (Queries(np.zeros((1, 3))), 1, Filter(), "queries: embeddings of shape [1, 3]"),
        (Queries(np.zeros(2)), 1, Filter(), "queries: embeddings of shape [2]"),
        (Queries(np.float32([[0, 0], [np.nan, 0]])), 1, Filter(), "queries: row 1 is not finite"),
        (Queries(np.float32([[2e9, 0]])), 1, Filter(), "queries: row 0 is not finite or longer"),
        (Queries(np.zeros((1, 2))), 0, Filter(), "k=0: pass a whole number of at least 1"),
        (Queries(np.zeros((1, 2))), 1, Filter(same_camera="all"), "pass camids of all queries"),
        (
            Queries(np.zeros((1, 2)), camids=np.array([1])),
            1,
            Filter(same_camera="person"),
            "pass pids of all queries",
        ),
        (Queries(np.zeros((1, 2))), 1, Filter(same_camera="some"), "same_camera='some' is unknown"),
    ],
)
def test_queries_that_do_not_fit_are_refused(tmp_path, queries, k, where, message):
    gallery = gallery_of(
        tmp_path / "gallery", np.zeros((3, 2), np.float32), rows(3, np.random.default_rng(0))
    )
    with pytest.raises(UserError, match=r"^[^\n]+$") as caught:
        gallery.search(queries, k, where)
    assert message in str(caught.value)


def test_an_empty_gallery_finds_nobody(tmp_path):
    gallery = Gallery.create(tmp_path / "gallery", width=2, checkpoint_sha256="a" * 64)
    found = gallery.search(Queries(np.zeros((2, 2), np.float32)), 3)
    assert (found.ids == -1).all()
    assert np.isinf(found.distances).all()
