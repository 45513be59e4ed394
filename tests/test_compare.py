"""Paired differences of two models: against plain loops and SciPy's permutation test."""

import json
import math
import statistics
from dataclasses import replace
from fractions import Fraction
from importlib import import_module
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rankings import ranking
from scipy import stats

from stgcn_pyg.evaluation import compare
from stgcn_pyg.evaluation.bootstrap import IdentitySums, resample
from stgcn_pyg.evaluation.compare import p_values

PIDS = [7, 3, 7, 9, 4, 4, 4, 9, 7, 5, 12, 3]
FIRST = [1, 4, 2, 1, 30, 1, 7, 2, 1, 1, 12, 3]
SECOND = [1, 2, 3, 1, 5, 1, 2, 1, 1, 2, 3, 1]


def two_models(seed, num_people, most_queries, gain=0.0):
    rng = np.random.default_rng(seed)
    pids = np.repeat(np.arange(num_people), rng.integers(1, most_queries + 1, num_people))
    draws = [np.minimum(rng.geometric(0.4 + g, len(pids)), 50) for g in (0, gain)]
    return pids, *draws


def by_person(pids, values):
    """Each person's sum."""
    return np.array(
        [math.fsum(values[i] for i in range(len(pids)) if pids[i] == p) for p in set(pids)]
    )


def test_the_interval_is_the_one_of_plain_loops_over_the_drawn_peoples_differences():
    comparison = compare(
        ranking(PIDS, FIRST), ranking(PIDS, SECOND), PIDS, ranks=(1,), resamples=200, seed=3
    )
    people, rng, means = sorted(set(PIDS)), np.random.default_rng(3), []
    for _ in range(200):
        scores = ([], [])
        for person in rng.integers(len(people), size=len(people)):
            for query, pid in enumerate(PIDS):
                if pid == people[person]:
                    scores[0].append(1 / FIRST[query])
                    scores[1].append(1 / SECOND[query])
        means.append(statistics.fmean(scores[1]) - statistics.fmean(scores[0]))
    assert comparison.low["mAP"] == pytest.approx(np.quantile(means, 0.025), abs=1e-12)
    assert comparison.high["mAP"] == pytest.approx(np.quantile(means, 0.975), abs=1e-12)
    assert comparison.standard_error["mAP"] == pytest.approx(statistics.stdev(means), abs=1e-12)
    assert comparison.first["mAP"] == pytest.approx(statistics.fmean(1 / r for r in FIRST))
    assert comparison.second["mAP"] == pytest.approx(statistics.fmean(1 / r for r in SECOND))
    difference = comparison.second["mAP"] - comparison.first["mAP"]
    assert comparison.difference["mAP"] == pytest.approx(difference, abs=1e-12)
    assert (comparison.num_people, comparison.num_queries) == (6, 12)


def test_better_worse_and_equal_are_counts_of_queries():
    comparison = compare(ranking(PIDS, FIRST), ranking(PIDS, SECOND), PIDS, ranks=(1, 50))
    counts = comparison.better, comparison.worse, comparison.equal
    assert [count["mAP"] for count in counts] == [6, 2, 4]
    assert [count["rank-1"] for count in counts] == [2, 1, 9]
    assert [count["rank-50"] for count in counts] == [0, 0, 12]


