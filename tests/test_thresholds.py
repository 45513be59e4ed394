"""A threshold for a wanted FPR: against loops over all pairs."""

import json
import re
from importlib import import_module

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pairs_by_the_book import drawn, loop_pairs, weights_of_pairs
from ranking_by_the_book import Case

from benchmarks.pair_coverage import draw_people
from stgcn_pyg.evaluation import CROSS_CAMERA, pairwise_distances, threshold_at_fpr, verify_protocol

TRACKLETS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(1, 4), st.integers(1, 3)), min_size=4, max_size=12
)


def all_pairs(values, pids, cameras, same_camera):
    features = np.array(values, dtype=np.float32)[:, None] / 2
    case = Case(pairwise_distances(features, features).numpy(), pids, pids, cameras, cameras)
    return features, case, loop_pairs(case, same_camera)


def loop_threshold(pairs, weights, fpr):
    """Just below the first distance of an impostor pair that makes the FPR too high."""
    impostors = [(d, w) for (*_, d, same), w in zip(pairs, weights, strict=True) if not same]
    total = sum(w for _, w in impostors)
    for distance in sorted({d for d, _ in impostors}):
        if sum(w for d, w in impostors if d <= distance) / total > fpr + 1e-9:
            return distance
    return max(d for d, _ in impostors)


@settings(max_examples=60, deadline=None)
@given(
    tracklets=TRACKLETS,
    fpr=st.sampled_from([0.1, 0.3]),
    same_camera=st.sampled_from(["person", "all"]),
    seed=st.integers(0, 9),
)
def test_the_threshold_and_its_interval_are_those_of_loops(tracklets, fpr, same_camera, seed):
    values, pids, cameras = np.array(tracklets).T
    features, case, pairs = all_pairs(values, pids, cameras, same_camera)
    same = np.array([p[3] for p in pairs], dtype=bool)
    distance = np.array([p[2] for p in pairs])
    people = set(pids.tolist())
    assume(same.any() and len(people) > 2 and (~same).sum() / 2 * fpr >= 1)
    resampled = []
    for of_pid in drawn(pids, 30, seed):
        weights = weights_of_pairs(case, pairs, of_pid)
        if weights[~same].sum() > 0:  # else it has no impostor pair, and no threshold
            resampled.append(loop_threshold(pairs, weights, fpr))
    refused = loop_threshold(pairs, np.ones(len(pairs)), fpr)
    assume(resampled and refused > 0)
    chosen = threshold_at_fpr(features, pids, cameras, fpr, same_camera, "euclidean", 30, 0.8, seed)
    assert chosen.threshold == np.nextafter(np.float32(refused), np.float32(-1))
    assert chosen.fpr == (distance[~same] <= chosen.threshold).mean() <= fpr
    assert chosen.tpr == (distance[same] <= chosen.threshold).mean()
    assert (chosen.num_genuine, chosen.num_impostor) == (same.sum() / 2, (~same).sum() / 2)
    assert chosen.num_people == len(people)
    ends = np.quantile(resampled, [0.1, 0.9])
    assert (chosen.low, chosen.high) == pytest.approx(ends, abs=1e-6)


def test_the_pairs_that_are_not_kept_change_nothing(monkeypatch):
    features, pids, cameras = draw_people(40, np.random.default_rng(0))
    expected = threshold_at_fpr(features, pids, cameras, 0.01, "all", resamples=100)
    module = import_module("stgcn_pyg.evaluation.thresholds")
    monkeypatch.setattr(module, "KEPT", 10)
    monkeypatch.setattr(import_module("stgcn_pyg.evaluation.pairs"), "TILE", 16)
    again = threshold_at_fpr(features, pids, cameras, 0.01, "all", resamples=100)
    assert again.threshold == expected.threshold
    assert again.fpr == expected.fpr
    assert (again.low, again.high) == pytest.approx((expected.low, expected.high), rel=0.01)


