"""Verification of pairs: against scikit-learn's ROC, plain loops, and a known truth."""

import json
import re
from importlib import import_module
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pairs_by_the_book import cases, drawn, interval, left_out, loop_pairs, weights_of_pairs
from ranking_by_the_book import Case
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score, roc_curve

from benchmarks.pair_coverage import draw_people
from stgcn_pyg.evaluation import (
    CROSS_CAMERA,
    FULL_GALLERY,
    MARS_OFFICIAL,
    QUERY_FREE,
    pairwise_distances,
    verify,
    verify_protocol,
)

FPRS = (0.5, 0.2)
THRESHOLDS = (0.3, 0.75)
quick = settings(max_examples=60, deadline=None)


def compared(case, same_camera="person"):
    """The pairs, if verification makes sense on them."""
    pairs = loop_pairs(case, same_camera)
    same = [pair[3] for pair in pairs]
    enough = len(set(case.query_pids.tolist())) > 1 and same.count(False) >= 1 / min(FPRS)
    assume(enough and any(same))
    return pairs


def weighted_statistics(distance, same, weight):
    """The statistics from weighted pairs, straight from their definitions."""
    genuine, impostor = weight[same].sum(), weight[~same].sum()
    genuine, impostor = (total if total > 0 else np.nan for total in (genuine, impostor))
    curve = [(0.0, 0.0)]
    # Where a curve turns: every distance of one identity, just below it, and what is asked for. Not
    # the others, where a pair that weighs less than nothing would take it back for a moment.
    turns = [distance[same], np.nextafter(distance[same], -1), np.float32(THRESHOLDS), [np.inf]]
    for t in np.unique(np.concatenate(turns)):
        near = distance <= t
        fpr = np.clip(weight[near & ~same].sum() / impostor, 0, 1)
        curve.append((fpr, weight[near & same].sum() / genuine))
    found = [max((y for x, y in curve if x <= most + 1e-9), default=0) for most in FPRS]
    steps = list(pairwise(curve))
    for (x0, y0), (x1, y1) in steps:
        if x1 + y1 >= 1:
            share = (1 - x0 - y0) / (x1 + y1 - x0 - y0)
            found.append(x0 + share * (x1 - x0))
            break
    found.append(sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in steps))
    if np.isnan(genuine + impostor):
        found = [np.nan] * (len(FPRS) + 2)
    for t in THRESHOLDS:
        near = distance <= t
        found.append(np.clip(weight[near & ~same].sum() / impostor, 0, 1))
        found.append(weight[near & same].sum() / genuine)
    return np.array(found)


@quick
@given(case=cases(), same_camera=st.sampled_from(["person", "all"]))
def test_the_curve_and_its_statistics_are_scikit_learns(case, same_camera):
    pairs = compared(case, same_camera)
    distance, same = np.array([p[2] for p in pairs]), np.array([p[3] for p in pairs])
    result = verify(*case, same_camera, FPRS, THRESHOLDS, resamples=2)
    assert (result.num_genuine, result.num_impostor) == (same.sum(), (~same).sum())
    fpr, tpr, _ = roc_curve(same, -distance, drop_intermediate=False)
    found = result.statistics.estimate
    assert found["AUC"] == pytest.approx(roc_auc_score(same, -distance), abs=1e-12)
    for most in FPRS:
        best = max(t for f, t in zip(fpr, tpr, strict=True) if f <= most + 1e-12)
        assert found[f"TPR at FPR {most:g}"] == pytest.approx(best, abs=1e-12)
    for t in THRESHOLDS:
        assert found[f"FPR at {t:g}"] == (distance[~same] <= t).mean()
        assert found[f"TPR at {t:g}"] == (distance[same] <= t).mean()
    for t, f, g in zip(result.thresholds, result.fpr, result.tpr, strict=True):
        assert f == pytest.approx((distance[~same] <= t).mean())
        assert g == pytest.approx((distance[same] <= t).mean())


@pytest.mark.parametrize("seed", range(5))
def test_the_equal_error_rate_is_the_root_on_scikit_learns_curve(seed):
    rng = np.random.default_rng(seed)
    pids, cameras = np.arange(30) % 10, np.arange(30) // 10
    distances = rng.random((30, 30)) + 0.6 * (pids[:, None] != pids)
    result = verify(distances, pids, pids, cameras, cameras, resamples=2)
    kept = ~((pids[:, None] == pids) & (cameras[:, None] == cameras))
    fpr, tpr, _ = roc_curve((pids[:, None] == pids)[kept], -distances[kept])
    root = brentq(lambda x: 1 - x - interp1d(fpr, tpr)(x), 0, 1)
    assert result.statistics.estimate["EER"] == pytest.approx(root, abs=1e-9)


