"""Intervals over the test people: against plain loops and SciPy's bootstrap."""

import json
import math
import re
import statistics
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rankings import ranking
from scipy import stats

from stgcn_pyg.evaluation import BootstrapResult, bootstrap, chance, evaluate_ranking
from stgcn_pyg.evaluation.bootstrap import (
    bca_levels,
    resample,
    scores_by_statistic,
    sum_by_identity,
)
from stgcn_pyg.evaluation.clustering import score_clusters

PIDS = [7, 3, 7, 9, 4, 4, 4, 9, 7, 5, 12, 3]
RANKS = [1, 4, 2, 1, 30, 1, 7, 2, 1, 1, 12, 3]


def ends(result, name):
    return result.low[name], result.high[name]


def some_people(seed, num_people, most_queries):
    rng = np.random.default_rng(seed)
    pids = np.repeat(np.arange(num_people), rng.integers(1, most_queries + 1, num_people))
    return pids, np.minimum(rng.geometric(0.5, len(pids)), 50)


def by_loops(pids, scores, resamples, seed):
    """The mean score of each resample, from the lists of each person's queries."""
    people = sorted(set(pids))
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(resamples):
        drawn = []
        for person in rng.integers(len(people), size=len(people)):
            drawn += [s for pid, s in zip(pids, scores, strict=True) if pid == people[person]]
        means.append(math.fsum(drawn) / len(drawn))
    return means


def quantile(values, level):
    ordered = sorted(values)
    below = math.floor(level * (len(values) - 1))
    rest = level * (len(values) - 1) - below
    above = min(below + 1, len(values) - 1)
    return ordered[below] * (1 - rest) + ordered[above] * rest


def test_the_interval_is_the_one_of_plain_loops_over_the_drawn_peoples_queries():
    result = bootstrap(
        ranking(PIDS, RANKS), PIDS, (1, 10), 300, confidence=0.8, seed=3, method="percentile"
    )
    scores = {
        "mAP": [1 / r for r in RANKS],
        "rank-1": [float(r <= 1) for r in RANKS],
        "rank-10": [float(r <= 10) for r in RANKS],
    }
    for name, values in scores.items():
        means = by_loops(PIDS, values, 300, seed=3)
        assert result.estimate[name] == pytest.approx(statistics.fmean(values), abs=1e-12)
        assert result.low[name] == pytest.approx(quantile(means, 0.1), abs=1e-12)
        assert result.high[name] == pytest.approx(quantile(means, 0.9), abs=1e-12)
        assert result.standard_error[name] == pytest.approx(statistics.stdev(means), abs=1e-12)
    assert (result.num_people, result.num_queries, result.resamples) == (6, 12, 300)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_one_query_a_person_is_scipys_bootstrap(method):
    pids, ranks = some_people(0, 40, 1)
    ours = bootstrap(ranking(pids, ranks), pids, (1,), 100_000, seed=1, method=method)
    for name, values in {"mAP": 1 / ranks, "rank-1": (ranks <= 1).astype(float)}.items():
        theirs = stats.bootstrap(
            (values,), np.mean, n_resamples=100_000, batch=10_000, method=method, rng=2
        )
        # The error of a quantile at 2.5 % of 100,000 resamples is about 1 % of their deviation.
        close = 0.06 * theirs.standard_error + 1e-12
        assert ours.standard_error[name] == pytest.approx(theirs.standard_error, rel=0.02)
        if name == "mAP":
            assert ends(ours, name) == pytest.approx(theirs.confidence_interval, abs=close)
        else:  # means of 0 and 1 lie 1/40 apart: an end may meet the next
            assert ends(ours, name) == pytest.approx(theirs.confidence_interval, abs=1 / 40 + 1e-9)


@pytest.mark.parametrize("most_queries", [1, 6])
def test_bca_is_scipys_formula_on_the_same_resamples(most_queries):
    pids, ranks = some_people(5, 30, most_queries)
    result = ranking(pids, ranks)
    people = sum_by_identity(scores_by_statistic(result, (1, 5)), pids)
    resampled = resample(people, 2000, np.random.default_rng(0))
    ours = bootstrap(result, pids, (1, 5), 2000, confidence=0.9)
    for s, name in enumerate(people.names):
        given_resamples = SimpleNamespace(bootstrap_distribution=resampled[:, s])
        theirs = stats.bootstrap(
            (people.sums[:, s], people.counts),
            lambda sums, counts, axis: sums.sum(axis) / counts.sum(axis),
            n_resamples=0,
            confidence_level=0.9,
            method="BCa",
            paired=True,
            bootstrap_result=given_resamples,
        )
        assert ends(ours, name) == pytest.approx(theirs.confidence_interval, abs=1e-12)


