"""Tracklets merged into people, the nearest first, but never two that are seen at one time."""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from stgcn_pyg.evaluation.arrays import Array, to_numpy, to_tensor
from stgcn_pyg.evaluation.distances import Distances


def link_tracklets(
    embeddings: Array,
    cameras: Array | None = None,
    begins: Array | None = None,
    ends: Array | None = None,
    *,
    threshold: float,
) -> np.ndarray:
    """The person that each tracklet shows, by agglomerative clustering with average linkage.

    Two tracklets of one camera that overlap in time are two people: no cluster ever holds both.
    Otherwise the two clusters with the least mean distance are merged, as long as that mean is at
    most the threshold.

    For N tracklets it takes about 8 N² bytes of memory.

    Args:
        embeddings: Embeddings of N tracklets, ``[N, D]``.
        cameras: Camera of each tracklet, ``[N]``.
        begins: Time of each tracklet's first frame, ``[N]``; NaN where it is unknown. Only times
            of one camera are compared with each other.
        ends: Time of each tracklet's last frame, ``[N]``, likewise.
        threshold: The largest mean Euclidean distance at which two clusters are merged.

    Returns:
        The number of each tracklet's cluster, ``[N]``: from 0, in the order of their first
        tracklets.

    Raises:
        ValueError: Embeddings that are not ``[N, D]`` and finite; cameras, begins and ends that
            are not all given or all left out, or not ``[N]``; or a tracklet that ends before it
            begins.

    Example:
        Three tracklets look alike, but the first two are seen at one time.

        >>> embeddings = [[0.0], [0.1], [0.3], [5.0]]
        >>> link_tracklets(embeddings, threshold=1)
        array([0, 0, 0, 1])
        >>> link_tracklets(embeddings, [1, 1, 2, 2], [0, 4, 9, 9], [5, 8, 10, 10], threshold=1)
        array([0, 1, 1, 2])
    """
    embeddings = to_numpy(embeddings)
    labels = cut_tree(merge_tree(embeddings, cameras, begins, ends), threshold)
    return labels[: len(embeddings)]  # of no tracklet there is no label


def merge_tree(
    embeddings: Array,
    cameras: Array | None = None,
    begins: Array | None = None,
    ends: Array | None = None,
) -> np.ndarray:
    """All merges of :func:`link_tracklets`, for any threshold.

    Args:
        embeddings, cameras, begins, ends: As for :func:`link_tracklets`.

    Returns:
        The merges as SciPy's ``linkage`` gives them, ``[N - 1, 4]``; those that would unite two
        tracklets seen at one time have an infinite distance.

    Raises:
        ValueError: As :func:`link_tracklets`.

    Example:
        >>> merge_tree([[0.0], [0.1], [5.0]], [1, 1, 2], [0, 4, 9], [5, 8, 10])[:, 2].round(3)
        array([4.9, inf])
    """
    features = to_tensor(embeddings)
    distances = Distances(features, features, names=("embeddings", "embeddings")).matrix()
    count = len(distances)
    times = _times(count, cameras, begins, ends)
    if count < 2:
        return np.empty((0, 4))
    condensed = np.empty(count * (count - 1) // 2)
    largest = float(distances.max())
    # SciPy takes no infinite distance. The mean over any two clusters that hold a forbidden pair
    # is above this by N² / 4 at least, so above every mean of distances.
    forbidden = (largest + 1) * float(count) ** 2
    start = 0
    for row in range(count - 1):
        others = slice(row + 1, count)
        stop = start + count - row - 1
        condensed[start:stop] = distances[row, others]
        if times is not None:
            camera, begin, end = times
            apart = camera[others] == camera[row]
            apart &= (begin[others] <= end[row]) & (begin[row] <= end[others])
            condensed[start:stop][apart] = forbidden
        start = stop
    del distances
    tree = linkage(condensed, "average")
    tree[tree[:, 2] > 2 * largest + 1, 2] = np.inf
    return tree


def cut_tree(tree: np.ndarray, threshold: float) -> np.ndarray:
    """The clusters that the merges up to a threshold make.

    Args:
        tree: Merges of N tracklets, as :func:`merge_tree` gives them.
        threshold: The largest distance of a merge.

    Returns:
        As :func:`link_tracklets`.

    Raises:
        ValueError: The threshold is negative or not finite.

    Example:
        >>> cut_tree(merge_tree([[0.0], [9.0], [9.5], [0.1]]), threshold=0.2)
        array([0, 1, 2, 0])
    """
    if not 0 <= threshold < np.inf:
        raise ValueError(f"threshold={threshold}: give a distance, finite and from 0")
    if not len(tree):
        return np.zeros(1, dtype=np.int64)
    labels = fcluster(tree, threshold, "distance")
    _, first, cluster = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[cluster]


def _times(
    count: int, cameras: Array | None, begins: Array | None, ends: Array | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    given = {"cameras": cameras, "begins": begins, "ends": ends}
    absent = [name for name, values in given.items() if values is None]
    if len(absent) == len(given):
        return None
    if absent:
        raise ValueError(f"{', '.join(absent)}: give cameras, begins and ends, or none of them")
    camera, begin, end = (to_numpy(values) for values in given.values() if values is not None)
    for name, values in zip(given, (camera, begin, end), strict=True):
        if values.shape != (count,):
            raise ValueError(
                f"{name} has the shape {list(values.shape)}: give one for each of the {count} "
                "tracklets"
            )
    if (wrong := np.flatnonzero(end < begin)).size:
        raise ValueError(f"tracklet {wrong[0]} ends before it begins: swap its begin and its end")
    return camera, begin, end
