"""Scores of clusters: by hand, by loops over pairs and tracklets, and by scikit-learn."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.cluster import pair_confusion_matrix

from stgcn_pyg.evaluation.clustering import NAMES, score_clusters

LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30).filter(
    lambda rows: len({pid for _, pid in rows}) > 1
)


def by_pairs(labels, pids):
    """Precision, recall and F of pairs, counted one by one."""
    right = claimed = true = 0
    for i, j in combinations(range(len(labels)), 2):
        together, same = labels[i] == labels[j], pids[i] == pids[j]
        right, claimed, true = right + (together and same), claimed + together, true + same
    f = 2 * right / (claimed + true) if claimed + true else 1
    return right / claimed if claimed else 1, right / true if true else 1, f


def b_cubed(labels, pids):
    """Means over the tracklets of the shares of their clusters and of their identities."""
    precisions, recalls = [], []
    for label, pid in zip(labels, pids, strict=True):
        cluster = [p for other, p in zip(labels, pids, strict=True) if other == label]
        identity = [other for other, p in zip(labels, pids, strict=True) if p == pid]
        precisions.append(cluster.count(pid) / len(cluster))
        recalls.append(identity.count(label) / len(identity))
    precision, recall = sum(precisions) / len(labels), sum(recalls) / len(labels)
    return precision, recall, 2 / (1 / precision + 1 / recall)


def test_one_merged_and_one_split_identity_score_as_worked_out_by_hand():
    # Clusters {5 5 7}, {7}, {9 9}: 2 of 4 pairs are right, and 2 of the 3 true pairs are found.
    scores = score_clusters([0, 0, 0, 1, 2, 2], [5, 5, 7, 7, 9, 9], resamples=2).estimate
    precision, recall = (2 / 3 + 2 / 3 + 1 / 3 + 1 + 1 + 1) / 6, (1 + 1 + 0.5 + 0.5 + 1 + 1) / 6
    assert scores == pytest.approx(
        {
            "pairwise precision": 2 / 4,
            "pairwise recall": 2 / 3,
            "pairwise F": 4 / 7,
            "B-cubed precision": precision,
            "B-cubed recall": recall,
            "B-cubed F": 2 * precision * recall / (precision + recall),
        }
    )


@settings(max_examples=200, deadline=None)
@given(LABELS)
def test_all_scores_are_those_of_loops_over_pairs_and_tracklets(rows):
    labels, pids = zip(*rows, strict=True)
    scores = score_clusters(labels, pids, resamples=2).estimate
    assert list(scores) == list(NAMES)
    expected = (*by_pairs(labels, pids), *b_cubed(labels, pids))
    np.testing.assert_allclose(list(scores.values()), expected, rtol=0, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(LABELS)
def test_pairs_are_counted_as_scikit_learn_counts_them(rows):
    labels, pids = zip(*rows, strict=True)
    (_, wrong), (missed, right) = pair_confusion_matrix(pids, labels)
    scores = score_clusters(labels, pids, resamples=2).estimate
    if right + wrong:
        assert scores["pairwise precision"] == pytest.approx(right / (right + wrong))
    if right + missed:
        assert scores["pairwise recall"] == pytest.approx(right / (right + missed))


def test_an_interval_covers_the_true_score_about_as_often_as_it_says():
    # A person of three tracklets is linked whole, or loses one: true recall (2 + 1/3 + ...).
    rng = np.random.default_rng(0)
    split, within = 0.3, 0
    true = 1 - split + split * 5 / 9
    for _ in range(200):
        labels = np.repeat(np.arange(40), 3)
        labels[2::3] += 100 * (rng.random(40) < split)
        found = score_clusters(labels, np.repeat(np.arange(40), 3), resamples=400)
        within += found.low["B-cubed recall"] <= true <= found.high["B-cubed recall"]
    assert 0.90 * 200 <= within <= 0.985 * 200


def test_identities_are_resampled_and_not_tracklets():
    # Twice the tracklets of the same people say no more about other people.
    rng = np.random.default_rng(0)
    pids = np.repeat(np.arange(20), 4)
    labels = np.where(rng.random(80) < 0.7, pids, 100 + pids)
    once = score_clusters(labels, pids)
    twice = score_clusters(np.tile(labels, 2), np.tile(pids, 2))
    name = "B-cubed precision"
    assert once.low[name] == pytest.approx(twice.low[name])
    assert once.high[name] == pytest.approx(twice.high[name])


def test_perfect_clusters_of_few_people_do_not_promise_perfect_clusters_of_others():
    scores = score_clusters([3, 3, 8, 8], [1, 1, 2, 2])
    assert scores.estimate == dict.fromkeys(NAMES, 1)
    # Two of two without an exception: Clopper and Pearson's lower end is the root of 0.025.
    assert scores.low["B-cubed F"] == pytest.approx(0.025**0.5)
    assert scores.high["B-cubed F"] == 1


def test_the_names_of_clusters_and_the_order_of_tracklets_do_not_matter():
    rng = np.random.default_rng(1)
    labels, pids = rng.integers(0, 9, 60), rng.integers(0, 12, 60)
    order = rng.permutation(60)
    one, other = score_clusters(labels, pids), score_clusters(40 - labels[order], pids[order])
    for part in ("estimate", "low", "high"):
        assert getattr(one, part) == pytest.approx(getattr(other, part))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [4, 4]), "at least 2"),
        (([0], [4, 5]), "1 labels for 2 pids"),
        (([0.5, 1], [4, 5]), "labels must be a 1-D array of integers"),
        (([0, 1], [4, 5], 1), "resamples=1"),
        (([0, 1], [4, 5], 9, 1.0), "confidence=1.0"),
    ],
)
def test_what_cannot_be_scored_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        score_clusters(*arguments)