@quick
@given(case=cases(), seed=st.integers(0, 9), method=st.sampled_from(["percentile", "bca"]))
def test_intervals_are_those_of_loops_over_the_pairs_of_drawn_identities(case, seed, method):
    pairs = compared(case)
    distance, same = np.array([p[2] for p in pairs]), np.array([p[3] for p in pairs])
    estimate = weighted_statistics(distance, same, np.ones(len(pairs)))
    resampled = np.array(
        [
            weighted_statistics(distance, same, weights_of_pairs(case, pairs, of_pid))
            for of_pid in drawn(case.query_pids, 20, seed)
        ]
    )
    assume((~np.isnan(resampled)).sum(axis=0).min() > 1)
    jackknife = []
    for person, _ in left_out(case.query_pids):
        without = [person not in (case.query_pids[q], case.gallery_pids[g]) for q, g, _, _ in pairs]
        jackknife.append(weighted_statistics(distance, same, np.array(without, dtype=float)))
    result = verify(*case, "person", FPRS, THRESHOLDS, 20, 0.8, seed, method).statistics
    for s, name in enumerate(result.estimate):
        assert result.estimate[name] == pytest.approx(estimate[s], abs=1e-9)
        ends = interval(resampled[:, s], estimate[s], np.array(jackknife)[:, s], 0.8, method)
        assert (result.low[name], result.high[name]) == pytest.approx(ends, abs=1e-9)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    options = {"fprs": [0.01], "thresholds": [2.6]}

    def verified(num_people, **more):
        features, pids, cameras = draw_people(num_people, rng)
        labels = pids, pids, cameras, cameras
        result = verify_protocol(CROSS_CAMERA, features, features, *labels, **options, **more)
        return result.statistics

    large = [verified(240, resamples=2).estimate for _ in range(12)]
    truth = {name: np.mean([estimate[name] for estimate in large]) for name in large[0]}
    found = [verified(60, resamples=200, seed=seed) for seed in range(150)]
    held = {
        name: sum(some.low[name] <= value <= some.high[name] for some in found)
        for name, value in truth.items()
    }
    # A share of 0.95 of 150 has a standard error of 0.02; with 60 people the skewed FPR has 0.88.
    # Were the identities of queries alone drawn, and not those in the gallery, it would have 0.65.
    assert min(held.values()) >= 0.8 * len(found), held


def test_a_person_whom_many_are_taken_for_counts_on_the_side_of_the_gallery_too():
    # 12 people; the first one's gallery item is near to every query, nobody else's is.
    pids = np.arange(12)
    distances = np.ones((12, 12)) - 0.9 * np.eye(12)
    distances[:, 0] = 0.1
    result = verify(distances, pids, pids, pids * 0, pids * 0 + 1, thresholds=[0.5], resamples=4000)
    found = result.statistics
    assert found.estimate["FPR at 0.5"] == pytest.approx(1 / 12)
    # That person is drawn 0 to 3 times, and the rate with them.
    assert found.standard_error["FPR at 0.5"] == pytest.approx(1 / 12, rel=0.15)


def test_distractors_are_impostors_that_are_not_resampled():
    rng = np.random.default_rng(0)
    pids = np.arange(6)
    distances = rng.random((6, 6 + 50))
    gallery = np.concatenate([pids, np.zeros(50, dtype=int) + 99])
    cameras = np.zeros(6, dtype=int), np.ones(56, dtype=int)
    result = verify(distances, pids, gallery, *cameras, thresholds=[0.4], resamples=50, seed=3)
    assert result.num_impostor == 6 * 55
    case = Case(distances, pids, gallery, *cameras)
    pairs = loop_pairs(case)
    distance, same = np.array([p[2] for p in pairs]), np.array([p[3] for p in pairs])
    rates = []
    for of_pid in drawn(pids, 50, 3):
        weight = weights_of_pairs(case, pairs, of_pid)
        rates.append(weight[~same & (distance <= 0.4)].sum() / weight[~same].sum())
    assert result.statistics.standard_error["FPR at 0.4"] == pytest.approx(np.std(rates, ddof=1))


