"""The threshold chosen on labelled tracklets."""

import numpy as np
import pytest

from stgcn_pyg.evaluation.clustering import score_clusters
from stgcn_pyg.linking import choose_threshold, link_tracklets


def people(count=30, tracklets=3, noise=0.5, seed=0):
    """Tracklets about their people, noisily enough that no threshold is right for all."""
    rng = np.random.default_rng(seed)
    pids = np.repeat(np.arange(count), tracklets)
    return rng.normal(size=(count, 4))[pids] + noise * rng.normal(size=(len(pids), 4)), pids


def f_at(embeddings, pids, threshold):
    labels = link_tracklets(embeddings, threshold=threshold)
    return score_clusters(labels, pids, resamples=2).estimate["B-cubed F"]


def test_no_threshold_of_a_fine_grid_is_better():
    embeddings, pids = people()
    chosen = choose_threshold(embeddings, pids)
    best = max(f_at(embeddings, pids, threshold) for threshold in np.linspace(0, 6, 1201))
    assert 0.5 < best < 1
    assert chosen.f == pytest.approx(f_at(embeddings, pids, chosen.threshold))
    assert chosen.f >= best - 1e-12


def test_it_lies_half_way_between_the_last_right_and_the_first_wrong_merge():
    # Merges at 1, 3 and then, of the two pairs, at (6 + 9 + 5 + 8) / 4 = 7.
    chosen = choose_threshold([[0.0], [1.0], [6.0], [9.0]], [4, 4, 6, 6])
    assert (chosen.threshold, chosen.f) == (5, 1)
    assert (chosen.num_people, chosen.num_tracklets) == (2, 4)


def test_a_merge_that_times_forbid_does_not_count():
    # Without times all three would be one cluster at 1; the first two are two people.
    embeddings, pids = [[0.0], [0.5], [0.2]], [1, 2, 1]
    free = choose_threshold(embeddings, pids)
    held = choose_threshold(embeddings, pids, [1, 1, 2], [0, 0, 0], [9, 9, 9])
    assert held.f == 1
    assert (held.threshold, free.threshold) == pytest.approx((0.2, (0.2 + 0.4) / 2))


def test_the_interval_holds_the_threshold_and_narrows_with_more_people():
    few, many = (choose_threshold(*people(count, noise=0.3)) for count in (12, 200))
    for chosen in (few, many):
        assert chosen.low <= chosen.threshold <= chosen.high
    assert many.high - many.low < few.high - few.low


def test_the_interval_is_where_the_thresholds_of_other_people_lie():
    chosen = choose_threshold(*people(60))
    others = [choose_threshold(*people(60, seed=seed), resamples=2).threshold for seed in range(20)]
    assert np.mean([chosen.low <= other <= chosen.high for other in others]) > 0.6


def test_the_same_tracklets_give_the_same_result():
    assert choose_threshold(*people()) == choose_threshold(*people())


def test_merges_at_one_distance_are_made_together():
    # No threshold merges the first two alone: precision (2/3 + 2/3 + 1/3) / 3, recall 1.
    chosen = choose_threshold([[0.0], [0.0], [0.0]], [1, 1, 2])
    assert chosen.f == pytest.approx(2 * 5 / 9 / (5 / 9 + 1))


def test_people_seen_once_each_are_not_merged():
    chosen = choose_threshold([[0.0], [1.0], [3.0]], [1, 2, 3])
    assert (chosen.threshold, chosen.f) == (0.5, 1)


@pytest.mark.parametrize(
    ("pids", "options", "message"),
    [
        ([1, 1], {}, "at least 2"),
        ([1, 2, 3], {}, "3 pids for 2 tracklets"),
        ([1, 2], {"confidence": 0}, "confidence=0"),
    ],
)
def test_what_chooses_nothing_is_refused(pids, options, message):
    with pytest.raises(ValueError, match=message):
        choose_threshold([[0.0], [1.0]], pids, **options)


def test_nobody_to_choose_on_is_told():
    for pids, message in (([], "at least 2"), ([1], "1 pids for 0 tracklets")):
        with pytest.raises(ValueError, match=message):
            choose_threshold(np.zeros((0, 3)), pids)