@pytest.mark.parametrize("num_people", [2, 5, 13])
@pytest.mark.parametrize("most_queries", [1, 4])
@pytest.mark.parametrize("gain", [0, 0.4])
def test_the_p_value_of_few_people_is_scipys_exact_one(num_people, most_queries, gain):
    pids, first, second = two_models(num_people, num_people, most_queries, gain)
    ours = compare(ranking(pids, first), ranking(pids, second), pids, ranks=(1, 5)).p_value
    scores = {
        "mAP": (1 / first, 1 / second),
        "rank-1": (first <= 1, second <= 1),
        "rank-5": (first <= 5, second <= 5),
    }
    for name, values in scores.items():
        theirs = stats.permutation_test(
            [by_person(pids, value.astype(float)) for value in values],
            lambda x, y, axis: (y - x).sum(axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=np.inf,
        )
        assert ours[name] == pytest.approx(theirs.pvalue, abs=1e-12)


@pytest.mark.parametrize("error", [-1e-13, 0, 1e-13])
def test_sums_that_tie_but_for_rounding_are_as_extreme(error):
    exact = [Fraction(1, 3), Fraction(1, 6), Fraction(-1, 2), Fraction(1, 2)]
    sums = np.array([[float(d)] for d in exact])
    sums[0] += error
    p = p_values(IdentitySums(("mAP",), sums, np.ones(4)), 16, np.random.default_rng(0))
    observed = abs(sum(exact))
    extreme = [
        abs(sum(sign * d for sign, d in zip(signs, exact, strict=True))) >= observed
        for signs in product((-1, 1), repeat=4)
    ]
    assert p.tolist() == [sum(extreme) / 16]


def test_random_signs_come_close_to_mcnemars_exact_test():
    pids, first, second = two_models(1, 120, 1, gain=0.15)
    ours = compare(ranking(pids, first), ranking(pids, second), pids, (1,), 20_000)
    better, worse = ours.better["rank-1"], ours.worse["rank-1"]
    exact = stats.binomtest(better, better + worse).pvalue
    assert 0.001 < exact < 0.5
    error = math.sqrt(exact * (1 - exact) / 20_000)
    assert ours.p_value["rank-1"] == pytest.approx(exact, abs=4 * error)


def test_no_p_value_of_random_signs_is_below_what_their_number_can_tell():
    pids = np.arange(40)
    comparison = compare(
        ranking(pids, np.full(40, 2)), ranking(pids, np.ones(40, int)), pids, (1,), 99
    )
    assert comparison.p_value == dict.fromkeys(comparison.difference, 0.01)


def test_when_nothing_differs_every_twentieth_comparison_has_p_below_a_twentieth():
    # Each person's four queries are ranked alike, so that a test by query would be misled.
    rng, sets = np.random.default_rng(0), 150
    once = np.arange(20)
    pids = np.repeat(once, 4)
    rejected = {"by person": 0, "by query": 0}
    for seed in range(sets):
        results = [ranking(pids, np.repeat(rng.geometric(0.3, 20), 4)) for _ in range(2)]
        for name, people in {"by person": pids, "by query": np.arange(80)}.items():
            p = compare(*results, people, (), resamples=199, seed=seed).p_value["mAP"]
            rejected[name] += p <= 0.05
    chances = stats.binom.interval(0.999, sets, 0.05)
    assert chances[0] <= rejected["by person"] <= chances[1]
    assert rejected["by query"] > 2 * chances[1]


QUERIES = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 40), st.integers(1, 40)), min_size=2, max_size=30
)
QUERIES = QUERIES.filter(lambda queries: len({pid for pid, *_ in queries}) > 1)


@settings(max_examples=30, deadline=None)
@given(queries=QUERIES, method=st.sampled_from(["percentile", "bca"]))
def test_swapped_models_have_the_opposite_difference(queries, method):
    pids, first, second = np.array(queries).T
    results = ranking(pids, first), ranking(pids, second)
    there = compare(*results, pids, resamples=50, method=method)
    back = compare(*results[::-1], pids, resamples=50, method=method)
    for name in there.difference:
        assert back.difference[name] == -there.difference[name]
        assert back.low[name] == pytest.approx(-there.high[name], abs=1e-9)
        assert back.high[name] == pytest.approx(-there.low[name], abs=1e-9)
    assert back.p_value == there.p_value
    assert (back.better, back.worse, back.equal) == (there.worse, there.better, there.equal)
    assert (back.first, back.second) == (there.second, there.first)