def some_features(seed=0, num_people=12):
    rng = np.random.default_rng(seed)
    features, pids, cameras = draw_people(num_people, rng)
    features[5] = features[0]  # equal vectors, of two people
    junk = rng.random(len(pids)) < 0.1
    return features, np.where(junk, -1, pids), cameras, pids, ~junk


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("protocol", [FULL_GALLERY, MARS_OFFICIAL, CROSS_CAMERA, QUERY_FREE])
def test_features_give_what_their_distances_give(protocol, metric, monkeypatch):
    features, gallery_pids, cameras, pids, known = some_features()
    some = known & (np.arange(len(pids)) % 2 == 0)
    queries = features[some]
    labels = pids[some], gallery_pids, cameras[some], cameras
    result = verify_protocol(
        protocol, torch.from_numpy(queries), features, *labels, some, metric, resamples=50
    )
    keep = np.ones(len(pids), dtype=bool)
    if not protocol.keep_junk:
        keep &= known
    if not protocol.keep_queries:
        keep &= ~some
    kept = labels[0], gallery_pids[keep], labels[2], cameras[keep]
    distances = pairwise_distances(queries, features[keep], metric)
    expected = verify(distances, *kept, protocol.same_camera, resamples=50)
    assert result.to_dict() == expected.to_dict() | {"protocol": protocol.name}
    assert protocol.name in str(result)
    monkeypatch.setattr(import_module("stgcn_pyg.evaluation.pairs"), "TILE", 5)
    again = verify_protocol(protocol, queries, features, *labels, some, metric, resamples=50)
    assert again.to_dict() == result.to_dict()


def test_features_too_long_for_their_squares_are_compared_at_their_own_distances():
    features, pids, cameras = draw_people(6, np.random.default_rng(0))
    labels = pids, pids, cameras, cameras
    usual = verify_protocol(CROSS_CAMERA, features, features, *labels, resamples=2)
    far = features * 2.0**40
    wide = verify_protocol(CROSS_CAMERA, far, far, *labels, thresholds=[2.0**41], resamples=2)
    assert wide.statistics.estimate["AUC"] == usual.statistics.estimate["AUC"]
    tpr = usual.tpr[np.searchsorted(usual.thresholds, 2.0, side="right") - 1]
    assert wide.statistics.estimate[f"TPR at {2.0**41:.7g}"] == tpr


@pytest.mark.parametrize("bins", [100, 200])
def test_bins_change_no_estimate_and_hardly_an_interval(bins, monkeypatch):
    features, pids, cameras = draw_people(60, np.random.default_rng(2))
    labels = pids, pids, cameras, cameras
    options = {"thresholds": [2.5], "resamples": 400}
    exact = verify_protocol(CROSS_CAMERA, features, features, *labels, **options)
    monkeypatch.setattr(import_module("stgcn_pyg.evaluation.verification"), "MOST_BINS", bins)
    monkeypatch.setattr(import_module("stgcn_pyg.evaluation.pairs"), "MOST_BINS", bins)
    binned = verify_protocol(CROSS_CAMERA, features, features, *labels, **options)
    assert binned.statistics.estimate == exact.statistics.estimate
    assert binned.statistics.low != exact.statistics.low
    for name, error in exact.statistics.standard_error.items():
        assert binned.statistics.standard_error[name] == pytest.approx(error, rel=0.2)
        assert binned.statistics.low[name] == pytest.approx(exact.statistics.low[name], abs=error)


def test_a_constant_embedding_is_worth_nothing():
    pids, cameras = np.arange(20) % 10, np.arange(20) // 10
    found = verify(np.ones((20, 20)), pids, pids, cameras, cameras, resamples=10).statistics
    estimate = found.estimate
    assert (estimate["TPR at FPR 0.1"], estimate["EER"], estimate["AUC"]) == (0, 0.5, 0.5)


def test_where_nobody_makes_a_difference_the_interval_is_clopper_and_pearsons():
    pids = np.arange(25)
    distances = 1 - 0.5 * np.eye(25)
    result = verify(distances, pids, pids, pids * 0, pids * 0 + 1, thresholds=[0.7], resamples=10)
    found, (low, _) = result.statistics, binomtest(25, 25).proportion_ci(0.95, method="exact")
    assert (found.low["TPR at 0.7"], found.high["TPR at 0.7"]) == pytest.approx((low, 1))
    assert (found.low["FPR at 0.7"], found.high["FPR at 0.7"]) == pytest.approx((0, 1 - low))
    assert (found.low["EER"], found.high["EER"]) == pytest.approx((0, 1 - low))


def test_a_threshold_is_not_rounded_up_to_a_distance_beyond_it():
    distance = np.float32(0.1)  # a little more than 0.1
    distances = np.full((2, 2), distance)
    for threshold, accepted in ((0.1, 0.0), (float(distance), 1.0)):
        result = verify(
            distances, [1, 2], [1, 2], [1, 1], [2, 2], "person", [0.5], [threshold], resamples=2
        )
        assert result.statistics.estimate[f"TPR at {threshold:.7g}"] == accepted


