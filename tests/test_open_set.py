"""The open set: DIR at FAR against plain loops."""

import json
import re
from importlib import import_module

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pairs_by_the_book import cases, drawn, interval, loop_pairs
from test_verification import some_features

from stgcn_pyg.evaluation import (
    AGRL,
    CROSS_CAMERA,
    FULL_GALLERY,
    QUERY_FREE,
    evaluate_protocol,
    identify,
    identify_protocol,
    pairwise_distances,
)

FAR, THRESHOLD = 0.5, 0.8
quick = settings(max_examples=60, deadline=None)


def searches(case, same_camera):
    """Of each query: the distance and rank of its nearest match (or None), and its first alarm."""
    pairs = loop_pairs(case, same_camera)
    found = []
    for q in range(len(case.query_pids)):
        matches = [d for query, _, d, same in pairs if query == q and same]
        others = [d for query, _, d, same in pairs if query == q and not same]
        nearest = min(matches, default=None)
        rank = None if nearest is None else 1 + sum(d <= nearest for d in others)
        found.append((nearest, rank, min(others, default=np.inf)))
    return found


def loop_rates(found, weights, left_out, rank):
    """DIR at FAR, FAR and DIR at a threshold, where the searches weigh so much."""
    everybody = [(*search, weight) for search, weight in zip(found, weights, strict=True)]
    mated = [(d, r, w) for d, r, _, w in everybody if d is not None]
    alarms = [(e, w) for d, _, e, w in everybody if left_out or d is None]
    num_mated, num_alarms = sum(w for *_, w in mated), sum(w for _, w in alarms)

    def far(t):
        return sum(w for e, w in alarms if e <= t) / num_alarms if num_alarms else np.nan

    def dir_(t):
        return (
            sum(w for d, r, w in mated if d <= t and r <= rank) / num_mated if num_mated else np.nan
        )

    finite = [e for e, _ in alarms] + [d for d, *_ in mated]
    thresholds = [np.nextafter(t, -1) for t in finite if np.isfinite(t)] + [-1, 1e9]
    allowed = [dir_(t) for t in thresholds if far(t) <= FAR + 1e-9]
    best = max(allowed) if num_alarms and num_mated else np.nan
    return np.array([best, far(THRESHOLD), dir_(THRESHOLD)])


@quick
@given(
    case=cases(),
    same_camera=st.sampled_from(["person", "all"]),
    impostors=st.sampled_from([None, "left out", "without match"]),
    rank=st.integers(1, 3),
    method=st.sampled_from(["percentile", "bca"]),
)
def test_the_rates_and_their_intervals_are_those_of_loops(
    case, same_camera, impostors, rank, method
):
    found = searches(case, same_camera)
    matched = [nearest is not None for nearest, *_ in found]
    assume(any(matched) and len(set(case.query_pids.tolist())) > 1)
    few = matched.count(False) < 10
    left_out = impostors == "left out" or (impostors is None and few)
    num_impostors = len(found) if left_out else matched.count(False)
    assume(num_impostors * FAR >= 1)

    def rates(weights):
        return loop_rates(found, weights, left_out, rank)

    pids = case.query_pids.tolist()
    estimate = rates([1] * len(found))
    resampled = np.array([rates([of_pid[p] for p in pids]) for of_pid in drawn(pids, 20, 0)])
    assume((~np.isnan(resampled)).sum(axis=0).min() > 1)
    jackknife = np.array([rates([float(p != one) for p in pids]) for one in sorted(set(pids))])
    result = identify(
        *case, same_camera, [FAR], [rank], [THRESHOLD], impostors, 20, 0.8, method=method
    )
    assert result.impostors == ("left out" if left_out else "without match")
    assert (result.num_mated, result.num_impostors) == (sum(matched), num_impostors)
    names = [f"DIR at FAR 0.5, rank {rank}", "FAR at 0.8", f"DIR at 0.8, rank {rank}"]
    assert list(result.statistics.estimate) == names
    for s, name in enumerate(names):
        assert result.statistics.estimate[name] == pytest.approx(estimate[s], abs=1e-9)
        ends = interval(resampled[:, s], estimate[s], jackknife[:, s], 0.8, method)
        found_ends = result.statistics.low[name], result.statistics.high[name]
        assert found_ends == pytest.approx(ends, abs=1e-9)


@quick
@given(case=cases(), impostors=st.sampled_from([None, "left out"]))
def test_the_threshold_of_a_far_is_the_largest_with_that_far(case, impostors):
    found = searches(case, "person")
    assume(any(d is not None for d, *_ in found) and len(set(case.query_pids.tolist())) > 1)
    left_out = impostors == "left out" or sum(d is None for d, *_ in found) < 10
    alarms = np.array([e for d, _, e in found if left_out or d is None])
    assume(len(alarms) * FAR >= 1)
    result = identify(*case, "person", [FAR], impostors=impostors, resamples=2)
    assert (result.impostors == "left out") == left_out
    threshold = result.thresholds[FAR]
    assert (alarms <= threshold).mean() <= FAR
    beyond = np.nextafter(case.distances.dtype.type(threshold), np.inf)
    assert np.isinf(beyond) or (alarms <= beyond).mean() > FAR or beyond > 1e30