def test_a_model_differs_from_itself_in_nothing():
    result = ranking(PIDS, FIRST)
    comparison = compare(result, result, PIDS)
    # None of six people differs: of all, as many may as in Clopper and Pearson's interval.
    most = stats.binomtest(0, 6).proportion_ci(0.95, method="exact").high
    for name in comparison.difference:
        assert comparison.difference[name] == 0
        assert comparison.low[name] == pytest.approx(-most, abs=1e-12)
        assert comparison.high[name] == pytest.approx(most, abs=1e-12)
        assert comparison.p_value[name] == 1
        assert comparison.equal[name] == 12


def test_a_difference_in_the_last_bit_is_none():
    first = ranking(PIDS, FIRST)
    second = replace(first, average_precision=np.nextafter(first.average_precision, 2))
    comparison = compare(first, second, PIDS)
    assert comparison.equal["mAP"] == 12
    assert comparison.p_value["mAP"] == 1


@pytest.mark.parametrize("num_people", [6, 60])
@pytest.mark.parametrize("draws", [1, 37, 2**10])
def test_the_same_seed_gives_the_same_bits_whatever_the_block_size(num_people, draws, monkeypatch):
    pids, first, second = two_models(0, num_people, 5)
    results = ranking(pids, first), ranking(pids, second)
    expected = compare(*results, pids, resamples=500, seed=4).to_dict()
    monkeypatch.setattr(import_module(resample.__module__), "BLOCK_DRAWS", draws)
    assert compare(*results, pids, resamples=500, seed=4).to_dict() == expected


def test_it_prints_and_gives_plain_json():
    comparison = compare(ranking(PIDS, FIRST), ranking(PIDS, SECOND), PIDS, ranks=(1, 50))
    values = json.loads(json.dumps(comparison.to_dict()))
    assert values["statistics"]["rank-1"]["better"] == 2
    assert values["statistics"]["mAP"]["p_value"] == comparison.p_value["mAP"]
    assert (values["num_people"], values["confidence"]) == (6, 0.95)
    lines = str(comparison).splitlines()
    assert lines[0].startswith(
        "6 identities, 12 queries; 95 % intervals (percentile, 10,000 resamples"
    )
    assert lines[-1].split()[:4] == ["rank-50", "100.0", "100.0", "+0.0"]
    assert lines[-1].split()[-4:] == ["1.0000", "0", "0", "12"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": "duke"}, "protocol is None in the first result and 'duke' in the second"),
        ({"ap": "trapezoid"}, "ap is 'step' in the first result and 'trapezoid' in the second"),
        ({"same_camera": "all"}, "same_camera is 'person' in the first result and 'all'"),
        ({"depth": 50}, "depth is None in the first result and 50 in the second"),
        ({"num_gallery": 9}, "num_gallery is 66 in the first result and 9 in the second"),
    ],
)
def test_settings_that_differ_are_named(change, message):
    first = ranking(PIDS, FIRST)
    with pytest.raises(ValueError, match=message):
        compare(first, replace(ranking(PIDS, SECOND), **change), PIDS)


@pytest.mark.filterwarnings("ignore:1 of 12 queries")
def test_queries_that_differ_are_named():
    first = ranking(PIDS, FIRST)
    with pytest.raises(ValueError, match="have a match in one result alone, first at \\[4\\]"):
        compare(first, ranking(PIDS, [*SECOND[:4], 0, *SECOND[5:]]), PIDS)
    fewer = replace(ranking(PIDS[:-1], SECOND[:-1]), num_gallery=first.num_gallery)
    with pytest.raises(ValueError, match="12 queries in the first result and 11 in the second"):
        compare(first, fewer, PIDS)
    with pytest.raises(ValueError, match="query_pids: 11 identities for 12 queries"):
        compare(first, ranking(PIDS, SECOND), PIDS[:-1])
    with pytest.raises(ValueError, match="resamples=0"):
        compare(first, first, PIDS, resamples=0)