def test_resamples_that_tie_but_for_rounding_tie():
    resampled = np.array([0.4, 0.5, 0.5, 0.5, 0.6, 0.7])
    left_out, tails = np.array([0.2, 0.5, 0.6]), np.array([0.1, 0.9])
    expected = bca_levels(resampled, 0.5, left_out, tails)
    for error in (-1e-13, 1e-13):
        np.testing.assert_array_equal(bca_levels(resampled + error, 0.5, left_out, tails), expected)


def test_a_persons_queries_that_score_alike_count_as_one():
    once, ranks = some_people(0, 50, 1)
    often = np.repeat(once, 8)
    by_person = bootstrap(ranking(often, np.repeat(ranks, 8)), often)
    one_each = bootstrap(ranking(once, ranks), once)
    by_query = bootstrap(ranking(often, np.repeat(ranks, 8)), np.arange(len(often)))
    for name in ("mAP", "rank-1", "rank-5"):
        assert ends(by_person, name) == pytest.approx(ends(one_each, name), abs=1e-12)
        ratio = by_person.standard_error[name] / by_query.standard_error[name]
        assert ratio == pytest.approx(np.sqrt(8), rel=0.1)


def test_the_standard_error_of_a_mean_is_the_one_of_the_text_books():
    pids, ranks = some_people(0, 200, 1)
    result = bootstrap(ranking(pids, ranks), pids, resamples=20_000)
    assert result.standard_error["mAP"] == pytest.approx((1 / ranks).std() / np.sqrt(200), rel=0.02)


def test_several_matches_give_the_mean_inverse_negative_penalty_its_interval():
    result = ranking(PIDS, RANKS, matches=3)
    intervals = bootstrap(result, PIDS)
    assert intervals.estimate["mAP"] == pytest.approx(result.mAP, abs=1e-12)
    # The last of three matches that stand side by side is at rank r + 2.
    mean = statistics.fmean(3 / (r + 2) for r in RANKS)
    assert intervals.estimate["mINP"] == pytest.approx(mean, abs=1e-12)
    assert intervals.low["mINP"] < mean < intervals.high["mINP"]


@pytest.mark.filterwarnings("ignore:1 of 13 queries")
def test_queries_and_people_without_a_match_are_left_out():
    with_one = bootstrap(ranking([*PIDS, 99], [*RANKS, 0]), [*PIDS, 99])
    assert with_one.to_dict() == bootstrap(ranking(PIDS, RANKS), PIDS).to_dict()
    assert with_one.num_queries == 12


def test_ranks_beyond_the_cmc_and_cut_off_matches_are_known():
    result = ranking(PIDS, RANKS, max_rank=2, depth=10)
    intervals = bootstrap(result, PIDS, ranks=(1, 10, 40))
    assert intervals.estimate["rank-10"] == pytest.approx(10 / 12)
    assert intervals.estimate["rank-40"] == pytest.approx(10 / 12)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("rank", [1, 30])
def test_where_everybody_scores_the_same_the_interval_is_clopper_and_pearsons(method, rank):
    pids = np.repeat(np.arange(25), 3)
    result = bootstrap(ranking(pids, np.full(75, rank)), pids, (20,), 100, 0.9, method=method)
    hits = 25 if rank == 1 else 0
    theirs = stats.binomtest(hits, 25).proportion_ci(0.9, method="exact")
    assert ends(result, "rank-20") == pytest.approx(theirs, abs=1e-12)
    assert result.standard_error["rank-20"] == 0
    low, high = ends(result, "mAP")
    assert low < 1 / rank <= high <= 1
    assert low == pytest.approx((1 / rank) * 0.05 ** (1 / 25), abs=1e-9)


@pytest.mark.parametrize("draws", [1, 37, 2**10])
def test_the_same_seed_gives_the_same_bits_whatever_the_block_size(draws, monkeypatch):
    pids, ranks = some_people(0, 60, 5)
    result = ranking(pids, ranks)
    expected = bootstrap(result, pids, resamples=500, seed=4).to_dict()
    monkeypatch.setattr(import_module(resample.__module__), "BLOCK_DRAWS", draws)
    assert bootstrap(result, pids, resamples=500, seed=4).to_dict() == expected
    assert bootstrap(result, pids, resamples=500, seed=5).to_dict() != expected


QUERIES = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40)), min_size=2, max_size=30)
QUERIES = QUERIES.filter(lambda queries: len({pid for pid, _ in queries}) > 1)


@settings(max_examples=30, deadline=None)
@given(queries=QUERIES, data=st.data())
def test_the_order_of_the_queries_changes_nothing(queries, data):
    pids, ranks = np.array(queries).T
    order = data.draw(st.permutations(range(len(queries))))
    expected = bootstrap(ranking(pids, ranks), pids, resamples=50)
    shuffled = bootstrap(ranking(pids[order], ranks[order]), pids[order], resamples=50)
    assert shuffled.to_dict() == expected.to_dict()


