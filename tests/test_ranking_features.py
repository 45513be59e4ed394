"""Features give what their float64 distances give, though few of these are computed."""

import numpy as np
import pytest
import torch
from conftest import slow
from ranking_by_the_book import random_case

from benchmarks.measuring import peak_resident
from stgcn_pyg.evaluation import evaluate_features, evaluate_ranking, pairwise_distances
from stgcn_pyg.evaluation.distances import Distances

METRICS = pytest.mark.parametrize("metric", ["euclidean", "cosine"])
pytestmark = pytest.mark.filterwarnings("ignore:.*queries have no match")
OPTIONS = {"ap": "trapezoid", "same_camera": "all", "depth": 900}


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("block_size", [1, 7, 64])
def test_a_constant_embedding_gets_the_worst_score_by_features_too(metric, block_size):
    # 1,037 columns: the edge of a BLAS tile must not tell equal pairs apart.
    rng = np.random.default_rng(0)
    feature = rng.normal(size=(1, 513)).astype(np.float32)
    queries, gallery = np.repeat(feature, 20, 0), np.repeat(feature, 1037, 0)
    pids = np.arange(1037) % 20
    labels = (np.arange(20), pids, np.zeros(20, dtype=int), np.ones(1037, dtype=int))
    result = evaluate_features(queries, gallery, *labels, metric=metric, block_size=block_size)
    non_matches = [(pids != q).sum() for q in range(20)]
    np.testing.assert_array_equal(result.first_match_rank, np.array(non_matches) + 1)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("block_size", [1, 5, 12, 100])
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_features_give_what_their_distances_give_for_every_block_size(metric, block_size, convert):
    case = random_case(3)
    rng = np.random.default_rng(4)
    queries = rng.normal(size=(12, 8)).astype(np.float32)
    gallery = rng.normal(size=(60, 8)).astype(np.float32)
    gallery[::3] = gallery[0]  # duplicates tie
    whole = case._replace(distances=pairwise_distances(queries, gallery, metric))
    options = {"ap": "trapezoid", "same_camera": "all", "depth": 9, "max_rank": 10}
    a = evaluate_ranking(*whole, **options)
    b = evaluate_features(
        convert(queries), convert(gallery), *case[1:], metric, block_size=block_size, **options
    )
    np.testing.assert_array_equal(a.average_precision, b.average_precision)
    np.testing.assert_array_equal(a.first_match_rank, b.first_match_rank)
    assert a.to_dict() == b.to_dict()


def test_distances_are_those_of_the_definition_also_between_near_duplicates():
    rng = np.random.default_rng(0)
    a = 10 * rng.normal(size=(6, 300))
    b = np.concatenate([a[:3] + 1e-3 * rng.normal(size=(3, 300)), rng.normal(size=(4, 300))])
    oracle = np.sqrt(((a[:, None] - b) ** 2).sum(-1))
    np.testing.assert_allclose(pairwise_distances(a, b), oracle, rtol=1e-4)
    assert (pairwise_distances(a, a).diagonal() == 0).all()
    cosine = 1 - (a @ b.T) / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    np.testing.assert_allclose(pairwise_distances(a, b, "cosine"), cosine, atol=1e-7)
    assert pairwise_distances(np.zeros((1, 4)), np.zeros((1, 4))).item() == 0
    of_zeros = pairwise_distances(np.zeros((1, 4)), np.array([[0] * 4, [200] * 4], float))
    assert of_zeros.tolist() == [[0, 400]]  # and no warning of an overflow
    assert pairwise_distances(np.zeros((1, 4)), np.ones((1, 4)), "cosine").item() == 1