def test_what_is_chosen_is_what_verification_finds():
    features, pids, cameras = draw_people(40, np.random.default_rng(0))
    chosen = threshold_at_fpr(features, pids, cameras, 0.01, "all", resamples=100)
    labels = pids, pids, cameras, cameras
    result = verify_protocol(
        CROSS_CAMERA, features, features, *labels, fprs=[0.01], thresholds=[chosen.threshold]
    )
    found = result.statistics.estimate
    assert found[f"FPR at {chosen.threshold:.7g}"] == chosen.fpr <= 0.01
    assert found["TPR at FPR 0.01"] == chosen.tpr == found[f"TPR at {chosen.threshold:.7g}"]
    assert str(chosen).startswith(f"threshold {chosen.threshold:.4f} [")
    assert json.loads(json.dumps(chosen.to_dict()))["wanted_fpr"] == 0.01


def test_resamples_without_a_pair_of_two_identities_do_not_lower_the_interval():
    """Two people have most tracklets: a tenth of the resamples leaves both out."""
    rng = np.random.default_rng(0)
    pids = np.repeat(np.arange(20), [100, 100] + [4] * 18)
    features = rng.normal(size=(20, 16))[pids] + 0.6 * rng.normal(size=(len(pids), 16))
    chosen = threshold_at_fpr(features, pids, np.arange(len(pids)) % 4, 0.05, "all", resamples=2000)
    assert 3.9 < chosen.low < chosen.threshold < chosen.high  # the least distance is 2.77


def test_the_interval_holds_the_threshold_of_the_population():
    rng = np.random.default_rng(3)

    def chosen(num_people, resamples):
        features, pids, cameras = draw_people(num_people, rng)
        return threshold_at_fpr(features, pids, cameras, 0.01, "all", resamples=resamples)

    truth = np.mean([chosen(200, 2).threshold for _ in range(15)])
    found = [chosen(60, 200) for _ in range(100)]
    assert sum(some.low <= truth <= some.high for some in found) >= 80


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fpr": 0}, "a rate of 0: give fractions within (0, 1)"),
        (
            {"fpr": 0.01},
            "a rate of 0.01 is less than one of 4 pairs of two people: give at least 0.25",
        ),
        ({"pids": [1, 1, 1, 1]}, "1 identities: give"),
        ({"pids": [1, 2, 3, 4]}, "0 genuine pairs, 4 identities"),
        ({"pids": [1, 1, 2]}, "4 rows, 3 identities and 4 cameras"),
        ({"features": [0.0, 1.0, 2.0, 4.0]}, "features must be [N, D], got [4]"),
        ({"features": [[0.0], [np.nan], [1.0], [2.0]]}, "features: 1 rows are not finite"),
        ({"features": [[0.0], [1.0], [0.0], [1.0]]}, "2 of 4 impostor pairs are at distance 0"),
        ({"pids": [1, 1, 2, -1]}, "pids: 1 tracklets are junk (pid -1), first at [3]; drop them"),
        ({"features": np.zeros((0, 1)), "pids": [], "camids": []}, "no tracklet: give some"),
        ({"same_camera": "al"}, "same_camera='al' is unknown: give 'person' or 'all'"),
        ({"resamples": 1}, "resamples=1"),
        ({"confidence": 2}, "confidence=2"),
    ],
)
def test_a_mistake_is_one_line(change, message):
    given = {
        "features": [[0.0], [1.0], [2.0], [4.0]],
        "pids": [1, 1, 2, 2],
        "camids": [1, 2, 1, 2],
        "fpr": 0.3,
    } | change
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        threshold_at_fpr(**given)
    assert "\n" not in str(error.value)


def test_numbers_of_numpy_give_plain_json():
    features, labels = [[0.0], [1.0], [2.0], [4.0]], ([1, 1, 2, 2], [1, 2, 1, 2])
    chosen = threshold_at_fpr(features, *labels, np.float32(0.25), resamples=np.int64(9))
    plain = threshold_at_fpr(features, *labels, 0.25, resamples=9)
    assert json.loads(json.dumps(chosen.to_dict())) == plain.to_dict()
