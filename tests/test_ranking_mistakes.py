"""What no evaluation accepts is told in one line."""

import numpy as np
import pytest
import torch

from stgcn_pyg.evaluation import (
    FULL_GALLERY,
    chance,
    evaluate_features,
    evaluate_ranking,
    identify_protocol,
    pairwise_distances,
    threshold_at_fpr,
    verify_protocol,
)

GOOD = {
    "distances": [[0.1, 0.2]],
    "query_pids": [7],
    "gallery_pids": [7, 5],
    "query_camids": [1],
    "gallery_camids": [2, 2],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gallery_camids": [2] * 60}, "gallery: 2 rows, 2 identities and 60 cameras"),
        ({"query_camids": [1, 1]}, "query: 1 rows, 1 identities and 2 cameras"),
        ({"distances": [[0.1, 0.2, 0.3]]}, "gallery: 3 rows, 2 identities and 2 cameras"),
        ({"distances": [0.1, 0.2]}, r"\[Q, G\], got \[2\]"),
        ({"distances": [[0.1, np.nan]]}, r"distances: 1 rows are not finite, first at \[0\]"),
        ({"distances": [[0.1, np.inf]]}, "not finite"),
        ({"gallery_pids": [7.0, 5.0]}, "gallery_pids must be a 1-D array of integers, got float64"),
        ({"query_camids": [True]}, "query_camids must be a 1-D array of integers, got bool"),
        ({"query_pids": [[7]]}, "query_pids must be a 1-D array"),
        ({"query_pids": 7}, "query_pids must be a 1-D array"),
        ({"query_pids": np.array([2**64 - 1], np.uint64)}, "query_pids holds 18446744073709551615"),
        ({"query_pids": [-1]}, r"query_pids: 1 queries are junk \(pid -1\), first at \[0\]"),
        ({"query_pids": [9]}, "none of the 1 queries has a match among the 2"),
        ({"ap": "voc"}, "ap='voc' is unknown"),
        ({"same_camera": "none"}, "same_camera='none' is unknown"),
        ({"max_rank": 0}, "max_rank=0"),
        ({"depth": 0}, "depth=0"),
    ],
)
def test_a_mistake_is_told(change, message):
    with pytest.raises(ValueError, match=message):
        evaluate_ranking(**{**GOOD, **change})


@pytest.mark.parametrize(
    ("queries", "gallery", "options", "message"),
    [
        ([[np.nan]], [[0.0], [1.0]], {}, r"query_features: 1 rows are not finite, first at \[0\]"),
        ([[0.0]], [[0.0], [np.inf]], {}, r"gallery_features: 1 rows .* first at \[1\]"),
        ([[1e200, 1e200]], [[0.0, 1.0], [1.0, 1.0]], {}, "1 rows have squares beyond float64, fir"),
        ([[0.0]], [[0.0, 1.0], [1.0, 1.0]], {}, r"got \[1, 1\] and \[2, 2\]"),
        ([[0.0]], [[0.0], [1.0]], {"metric": "dot"}, "metric='dot' is unknown"),
        ([[0.0]], [[0.0], [1.0]], {"block_size": 0}, "block_size=0"),
        ([[0.0]], [[0.0]], {}, "gallery: 1 rows, 2 identities and 2 cameras"),
    ],
)
def test_a_mistake_in_features_is_told(queries, gallery, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate_features(queries, gallery, [7], [7, 5], [1], [2, 2], **options)


def test_without_features_only_the_labels_are_counted():
    with pytest.raises(ValueError, match=r"^query: 1 identities and 2 cameras; give one of each"):
        chance([7], [7, 5], [1, 1], [2, 2])


def test_distances_beyond_float32_are_told_where_they_are_needed():
    features, pids, cameras = np.array([[0.0], [1e39], [2e39], [3e39]]), [1, 1, 2, 2], [1, 2, 1, 2]
    labels = features, features, pids, pids, cameras, cameras
    assert evaluate_features(*labels).mAP == 0.75
    for call in (
        lambda: verify_protocol(FULL_GALLERY, *labels),
        lambda: identify_protocol(FULL_GALLERY, *labels),
        lambda: threshold_at_fpr(features, pids, cameras, 0.3),
        lambda: pairwise_distances(features, features),
    ):
        with pytest.raises(ValueError, match=r"a distance of [1-3]e\+39 is more than float32"):
            call()
    near = np.array([[1e39], [1e39 + 1e35]])
    found = pairwise_distances(near, near)
    torch.testing.assert_close(found, 1e35 * (1 - torch.eye(2)), rtol=1e-3, atol=0)
