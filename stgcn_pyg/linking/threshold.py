"""The threshold of linking, chosen on labelled tracklets."""

from dataclasses import dataclass

import numpy as np

from stgcn_pyg.evaluation.arrays import Array, to_integers, to_numpy
from stgcn_pyg.evaluation.bootstrap import EQUAL, IdentitySums, check_resampling, resample
from stgcn_pyg.evaluation.clustering import harmonic_mean
from stgcn_pyg.evaluation.thresholds import ThresholdInterval
from stgcn_pyg.linking.tree import merge_tree


@dataclass(frozen=True, kw_only=True)
class ChosenThreshold(ThresholdInterval):
    """A threshold with the interval that other identities would put it in.

    Attributes:
        threshold: The distance up to which clusters are merged.
        f: The B-cubed F of the tracklets that it was chosen on, as a fraction. It is the best of
            many, so expect less on others.
        num_tracklets: The number of tracklets that it was chosen on.
        low, high, num_people, confidence, resamples, seed: As in :class:`.ThresholdInterval`.
    """

    f: float
    num_tracklets: int

    def __str__(self) -> str:
        return (
            f"{self.in_words()}, chosen on {self.num_tracklets:,} tracklets of "
            f"{self.num_people:,} identities, where B-cubed F is {100 * self.f:.1f} %"
        )


def choose_threshold(
    embeddings: Array,
    pids: Array,
    cameras: Array | None = None,
    begins: Array | None = None,
    ends: Array | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> ChosenThreshold:
    """The threshold at which the clusters of labelled tracklets have the best B-cubed F.

    Clusters change only at the distance of a merge. Each threshold that is tried lies half-way
    between two such distances; of equal ones the lowest is taken. The interval is the range of the
    thresholds that are best for resampled identities, by their share of the precision and recall
    (:func:`.score_clusters`), from the lowest to the highest of those that are equally good.

    Args:
        embeddings: Embeddings of N tracklets, ``[N, D]``.
        pids: Identity of each tracklet, ``[N]`` integers; leave junk out.
        cameras, begins, ends: As for :func:`link_tracklets`.
        resamples: The number of resamples.
        confidence: The confidence of the interval, within (0, 1).
        seed: The seed of the draws; the same seed gives the same result.

    Returns:
        The threshold, its interval, and the F there.

    Raises:
        ValueError: As :func:`link_tracklets` and :func:`.score_clusters`.

    Example:
        >>> chosen = choose_threshold([[0.0], [1.0], [7.0], [9.0]], pids=[4, 4, 6, 6])
        >>> chosen.threshold, chosen.f
        (4.75, 1.0)
    """
    check_resampling(resamples, confidence)
    pids, embeddings = to_integers("pids", pids), to_numpy(embeddings)
    tree = merge_tree(embeddings, cameras, begins, ends)
    if len(pids) != len(embeddings):
        raise ValueError(f"{len(pids)} pids for {len(embeddings)} tracklets: give one for each")
    heights, both = _sums_by_cut(tree, pids)
    thresholds = np.append((heights[:-1] + heights[1:]) / 2, heights[-1])
    f = harmonic_mean(*np.split(both.means, 2))
    rng = np.random.default_rng(seed)
    resampled = harmonic_mean(*np.split(resample(both, resamples, rng), 2, axis=1))
    # Merges of identities that were not drawn change nothing: many thresholds may be best.
    is_best = resampled > resampled.max(axis=1, keepdims=True) - EQUAL
    lowest, highest = is_best.argmax(axis=1), is_best.shape[1] - 1 - is_best[:, ::-1].argmax(axis=1)
    low = float(np.quantile(thresholds[lowest], (1 - confidence) / 2))
    high = float(np.quantile(thresholds[highest], (1 + confidence) / 2))
    return ChosenThreshold(
        threshold=float(thresholds[(f > f.max() - EQUAL).argmax()]),
        low=low,
        high=high,
        f=float(f.max()),
        num_people=len(both.counts),
        num_tracklets=len(pids),
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )


def _sums_by_cut(tree: np.ndarray, pids: np.ndarray) -> tuple[np.ndarray, IdentitySums]:
    """The distances ``[T]`` at which clusters change, and B-cubed's sums from each on.

    The statistics of the sums are the T precisions, then the T recalls. Only what a merge changes
    is computed anew.
    """
    identities, identity, counts = np.unique(pids, return_inverse=True, return_counts=True)
    if len(identities) < 2:
        raise ValueError("identities are resampled: give tracklets of at least 2")
    clusters = [{p: 1} for p in identity.tolist()]  # the number of tracklets of each identity
    sums = np.stack([counts, np.ones(len(counts))], axis=1)  # of single tracklets
    heights, found = [0.0], [sums.copy()]
    for left, right, height in tree[np.isfinite(tree[:, 2]), :3].tolist():
        one, other = clusters[int(left)], clusters[int(right)]
        merged = {p: one.get(p, 0) + other.get(p, 0) for p in one | other}
        clusters.append(merged)
        for cluster, sign in ((one, -1), (other, -1), (merged, 1)):
            p, n = np.array([*cluster]), np.array([*cluster.values()])
            sums[p] += sign * np.stack([n * n / n.sum(), n * n / counts[p]], axis=1)
        if height > heights[-1]:
            heights.append(height)
            found.append(sums)
        found[-1] = sums.copy()
    columns = np.concatenate(np.transpose(found), axis=1)  # of [2, P, T]
    return np.array(heights), IdentitySums(("",) * columns.shape[1], columns, counts.astype(float))