@settings(max_examples=30, deadline=None)
@given(queries=QUERIES, times=st.integers(2, 4))
def test_everybodys_queries_several_times_over_change_nothing(queries, times):
    pids, ranks = np.array(queries).T
    expected = bootstrap(ranking(pids, ranks), pids, resamples=50)
    pids, ranks = np.tile(pids, times), np.tile(ranks, times)
    repeated = bootstrap(ranking(pids, ranks), pids, resamples=50)
    for name in expected.estimate:
        assert repeated.estimate[name] == pytest.approx(expected.estimate[name], abs=1e-12)
        assert ends(repeated, name) == pytest.approx(ends(expected, name), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(queries=QUERIES, shift=st.floats(0, 0.5), method=st.sampled_from(["percentile", "bca"]))
def test_a_constant_moves_the_interval_along(queries, shift, method):
    pids, ranks = np.array(queries).T
    result = ranking(pids, ranks + 1)  # no average precision above 0.5
    moved = replace(result, average_precision=result.average_precision + shift)
    first, second = (bootstrap(r, pids, resamples=50, method=method) for r in (result, moved))
    if first.standard_error["mAP"] < 1e-9:
        return  # everybody scores the same, and 0 and 1 do not move along
    assert second.estimate["mAP"] == pytest.approx(first.estimate["mAP"] + shift, abs=1e-9)
    assert ends(second, "mAP") == pytest.approx(np.add(ends(first, "mAP"), shift), abs=1e-9)


def test_it_takes_tensors_and_gives_plain_json():
    result = ranking(PIDS, RANKS)
    intervals = bootstrap(result, torch.tensor(PIDS), resamples=20)
    assert isinstance(intervals, BootstrapResult)
    values = json.loads(json.dumps(intervals.to_dict()))
    assert values["statistics"]["rank-1"]["estimate"] == pytest.approx(result.rank(1))
    assert set(values["statistics"]["mAP"]) == {"estimate", "low", "high", "standard_error"}
    del values["statistics"]
    assert values == {
        "confidence": 0.95,
        "method": "bca",
        "num_people": 6,
        "num_queries": 12,
        "resamples": 20,
        "seed": 0,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query_pids": PIDS[:-1]}, "query_pids: 11 identities for 12 queries"),
        ({"query_pids": [float(pid) for pid in PIDS]}, "1-D array of integers, got float64"),
        ({"query_pids": [PIDS]}, "1-D array of integers, got int64 of shape [1, 12]"),
        ({"query_pids": [7] * 12}, "all 12 queries with a match are of identity 7"),
        ({"resamples": 0}, "resamples=0: give at least 2"),
        ({"resamples": 1}, "resamples=1: give at least 2"),
        ({"confidence": 0.0}, "confidence=0.0: give a fraction within (0, 1)"),
        ({"confidence": 95}, "confidence=95: give a fraction within (0, 1)"),
        ({"confidence": math.nan}, "confidence=nan: give a fraction within (0, 1)"),
        ({"method": "normal"}, "method='normal' is unknown: give 'bca' or 'percentile'"),
        ({"ranks": (0,)}, "ranks=[0]: give integers from 1 on"),
        ({"ranks": (1.5,)}, "ranks=[1.5]: give integers from 1 on"),
    ],
)
def test_a_mistake_is_one_line(change, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        bootstrap(ranking(PIDS, RANKS), **({"query_pids": PIDS} | change))
    assert "\n" not in str(error.value)


def test_an_expectation_has_no_queries_to_resample():
    result = chance([7, 5], [7, 5, 5, 3], [1, 1], [2, 2, 2, 2])
    with pytest.raises(ValueError, match="not an expectation as chance"):
        bootstrap(result, [7, 5])


def test_no_query_with_a_match_is_an_error():
    nothing = np.full(12, np.nan)
    result = replace(ranking(PIDS, RANKS), average_precision=nothing, first_match_rank=nothing)
    with pytest.raises(ValueError, match="none of the 12 queries has a match"):
        bootstrap(result, PIDS)


def test_numbers_of_numpy_give_plain_json():
    numbers = {"resamples": np.int64(20), "seed": np.int64(3)}
    result = ranking(PIDS, RANKS)
    plain = bootstrap(result, PIDS, [1, 2], resamples=20, seed=3).to_dict()
    found = bootstrap(result, PIDS, np.array([1, 2]), **numbers).to_dict()
    assert json.loads(json.dumps(found)) == plain
    clusters = score_clusters([0, 0, 1], [1, 2, 2], **numbers).to_dict()
    assert json.loads(json.dumps(clusters)) == clusters
    cut = evaluate_ranking([[0.1, 0.2]], [7], [7, 5], [1], [2, 2], depth=np.int64(4)).to_dict()
    assert json.loads(json.dumps(cut))["depth"] == 4
