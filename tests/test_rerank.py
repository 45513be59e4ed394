"""Re-ranking against the published algorithm in loops, its neighbours against plain sorting."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rerank_by_the_book import normalised_distances, rerank_by_the_book
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from stgcn_pyg.evaluation import pairwise_distances, rerank, rerank_rows
from stgcn_pyg.evaluation.distances import Distances
from stgcn_pyg.evaluation.neighbours import nearest_neighbours


def clustered(seed, num_items, width=64, people=None, spread=0.8):
    """Features of people seen several times, float32: ``[N, D]``."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((people or max(2, num_items // 10), width))
    of_whom = rng.integers(len(centres), size=num_items)
    noise = spread * rng.standard_normal((num_items, width))
    return (centres[of_whom] + noise).astype(np.float32)


def among(features, **options):
    """Distances of all features to all."""
    features = torch.from_numpy(features)
    return Distances(features, features, **options)


def on_a_grid(seed, num_items):
    """Few values in few channels: distances tie, and some items are the same."""
    rng = np.random.default_rng(seed)
    features = rng.integers(0, 3, (num_items, 3)).astype(np.float32)
    features[0] = 0
    features[-1] = 2  # not all the same
    return features


@st.composite
def cases(draw, most=40):
    """Queries, gallery, k1, k2 and lambda, k1 above the number of items among them."""
    features = clustered(draw(st.integers(0, 2**31)), draw(st.integers(3, most)), width=8)
    num_queries = draw(st.integers(1, len(features) - 1))
    k1 = draw(st.integers(1, len(features) + 5))
    k2 = draw(st.integers(1, k1))
    lambda_value = draw(st.sampled_from([0.0, 0.3, 1.0]))
    return features[:num_queries], features[num_queries:], k1, k2, lambda_value


def test_2000_items_get_the_published_distances():
    features = clustered(0, 2000)
    ours = rerank(features[:100], features[100:]).numpy()
    published = rerank_by_the_book(features[:100], features[100:])
    assert ours.shape == (100, 1900) and ours.dtype == np.float32
    np.testing.assert_allclose(ours, published, rtol=0, atol=2e-7)
    # The case tells: it is neither the original distance nor full of ones.
    assert np.abs(published - normalised_distances(features)[:100, 100:]).mean() > 0.1
    assert (published < 0.6).mean() > 0.003


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_small_cases_get_the_published_distances(case):
    ours, published = rerank(*case).numpy(), rerank_by_the_book(*case)
    np.testing.assert_allclose(ours, published, rtol=0, atol=2e-7)


@pytest.mark.parametrize("k1", [1, 3, 5, 7, 9, 21])
def test_an_odd_k1_is_halved_as_published(k1):
    features = clustered(k1, 120, width=8)
    ours = rerank(features[:20], features[20:], k1, 1, 0.0).numpy()
    published = rerank_by_the_book(features[:20], features[20:], k1, 1, 0.0)
    np.testing.assert_allclose(ours, published, rtol=0, atol=2e-7)


def test_cosine_is_the_published_algorithm_on_features_of_length_1():
    features = clustered(1, 150) * np.random.default_rng(1).uniform(0.1, 9, (150, 1))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    ours = rerank(features[:30], features[30:], metric="cosine").numpy()
    published = rerank_by_the_book(unit[:30], unit[30:])
    np.testing.assert_allclose(ours, published, rtol=0, atol=2e-7)
    assert np.abs(ours - rerank(features[:30], features[30:]).numpy()).max() > 0.01


@settings(max_examples=30, deadline=None)
@given(case=cases(), tied=st.booleans(), block_size=st.integers(1, 45))
def test_the_block_size_changes_no_bit(case, tied, block_size):
    queries, gallery, *parameters = case
    if tied:
        features = on_a_grid(len(gallery), len(queries) + len(gallery))
        queries, gallery = features[: len(queries)], features[len(queries) :]
    whole = rerank(queries, gallery, *parameters)
    assert torch.equal(whole, rerank(queries, gallery, *parameters, block_size=block_size))


def test_neither_threads_nor_the_precision_of_products_change_a_bit():
    features = clustered(2, 700, width=500)
    whole = rerank(features[:200], features[200:])
    threads = torch.get_num_threads()
    torch.set_num_threads(3 - min(threads, 2))  # one in place of two, or two in place of one
    other_threads = rerank(features[:200], features[200:], block_size=33)
    torch.set_num_threads(threads)
    assert torch.equal(whole, other_threads)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    with torch.autocast("cpu", torch.bfloat16):
        allowed_less = rerank(features[:200], features[200:])
    torch.set_float32_matmul_precision(before)
    assert torch.equal(whole, allowed_less)