@pytest.mark.parametrize("protocol", [FULL_GALLERY, AGRL, QUERY_FREE, CROSS_CAMERA])
def test_features_give_what_their_distances_give(protocol):
    features, gallery_pids, cameras, pids, known = some_features()
    some = known & (np.arange(len(pids)) % 3 == 0)
    labels = pids[some], gallery_pids, cameras[some], cameras
    options = {"fars": [0.2], "thresholds": [2.0], "resamples": 20}
    result = identify_protocol(protocol, features[some], features, *labels, some, **options)
    keep = np.ones(len(pids), dtype=bool)
    keep &= known | protocol.keep_junk
    keep &= ~some | protocol.keep_queries
    kept = labels[0], gallery_pids[keep], labels[2], cameras[keep]
    distances = pairwise_distances(features[some], features[keep])
    expected = identify(distances, *kept, protocol.same_camera, **options)
    assert result.to_dict() == expected.to_dict() | {"protocol": protocol.name}
    assert json.loads(json.dumps(result.to_dict())) == result.to_dict()
    assert f"{protocol.name}; " in str(result)


@pytest.mark.filterwarnings("ignore:.*have no match")
def test_with_every_alarm_allowed_the_rate_is_that_of_the_closed_set():
    features, gallery_pids, cameras, pids, known = some_features()
    labels = pids[known], gallery_pids, cameras[known], cameras
    result = identify_protocol(
        FULL_GALLERY, features[known], features, *labels, ranks=[1, 5], thresholds=[100.0]
    )
    closed = evaluate_protocol(FULL_GALLERY, features[known], features, *labels)
    for k in (1, 5):
        assert result.statistics.estimate[f"DIR at 100, rank {k}"] == pytest.approx(closed.rank(k))
    assert result.statistics.estimate["FAR at 100"] == 1


def test_ten_queries_without_a_match_are_impostors_enough():
    rng = np.random.default_rng(0)
    for strangers, expected in ((9, "left out"), (10, "without match")):
        pids = np.arange(12 + strangers)
        distances = rng.random((len(pids), 12))
        cameras = np.zeros(len(pids), dtype=int), np.ones(12, dtype=int)
        result = identify(distances, pids, np.arange(12), *cameras, resamples=10)
        assert result.impostors == expected
        assert "DIR at FAR 0.1, rank 1" in result.statistics.estimate


def test_bins_change_no_estimate(monkeypatch):
    rng = np.random.default_rng(0)
    pids = np.arange(300) % 100
    others = rng.random((300, 1)) * (pids[:, None] != np.arange(100))
    distances = others + rng.random((300, 100))
    labels = pids, np.arange(100), pids * 0, np.ones(100, dtype=int)
    exact = identify(distances, *labels, fars=[0.4], resamples=200).statistics
    for name in ("pairs", "open_set"):
        monkeypatch.setattr(import_module(f"stgcn_pyg.evaluation.{name}"), "MOST_BINS", 64)
    binned = identify(distances, *labels, fars=[0.4], resamples=200).statistics
    assert binned.estimate == exact.estimate
    assert binned.low != exact.low
    for name, error in exact.standard_error.items():
        assert binned.low[name] == pytest.approx(exact.low[name], abs=error)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"impostors": "strangers"}, "impostors='strangers' is unknown"),
        ({"impostors": "without match"}, "every query has a match: give impostors='left out'"),
        ({"ranks": [0]}, "ranks=[0]: give integers from 1 on"),
        ({"ranks": []}, "ranks=[]: give at least one"),
        (
            {"fars": [0.1]},
            "a rate of 0.1 is less than one of 2 searches for people who are not in the",
        ),
        ({"fars": [2.0]}, "a rate of 2: give fractions within (0, 1)"),
        ({"thresholds": [np.nan]}, "thresholds=[nan]: give finite distances"),
        ({"gallery_pids": [3, 4]}, "none of the 2 queries has a match"),
        ({"query_pids": [1, 1], "fars": [0.5]}, "1 identities among the queries"),
        ({"same_camera": "none"}, "same_camera='none' is unknown"),
        ({"resamples": 1, "fars": [0.5]}, "resamples=1: give at least 2"),
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
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        identify(**given)
    assert "\n" not in str(error.value)


def test_near_rates_and_arrays_are_told_apart_and_plain_json():
    given = {
        "distances": np.arange(16.0).reshape(4, 4) / 16,
        "query_pids": [1, 2, 3, 4],
        "gallery_pids": [1, 2, 3, 4],
        "query_camids": [1, 1, 1, 1],
        "gallery_camids": [2, 2, 2, 2],
        "resamples": np.int64(20),
    }
    fars, thresholds = np.array([0.3234567, 0.3234568]), np.array([0.71403771, 0.71403774])
    result = identify(**given, fars=fars, ranks=np.array([1, 3]), thresholds=thresholds)
    assert list(result.thresholds) == fars.tolist()
    found = json.loads(json.dumps(result.to_dict()))
    assert list(found["thresholds"]) == ["0.3234567", "0.3234568"]
    assert len(found["statistics"]) == 2 * 2 + 2 + 2 * 2
    assert "DIR at FAR 0.3234568, rank 3" in found["statistics"]
    assert "DIR at 0.71403774, rank 1" in found["statistics"]
