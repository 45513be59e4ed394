"""The expectation under a random ranking, against all rankings and against many."""

from itertools import permutations
from math import comb

import numpy as np
import pytest

from stgcn_pyg.evaluation import (
    AGRL,
    CROSS_CAMERA,
    MARS_OFFICIAL,
    QUERY_FREE,
    chance,
    chance_for_protocol,
    evaluate_ranking,
)

# One query, person 7 in camera 1, and a gallery of six: junk, the same view, three matches or
# fewer, others; one of the others stands in camera 1.
GALLERIES = [
    ([7, 5, 7, -1, 7, 7], [2, 2, 3, 2, 1, 2]),
    ([7, 5, 5, 5, 0, -1], [2, 2, 1, 2, 2, 3]),
    ([7, 7, 7, 7, 7, 7], [2, 2, 3, 4, 5, 6]),
    ([7, -1, -1, -1, 7, -1], [2, 2, 2, 2, 1, 1]),
]


@pytest.mark.parametrize("ap", ["step", "trapezoid"])
@pytest.mark.parametrize("same_camera", ["person", "all"])
@pytest.mark.parametrize("depth", [None, 1, 2, 4, 6, 9])
@pytest.mark.parametrize(("pids", "camids"), GALLERIES)
def test_all_permutations_have_this_mean(ap, same_camera, depth, pids, camids):
    options = {"ap": ap, "same_camera": same_camera, "depth": depth, "max_rank": 7}
    # Every ranking of the gallery is one row, of the same query.
    orders = np.array(list(permutations(range(len(pids)))), dtype=float)
    queries = ([7] * len(orders), pids, [1] * len(orders), camids)
    mean = evaluate_ranking(orders, *queries, **options)
    expected = chance([7], pids, [1], camids, **options)
    assert expected.mAP == pytest.approx(mean.mAP, abs=1e-12)
    assert expected.mINP == pytest.approx(mean.mINP, abs=1e-12)
    np.testing.assert_allclose(expected.cmc, mean.cmc, atol=1e-12)
    if depth is None:
        first = mean.first_match_rank.mean()
        assert expected.first_match_rank[0] == pytest.approx(first, abs=1e-12)


@pytest.mark.parametrize("ap", ["step", "trapezoid"])
@pytest.mark.parametrize("same_camera", ["person", "all"])
@pytest.mark.parametrize("depth", [None, 20])
def test_many_random_rankings_have_this_mean(ap, same_camera, depth):
    rng = np.random.default_rng(0)
    pids, camids = rng.integers(-1, 8, 80), rng.integers(1, 4, 80)
    query_pids, query_camids = np.arange(8), rng.integers(1, 4, 8)
    options = {"ap": ap, "same_camera": same_camera, "depth": depth, "max_rank": 20}
    repeats = 500
    sample = evaluate_ranking(
        rng.random((8 * repeats, 80)),
        np.tile(query_pids, repeats),
        pids,
        np.tile(query_camids, repeats),
        camids,
        **options,
    )
    expected = chance(query_pids, pids, query_camids, camids, **options)
    error = sample.average_precision.std() / np.sqrt(8 * repeats)
    assert abs(sample.mAP - expected.mAP) < 4 * error
    error = sample.inverse_negative_penalty.std() / np.sqrt(8 * repeats)
    assert abs(sample.mINP - expected.mINP) < 4 * error
    np.testing.assert_allclose(sample.cmc, expected.cmc, atol=4 * 0.5 / np.sqrt(8 * repeats))


def test_the_cmc_is_the_one_of_the_binomial_coefficients():
    n, m = 12, 4
    result = chance([7], [7] * m + [5] * (n - m), [1], [2] * n, max_rank=15)
    assert result.cmc == pytest.approx(
        [1 - comb(n - m, k) / comb(n, k) for k in range(1, 13)] + [1] * 3
    )
    assert result.rank(1) == pytest.approx(m / n)


def test_a_gallery_of_matches_alone_scores_one():
    for ap in ("step", "trapezoid"):
        result = chance([7], [7, 7], [1], [2, 3], ap=ap)
        assert (result.mAP, result.rank(1)) == (1, 1)


def test_queries_count_alike_and_those_without_a_match_are_told():
    with pytest.warns(UserWarning, match="1 of 3 queries have no match") as caught:
        result = chance([7, 5, 9], [7, 5, 5], [1, 1, 1], [2, 2, 2])
    assert caught[0].filename == __file__
    np.testing.assert_allclose(result.average_precision[:2], [11 / 18, 29 / 36])
    assert np.isnan(result.average_precision[2])
    assert result.mAP == pytest.approx((11 / 18 + 29 / 36) / 2)
    assert (result.num_queries, result.num_valid_queries, result.num_gallery) == (3, 2, 3)


def test_a_protocol_selects_before_it_expects():
    labels = ([7], [7, 5, -1, 7, 5], [1], [2, 2, 2, 1, 1])
    is_query = [False, False, False, True, False]
    official = chance_for_protocol(MARS_OFFICIAL, *labels)
    assert (official.protocol, official.num_gallery, official.ap) == (
        "mars-official",
        5,
        "trapezoid",
    )
    assert official.rank(1) == pytest.approx(1 / 3)
    free = chance_for_protocol(QUERY_FREE, *labels, is_query)
    assert (free.num_gallery, free.mAP) == (3, pytest.approx(11 / 18))
    assert chance_for_protocol(CROSS_CAMERA, *labels).mAP == 0.75
    assert chance_for_protocol(AGRL, *labels).depth == 50


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (([9], [7, 5], [1], [2, 2]), {}, "none of the 1 queries has a match"),
        (([7], [7, 5], [1], [2]), {}, "gallery: 2 identities and 1 cameras"),
        (([7], [7, 5], [1], [2, 2]), {"ap": "voc"}, "ap='voc' is unknown"),
    ],
)
def test_a_mistake_is_told(labels, options, message):
    with pytest.raises(ValueError, match=message):
        chance(*labels, **options)