@pytest.mark.parametrize("width", [3, 2048, 9000, 20_000])
def test_equal_pairs_tie_in_any_company_and_on_any_number_of_threads(width):
    features = clustered(14, 6, width)
    features[3:] = features[:3]
    row, column = np.array([0, 1, 3, 4, 0, 2] * 9), np.array([1, 0, 4, 3, 4, 2] * 9)
    for threads in (1, 2):
        with threadpool_limits(threads, "blas"):
            together = among(features).of_pairs(row, column)
        assert len(set(together.tolist())) == 2
        with threadpool_limits(1, "blas"):
            alone = among(features).of_pairs(row[:1], column[:1])
        assert together[0] == alone[0]


def test_a_lambda_of_1_is_the_original_distance_to_the_last_bit():
    features = clustered(3, 300)
    features[60] = features[0]  # at distance 0, not at a rounding error
    ours = rerank(features[:50], features[50:], lambda_value=1).numpy()
    original = normalised_distances(features)[:50, 50:]
    np.testing.assert_array_equal(ours, original.astype(np.float32))
    in_order = np.take_along_axis(ours, np.argsort(original, axis=1), axis=1)
    assert (np.diff(in_order, axis=1) >= 0).all()


@settings(max_examples=20, deadline=None)
@given(case=cases(), seed=st.integers(0, 2**31))
def test_a_permuted_gallery_permutes_the_columns(case, seed):
    queries, gallery, *parameters = case
    order = np.random.default_rng(seed).permutation(len(gallery))
    expected = rerank(queries, gallery, *parameters)[:, order]
    torch.testing.assert_close(
        rerank(queries, gallery[order], *parameters), expected, rtol=0, atol=2e-7
    )


def test_duplicates_in_the_gallery_get_the_same_distance():
    features = clustered(4, 400, width=300)
    features[399] = features[57]
    ours = rerank(features[:50], features[50:], k1=8, k2=3)
    assert torch.equal(ours[:, 7], ours[:, 349])
    assert len(ours[:, 7].unique()) > 40


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), num_items=st.integers(3, 40))
def test_more_duplicates_than_neighbours_still_give_finite_distances(seed, num_items):
    features = on_a_grid(seed, num_items)
    features[1:-1] = 1
    ours = rerank(features[:1], features[1:], k1=1, k2=1)
    assert ours.isfinite().all() and (ours >= 0).all() and (ours <= 1).all()


def test_rows_come_one_by_one_and_agree_with_the_matrix():
    features = clustered(5, 90)
    rows = rerank_rows(features[:20], features[20:], block_size=7)
    assert iter(rows) is rows
    np.testing.assert_array_equal(np.stack(list(rows)), rerank(features[:20], features[20:]))


@pytest.mark.parametrize("kind", ["list", "float16", "bfloat16", "float64", "integers", "grad"])
def test_any_kind_of_features_is_taken(kind):
    features = torch.from_numpy(on_a_grid(6, 60) * np.arange(1, 4)).float()
    converted = {
        "list": features.tolist(),
        "float16": features.half().numpy(),
        "bfloat16": features.bfloat16(),
        "float64": features.double(),
        "integers": features.int(),
        "grad": features.clone().requires_grad_(),
    }[kind]
    expected = rerank(features[:20], features[20:])
    assert torch.equal(rerank(converted[:20], converted[20:]), expected)


@pytest.mark.parametrize("power", [-130, 120, 1000])
def test_the_size_of_the_features_does_not_matter(power):
    features = clustered(7, 60).astype(np.float64)
    expected = rerank(features[:20], features[20:])
    scaled = np.ldexp(features, power)
    assert torch.equal(rerank(scaled[:20], scaled[20:]), expected)


@pytest.mark.parametrize(("power", "dtype"), [(-12, np.float32), (-40, np.float64)])
def test_features_far_from_the_origin_are_told_apart(power, dtype):
    features = np.ldexp(clustered(8, 300).astype(dtype), power) + dtype(1)
    ours = rerank(features[:50], features[50:]).numpy()
    published = rerank_by_the_book(features[:50], features[50:])
    np.testing.assert_allclose(ours, published, rtol=0, atol=2e-7)