def crowded(spread, width, num_gallery=3000, num_queries=24, seed=0):
    """Features that stand in pairs and heaps ``spread`` apart, and their labels."""
    rng = np.random.default_rng(seed)
    heaps = rng.normal(size=(7, width))
    heap_of = rng.integers(7, size=num_gallery + num_queries)
    features = heaps[heap_of] + spread * rng.normal(size=(len(heap_of), width))
    features[: num_gallery // 2] = features[num_gallery // 2 : num_gallery // 2 * 2]
    labels = (
        rng.integers(0, 60, num_queries),
        rng.integers(-1, 60, num_gallery),
        rng.integers(0, 3, num_queries),
        rng.integers(0, 3, num_gallery),
    )
    features = features.astype(np.float32)
    return features[num_gallery:], features[:num_gallery], labels


def assert_equal_results(a, b):
    np.testing.assert_array_equal(a.average_precision, b.average_precision)
    np.testing.assert_array_equal(a.first_match_rank, b.first_match_rank)
    np.testing.assert_array_equal(a.inverse_negative_penalty, b.inverse_negative_penalty)
    assert a.to_dict() == b.to_dict()


@METRICS
@pytest.mark.parametrize("width", [1, 30, 1000])  # of which 512 are added up at a time
@pytest.mark.parametrize("spread", [1.0, 1e-2, 1e-4, 1e-6, 0.0])
def test_they_give_what_their_distances_give_however_near_they_stand(metric, width, spread):
    queries, gallery, labels = crowded(spread, width)
    distances = pairwise_distances(queries, gallery, metric)
    whole = evaluate_ranking(distances, *labels, **OPTIONS)
    assert_equal_results(evaluate_features(queries, gallery, *labels, metric, **OPTIONS), whole)


@METRICS
def test_only_pairs_in_doubt_are_computed_in_float64_and_all_where_most_are(metric, monkeypatch):
    pairs, blocks = [], []
    of_pairs, block = Distances.of_pairs, Distances.block

    def counting_pairs(self, row, column):
        pairs.append(len(row))
        return of_pairs(self, row, column)

    def counting_blocks(self, rows, columns):
        blocks.append(columns)
        return block(self, rows, columns)

    monkeypatch.setattr(Distances, "of_pairs", counting_pairs)
    monkeypatch.setattr(Distances, "block", counting_blocks)
    queries, gallery, labels = crowded(1.0, 100)
    evaluate_features(queries, gallery, *labels, metric)
    assert not blocks
    assert 0 < sum(pairs[1:]) < 0.03 * len(queries) * len(gallery)
    evaluate_features(*crowded(0.0, 100)[:2], *labels, metric)
    assert {columns.stop for columns in blocks} >= {len(gallery)}


@METRICS
@pytest.mark.parametrize("width", [5, 512, 513, 3000])
@pytest.mark.parametrize("signs", ["both", "positive"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distances_by_a_product_are_off_by_less_than_their_bound(metric, width, signs, dtype):
    rng = np.random.default_rng(width)
    q, g = (
        rng.normal(size=(30, width)),
        rng.normal(size=(200, width)) * rng.exponential(1, (200, 1)),
    )
    if signs == "positive":  # so that every rounding of a sum goes the same way
        q, g = abs(q) + 1, abs(g) + 1
    distances = Distances(
        *(torch.from_numpy(x.astype(np.float32)).to(dtype) for x in (q, g)), metric
    )
    every = slice(0, 30), slice(0, 200)
    values = distances.rough(distances.a.tile(every[0]), distances.b.tile(every[1]))
    exact = distances.of_pairs(*np.divmod(np.arange(30 * 200), 200)).reshape(30, 200)
    off, bounds = abs(values.double().numpy() - exact), distances.bounds.numpy()[:, None]
    assert (off <= bounds).all()
    assert off.max() > 1e-4 * bounds.max()  # a bound, not the sky


@METRICS
@pytest.mark.parametrize("exponent", [-60, -30, 30, 70])
def test_their_scale_changes_nothing(metric, exponent):
    queries, gallery, labels = crowded(0.1, 40, num_gallery=2500)
    scaled = [np.float32(2.0**exponent) * features for features in (queries, gallery)]
    assert_equal_results(
        evaluate_features(*scaled, *labels, metric, **OPTIONS),
        evaluate_features(queries, gallery, *labels, metric, **OPTIONS),
    )


def test_what_overflows_in_float32_is_told_apart_from_what_is_left_out():
    crowd = crowded(0.1, 40, num_gallery=2500, num_queries=400)
    queries, gallery, (q_pids, pids, _, camids) = crowd
    q_pids[1:] = 99  # one query with matches: too few doubts to compute all in float64
    pids[::2] = -1
    labels = (q_pids, pids, np.full(len(q_pids), 9), camids)
    scaled = [np.float32(2.0**70) * features for features in (queries, gallery)]
    assert_equal_results(
        evaluate_features(*scaled, *labels), evaluate_features(queries, gallery, *labels)
    )


@METRICS
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_features_of_every_float_type_are_ranked(metric, dtype):
    queries, gallery, labels = crowded(0.1, 40, num_gallery=2500)
    queries, gallery = torch.from_numpy(queries).to(dtype), torch.from_numpy(gallery).to(dtype)
    whole = evaluate_ranking(pairwise_distances(queries, gallery, metric), *labels)
    assert_equal_results(evaluate_features(queries, gallery, *labels, metric), whole)


@METRICS
def test_queries_and_gallery_may_be_of_different_float_types(metric):
    queries, gallery, labels = crowded(0.1, 40, num_gallery=2500)
    queries, gallery = queries + np.float32(3e3), gallery.astype(np.float64) + 3e3
    whole = evaluate_features(queries.astype(np.float64), gallery, *labels, metric)
    assert_equal_results(evaluate_features(queries, gallery, *labels, metric), whole)


def test_faster_formats_that_the_caller_allows_change_nothing():
    queries, gallery, labels = crowded(0.1, 500, num_gallery=2500)
    plain = evaluate_features(queries, gallery, *labels)
    before = torch.backends.mkldnn.matmul.fp32_precision
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    try:
        with torch.autocast("cpu", torch.bfloat16):
            product = torch.from_numpy(queries) @ torch.from_numpy(queries).T
            assert product.dtype == torch.bfloat16  # the format would have been taken
            assert_equal_results(evaluate_features(queries, gallery, *labels), plain)
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = before


def test_the_order_of_the_gallery_changes_nothing():
    queries, gallery, labels = crowded(1e-3, 50)
    order = np.random.default_rng(1).permutation(len(gallery))
    q_pids, pids, q_camids, camids = labels
    assert_equal_results(
        evaluate_features(queries, gallery[order], q_pids, pids[order], q_camids, camids[order]),
        evaluate_features(queries, gallery, *labels),
    )


@pytest.mark.filterwarnings("error")
def test_arrays_that_cannot_be_written_to_are_ranked_without_a_warning():
    queries, gallery, (q_pids, *others) = crowded(0.1, 8, num_gallery=900)
    labels = (q_pids % 9, others[0] % 9, others[1] * 0 + 7, others[2])
    for array in (queries, gallery, *labels):
        array.setflags(write=False)
    assert evaluate_features(queries, gallery, *labels).num_gallery == 900


@pytest.mark.parametrize(
    ("num_queries", "num_gallery", "people"), [(2048, 40_000, 9000), slow(512, 320_000, 18_000)]
)
def test_the_matrix_of_distances_is_never_held(num_queries, num_gallery, people):
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(num_queries, 4)), rng.normal(size=(num_gallery, 4))
    pids, q_pids = rng.integers(0, people, num_gallery), rng.integers(0, people, num_queries)
    labels = (q_pids, pids, np.zeros(num_queries, int), np.ones(num_gallery, int))

    def evaluate(size):
        part = (q_pids, pids[:size], labels[2], labels[3][:size])
        return peak_resident(lambda: evaluate_features(queries, gallery[:size], *part))

    evaluate(4_000)
    # It takes less than a fifth, and how much less depends on what earlier tests left to the
    # allocator. With one array kept of every tile it takes 280 MB.
    in_float32 = 4 * num_queries * num_gallery
    assert evaluate(num_gallery) < 0.4 * in_float32
