"""Linking: the merges of a plain loop, and never two tracklets of one camera at one time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import AgglomerativeClustering

from stgcn_pyg.linking import centred_by_camera, cut_tree, link_tracklets, merge_tree

SEEDS = st.integers(0, 2**32 - 1)


def tracklets(seed, count):
    """Embeddings in few dimensions, so that merges compete, and crowded times in two cameras."""
    rng = np.random.default_rng(seed)
    begins = rng.integers(0, 20, count).astype(float)
    ends = begins + rng.integers(0, 8, count)
    begins[rng.random(count) < 0.1] = np.nan
    return rng.normal(size=(count, 2)), rng.integers(1, 3, count), begins, ends


def forbidden_pairs(cameras, begins, ends):
    """Pairs of tracklets of one camera that share a moment."""
    known = np.flatnonzero(~np.isnan(begins)).tolist()
    return {
        frozenset((i, j))
        for i in known
        for j in known[: known.index(i)]
        if cameras[i] == cameras[j] and max(begins[i], begins[j]) <= min(ends[i], ends[j])
    }


def linked_by_a_loop(embeddings, forbidden, threshold):
    """The two nearest clusters that may be merged, again and again, all distances summed anew."""
    clusters = [{i} for i in range(len(embeddings))]
    while True:
        best, nearest = None, threshold
        for a in range(len(clusters)):
            for b in range(a):
                pairs = [(i, j) for i in clusters[a] for j in clusters[b]]
                if any(frozenset(pair) in forbidden for pair in pairs):
                    continue
                mean = np.mean([np.linalg.norm(embeddings[i] - embeddings[j]) for i, j in pairs])
                if mean <= nearest:
                    best, nearest = (b, a), mean
        if best is None:
            return {frozenset(cluster) for cluster in clusters}
        clusters[best[0]] |= clusters.pop(best[1])


def as_sets(labels):
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.integers(1, 14), st.floats(0, 5))
def test_the_clusters_are_those_of_a_plain_loop_over_the_merges_that_are_allowed(
    seed, count, threshold
):
    embeddings, *times = tracklets(seed, count)
    labels = link_tracklets(embeddings, *times, threshold=threshold)
    assert as_sets(labels) == linked_by_a_loop(embeddings, forbidden_pairs(*times), threshold)


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.integers(2, 60), st.sampled_from([1e-30, 1e-3, 1, 1e6, 1e30]))
def test_no_threshold_unites_two_tracklets_of_one_camera_at_one_time(seed, count, scale):
    embeddings, *times = tracklets(seed, count)
    labels = link_tracklets(embeddings * scale, *times, threshold=1e300)
    for i, j in map(tuple, forbidden_pairs(*times)):
        assert labels[i] != labels[j]


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.floats(0.01, 4))
def test_without_times_the_clusters_are_those_of_scikit_learn(seed, threshold):
    embeddings = np.random.default_rng(seed).normal(size=(40, 3))
    model = AgglomerativeClustering(None, linkage="average", distance_threshold=threshold)
    expected = model.fit_predict(embeddings)
    assert as_sets(link_tracklets(embeddings, threshold=threshold)) == as_sets(expected)


def test_tracklets_that_share_their_last_and_first_moment_are_two_people():
    near = [[0.0], [0.1]]
    assert link_tracklets(near, [1, 1], [0, 5], [5, 9], threshold=1).tolist() == [0, 1]
    assert link_tracklets(near, [1, 1], [0, 5.1], [5, 9], threshold=1).tolist() == [0, 0]
    assert link_tracklets(near, [1, 2], [0, 5], [5, 9], threshold=1).tolist() == [0, 0]


def test_a_third_tracklet_joins_the_nearer_of_two_that_are_seen_at_one_time():
    embeddings, cameras = [[0.0], [1.0], [0.4]], [1, 1, 2]
    labels = link_tracklets(embeddings, cameras, [0, 0, 0], [9, 9, 9], threshold=5)
    assert labels.tolist() == [0, 1, 0]


def test_a_tracklet_whose_times_are_unknown_may_join_any():
    begins, ends = [0, np.nan], [9, np.nan]
    assert link_tracklets([[0.0], [0.1]], [1, 1], begins, ends, threshold=1).tolist() == [0, 0]


def test_clusters_are_numbered_by_their_first_tracklets():
    labels = link_tracklets([[9.0], [0.0], [9.1], [5.0], [0.1]], threshold=1)
    assert labels.tolist() == [0, 1, 0, 2, 1]


def test_no_tracklet_is_nobody():
    assert link_tracklets(np.empty((0, 4)), threshold=1).tolist() == []


def test_a_single_tracklet_is_one_person():
    assert link_tracklets([[1.0, 2.0]], [1], [0], [1], threshold=0).tolist() == [0]


@pytest.mark.parametrize("times", [([1],), ([1], [5], [0]), ([1, 1], [0, 0], [1, 1])])
def test_the_times_of_a_single_tracklet_are_checked_too(times):
    with pytest.raises(ValueError, match=r"give|swap"):
        link_tracklets([[0.0]], *times, threshold=1)


def test_the_merges_that_are_forbidden_are_infinitely_far():
    tree = merge_tree([[0.0], [1.0], [5.0]], [1, 1, 1], [0, 0, 0], [1, 1, 1])
    assert np.isinf(tree[:, 2]).all()
    assert cut_tree(tree, 1e9).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": -0.1}, "threshold=-0.1"),
        ({"threshold": np.inf}, "threshold=inf"),
        ({"threshold": np.nan}, "threshold=nan"),
        ({"threshold": 1, "cameras": [1, 1]}, "begins, ends: give cameras"),
        ({"threshold": 1, "cameras": [1], "begins": [0, 0], "ends": [1, 1]}, "cameras has the"),
        ({"threshold": 1, "cameras": [1, 1], "begins": [0, 3], "ends": [1, 2]}, "tracklet 1 ends"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        link_tracklets([[0.0], [1.0]], **options)


def test_embeddings_that_cannot_be_compared_are_named_as_they_were_given():
    for embeddings, message in (
        ([[0.0], [np.nan]], "embeddings: 1 rows are not finite"),
        ([0.0, 1.0], r"features must be \[N, D\], got \[2\]"),
        ([[0.0], [1e39]], "more than float32 can hold"),
    ):
        with pytest.raises(ValueError, match=message):
            link_tracklets(embeddings, threshold=1)


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.float32])
def test_cameras_are_centred_whatever_the_type_of_the_embeddings(kind):
    centred = centred_by_camera(np.array([[1], [2], [5]], kind), ["a", "a", "b"])
    assert centred.tolist() == [[-0.5], [0.5], [0.0]]
    assert centred.dtype == (np.float32 if kind is np.float32 else np.float64)


def test_tracklets_whose_camera_is_unknown_are_centred_together():
    assert centred_by_camera([[1.0], [3.0], [7.0]], [np.nan, np.nan, 1]).tolist() == [
        [-1],
        [1],
        [0],
    ]


@pytest.mark.parametrize("cameras", [1, [1], [[1, 1]]])
def test_another_number_of_cameras_than_of_embeddings_is_refused(cameras):
    with pytest.raises(ValueError, match=r"for embeddings \[2, 1\]: give one for each tracklet"):
        centred_by_camera([[0.0], [1.0]], cameras)