def test_neighbours_are_those_of_scikit_learn():
    features = clustered(9, 500, width=32)
    found = nearest_neighbours(among(features), 21, block_size=64)
    reference = NearestNeighbors(n_neighbors=21, algorithm="kd_tree").fit(features)
    distance, index = reference.kneighbors(features)
    np.testing.assert_array_equal(found.index, index)
    np.testing.assert_allclose(np.sqrt(found.distance), distance, rtol=1e-12)
    every = pairwise_distances(features, features).numpy().max(axis=1)
    np.testing.assert_allclose(np.sqrt(found.farthest), every, rtol=1e-7)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    num_items=st.integers(3, 60),
    count=st.integers(1, 60),
    block_size=st.integers(1, 60),
)
def test_tied_neighbours_come_by_index_after_the_item_itself(seed, num_items, count, block_size):
    assume(count <= num_items)
    features = on_a_grid(seed, num_items)
    found = nearest_neighbours(among(features), count, block_size)
    for i, item in enumerate(features.tolist()):
        squared = [
            sum((a - b) ** 2 for a, b in zip(item, other, strict=True))
            for other in features.tolist()
        ]
        by_rule = sorted(range(num_items), key=lambda j: (j != i, squared[j], j))
        assert found.index[i].tolist() == by_rule[:count]
        assert found.distance[i].tolist() == [squared[j] for j in by_rule[:count]]
        assert found.farthest[i] == max(squared)


def test_neighbours_that_float32_cannot_tell_apart_are_told_apart():
    rng = np.random.default_rng(10)
    near = np.zeros((60, 2048))
    near[:, 0] = 1 + rng.permutation(60) * 1e-12  # in a float32 product all at distance 1
    features = np.concatenate([np.zeros((1, 2048)), near, -near, 5 * rng.random((20, 2048))])
    found = nearest_neighbours(among(features), 21)
    own = np.sort(np.abs(np.concatenate([near, -near])[:, 0]))
    np.testing.assert_allclose(np.sqrt(found.distance[0, 1:]), own[:20], rtol=1e-15)


def test_features_far_from_the_origin_leave_few_pairs_in_doubt(monkeypatch):
    computed = []
    of_pairs = Distances.of_pairs

    def counted(self, row, column):
        computed.append(len(row))
        return of_pairs(self, row, column)

    monkeypatch.setattr(Distances, "of_pairs", counted)
    nearest_neighbours(among(clustered(15, 300) + np.float32(1000)), 21)
    assert 300 * 22 / 2 <= sum(computed) < 300 * 30  # a pair may be of one item's list, or of two


WRONG = [
    ({"k1": 0}, "k1=0: give at least 1"),
    ({"k2": 0}, "k2=0: give 1 to k1=20"),
    ({"k1": 3, "k2": 4}, "k2=4: give 1 to k1=3"),
    ({"lambda_value": 1.5}, "lambda_value=1.5: give 0 to 1"),
    ({"lambda_value": float("nan")}, "lambda_value=nan: give 0 to 1"),
    ({"metric": "manhattan"}, "metric='manhattan' is unknown: give 'euclidean' or 'cosine'"),
    ({"block_size": 0}, "block_size=0: give at least 1"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_a_parameter_out_of_range_is_refused_at_once(options, message):
    features = clustered(12, 9)
    with pytest.raises(ValueError) as error:
        rerank_rows(features[:3], features[3:], **options)
    assert str(error.value) == message


def test_features_that_cannot_be_ranked_are_refused_in_one_line():
    features = clustered(13, 12, width=4)

    def refused(queries, gallery, metric="euclidean"):
        with pytest.raises(ValueError) as error:
            rerank_rows(queries, gallery, metric=metric)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "got [3, 4] and [9, 3]" in refused(features[:3], features[3:, :3])
    assert "got [4] and [9, 4]" in refused(features[0], features[3:])
    assert "0 queries and 12 gallery items" in refused(features[:0], features)
    assert "all 12 features are the same" in refused(np.ones((3, 4)), np.ones((9, 4)))
    zeros = features.copy()
    zeros[[5, 7]] = 0
    message = refused(zeros[:3], zeros[3:], "cosine")
    assert message.startswith(
        "gallery_features: 2 rows are zeros and have no cosine, first at [2, 4]"
    )
    broken = features.copy()
    broken[1, 2], broken[2, 0] = np.nan, np.inf
    message = refused(broken[:3], broken[3:])
    assert message.startswith(
        "query_features: 2 rows are not finite, first at [1, 2]; check the model"
    )


def test_features_of_long_doubles_are_taken_and_those_without_a_channel_are_told():
    features = clustered(16, 9)
    expected = rerank(features[:3], features[3:])
    wide = features.astype(np.longdouble)
    assert torch.equal(rerank(wide[:3], wide[3:]), expected)
    with pytest.raises(ValueError, match="all 3 features are the same"):
        rerank(np.zeros((1, 0)), np.zeros((2, 0)))