def test_only_rates_that_so_many_pairs_can_tell_are_given():
    pids = np.arange(12)
    distances = np.random.default_rng(0).random((12, 12))
    labels = pids, pids, pids * 0, pids * 0 + 1
    found = verify(distances, *labels, resamples=10).statistics.estimate
    assert [name for name in found if name.startswith("TPR")] == [
        "TPR at FPR 0.1",
        "TPR at FPR 0.01",  # 132 impostor pairs
    ]


def test_the_same_seed_gives_the_same_bits_whatever_the_block_size(monkeypatch):
    features, pids, cameras = draw_people(20, np.random.default_rng(2))
    labels = pids, pids, cameras, cameras
    expected = verify_protocol(FULL_GALLERY, features, features, *labels, resamples=99).to_dict()
    monkeypatch.setattr(import_module("stgcn_pyg.evaluation.bootstrap"), "BLOCK_DRAWS", 1000)
    again = verify_protocol(FULL_GALLERY, features, features, *labels, resamples=99).to_dict()
    assert again == expected
    assert json.loads(json.dumps(again)) == again


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"distances": [[0.1, np.nan], [0.3, 0.4]]}, "1 rows are not finite, first at [0]"),
        ({"distances": [0.1, 0.2]}, "distances must be [Q, G], got [2]"),
        ({"query_pids": [1]}, "query: 2 rows, 1 identities and 2 cameras"),
        ({"query_pids": [-1, 2]}, "1 queries are junk"),
        ({"gallery_pids": [3, 4]}, "0 genuine pairs, 2 identities among the queries"),
        ({"query_pids": [1, 1]}, "1 identities among the queries"),
        ({"gallery_camids": [2, 1], "same_camera": "all"}, "no impostor pair"),
        ({"same_camera": "none"}, "same_camera='none' is unknown"),
        ({"fprs": [0]}, "a rate of 0: give fractions within (0, 1)"),
        ({"fprs": [1.5]}, "a rate of 1.5: give fractions within (0, 1)"),
        (
            {"fprs": [0.1]},
            "a rate of 0.1 is less than one of 2 pairs of two people: give at least 0.5",
        ),
        ({"thresholds": [np.inf]}, "thresholds=[inf]: give finite distances"),
        ({"resamples": 1}, "resamples=1: give at least 2"),
        ({"confidence": 1.0}, "confidence=1.0: give a fraction"),
        ({"method": "normal"}, "method='normal' is unknown"),
    ],
)
def test_a_mistake_is_one_line(change, message):
    given = {
        "distances": [[0.1, 0.2], [0.3, 0.4]],
        "query_pids": [1, 2],
        "gallery_pids": [1, 2],
        "query_camids": [1, 1],
        "gallery_camids": [2, 2],
    } | change
    if change.get("same_camera") == "all":
        given["query_camids"], given["gallery_camids"] = [1, 2], [2, 1]
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        verify(**given)
    assert "\n" not in str(error.value)


GIVEN = {
    "distances": np.arange(16.0).reshape(4, 4) / 16,
    "query_pids": [1, 2, 3, 4],
    "gallery_pids": [1, 2, 3, 4],
    "query_camids": [1, 1, 1, 1],
    "gallery_camids": [2, 2, 2, 2],
    "resamples": 20,
}


def test_near_rates_and_thresholds_are_told_apart_by_their_names():
    result = verify(**GIVEN, fprs=[0.1234567, 0.1234568, 0.5], thresholds=[0.71403771, 0.71403774])
    assert list(result.statistics.estimate) == [
        *("TPR at FPR 0.1234567", "TPR at FPR 0.1234568", "TPR at FPR 0.5", "EER", "AUC"),
        *("FPR at 0.71403771", "TPR at 0.71403771", "FPR at 0.71403774", "TPR at 0.71403774"),
    ]


def test_rates_and_thresholds_may_be_arrays():
    rates, thresholds = [0.125, 0.25], [0.25, 0.5]
    lists = verify(**GIVEN, fprs=rates, thresholds=thresholds).to_dict()
    arrays = verify(**GIVEN, fprs=np.float32(rates), thresholds=torch.tensor(thresholds)).to_dict()
    assert json.loads(json.dumps(arrays)) == lists


@pytest.mark.parametrize(("rate", "least"), [(1e-9, 0.0834), (0.0833, 0.0834)])
def test_the_least_rate_that_is_named_is_taken(rate, least):
    with pytest.raises(
        ValueError, match=f"one of 12 pairs of two people: give at least {least}, or"
    ):
        verify(**GIVEN, fprs=[rate])
    verify(**GIVEN, fprs=[least])
