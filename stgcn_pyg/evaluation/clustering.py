"""How well clusters of tracklets fit their identities: by pairs, and by tracklets (B-cubed)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg.evaluation.arrays import Array, plain, to_integers
from stgcn_pyg.evaluation.bootstrap import (
    EQUAL,
    IdentitySums,
    check_resampling,
    format_intervals,
    interval_ends,
    resample,
)

NAMES = tuple(
    f"{kind} {what}" for kind in ("pairwise", "B-cubed") for what in ("precision", "recall", "F")
)


@dataclass(frozen=True, eq=False, kw_only=True)
class ClusterScores:
    """Scores of clusters as fractions with their intervals, by the names in ``NAMES``.

    Attributes:
        estimate: The score of all tracklets.
        low, high: The ends of its interval.
        num_people: The number of identities; each resample drew as many.
        num_tracklets: The number of tracklets.
        num_clusters: The number of clusters.
        confidence: The confidence of the intervals.
        resamples: The number of resamples.
        seed: The seed of the draws.
    """

    estimate: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    num_people: int
    num_tracklets: int
    num_clusters: int
    confidence: float
    resamples: int
    seed: int

    def __str__(self) -> str:
        return (
            f"{self.num_tracklets:,} tracklets of {self.num_people:,} identities in "
            f"{self.num_clusters:,} clusters; in per cent,\n"
            f"{100 * self.confidence:g} % intervals (bca, {self.resamples:,} resamples of "
            f"identities)\n{format_intervals(self)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: estimate, low and high by score, and the other attributes."""
        numbers = pd.DataFrame({name: getattr(self, name) for name in ("estimate", "low", "high")})
        others = ("num_people", "num_tracklets", "num_clusters", "confidence", "resamples", "seed")
        return {
            "statistics": numbers.to_dict("index"),
            **plain({name: getattr(self, name) for name in others}),
        }


def score_clusters(
    labels: Array,
    pids: Array,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> ClusterScores:
    r"""Precision, recall and F of clusters, by pairs and B-cubed.

    By pairs: of all pairs of tracklets in one cluster, the share of one identity is the precision;
    of all pairs of one identity, the share in one cluster is the recall. B-cubed: with
    :math:`C_i` the tracklets in the cluster of tracklet i and :math:`P_i` those of its identity,
    both with i itself,

    .. math::
        \text{precision} = \frac{1}{N} \sum_i \frac{|C_i \cap P_i|}{|C_i|}, \qquad
        \text{recall} = \frac{1}{N} \sum_i \frac{|C_i \cap P_i|}{|P_i|}.

    Pairs grow with the square of a cluster, so a single large wrong cluster decides the pairwise
    precision; B-cubed gives each tracklet the same weight. F is the harmonic mean of precision and
    recall. Where there is no pair to count, the share is 1.

    The intervals are those of :func:`.bootstrap`, over identities with all their tracklets. The
    clusters are not made anew for a resample; a pair of two identities counts half for each.

    Args:
        labels: Cluster of each tracklet, ``[N]`` integers.
        pids: Identity of each tracklet, ``[N]`` integers.
        resamples: The number of resamples.
        confidence: The confidence of the intervals, within (0, 1).
        seed: The seed of the draws.

    Returns:
        The scores and their intervals.

    Raises:
        ValueError: Labels and pids that are not N integers each, fewer than 2 identities or
            resamples, or confidence outside (0, 1).

    Source: Bagga and Baldwin, Algorithms for Scoring Coreference Chains, 1998 (B-cubed).

    Example:
        >>> print(score_clusters([0, 0, 0, 1], [5, 5, 7, 7]))
        4 tracklets of 2 identities in 2 clusters; in per cent,
        95 % intervals (bca, 10,000 resamples of identities)
        pairwise precision      33.3 [0.0, 50.0]
        pairwise recall        50.0 [0.0, 100.0]
        pairwise F              40.0 [0.0, 66.7]
        B-cubed precision      66.7 [10.5, 94.7]
        B-cubed recall        75.0 [50.0, 100.0]
        B-cubed F              70.6 [57.1, 80.0]
    """
    check_resampling(resamples, confidence)
    sums = cluster_sums(labels, pids)
    estimate = _scores(sums.means)
    resampled = _scores(resample(sums, resamples, np.random.default_rng(seed)))
    rest = sums.sums.sum(axis=0) - sums.sums, sums.counts.sum() - sums.counts
    left_out = _scores(rest[0] / rest[1][:, None])
    varies = np.ptp(left_out, axis=0) > EQUAL
    ends = interval_ends(resampled, estimate, left_out, varies, confidence)
    low, high = (dict(zip(NAMES, row.tolist(), strict=True)) for row in ends)
    return ClusterScores(
        estimate=dict(zip(NAMES, estimate.tolist(), strict=True)),
        low=low,
        high=high,
        num_people=len(sums.counts),
        num_tracklets=int(sums.counts.sum()),
        num_clusters=len(np.unique(labels)),
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )


def cluster_sums(labels: Array, pids: Array) -> IdentitySums:
    """What the scores are ratios of, summed over each identity's tracklets.

    The statistics are the right pairs in clusters, all pairs in clusters, all pairs of the
    identity, and the precisions and recalls of B-cubed.
    """
    labels, pids = to_integers("labels", labels), to_integers("pids", pids)
    if len(labels) != len(pids):
        raise ValueError(f"{len(labels)} labels for {len(pids)} pids: give one of each a tracklet")
    _, cluster = np.unique(labels, return_inverse=True)
    identities, identity = np.unique(pids, return_inverse=True)
    if len(identities) < 2:
        raise ValueError("identities are resampled: give tracklets of at least 2")
    # The tracklets of one identity in one cluster, n of them, have all values in common.
    cells, n = np.unique(identity * len(pids) + cluster, return_counts=True)
    p, c = np.divmod(cells, len(pids))
    size, total = np.bincount(cluster)[c], np.bincount(identity)
    values = {
        "right": (n - 1) / 2,
        "claimed": (size - 1) / 2,
        "true": (total[p] - 1) / 2,
        "precision": n / size,
        "recall": n / total[p],
    }
    sums = [np.bincount(p, n * value) for value in values.values()]
    return IdentitySums(tuple(values), np.stack(sums, axis=1), total.astype(float))


def harmonic_mean(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """F of precision and recall, neither of which is 0."""
    return 2 * precision * recall / (precision + recall)


def _scores(means: np.ndarray) -> np.ndarray:
    """The scores ``[..., 6]`` of means ``[..., 5]`` of :func:`cluster_sums`."""
    right, claimed, true, precision, recall = np.moveaxis(means, -1, 0)
    pairs = (right, claimed), (right, true), (2 * right, claimed + true)
    shares = [np.divide(a, b, out=np.ones_like(a), where=b > 0) for a, b in pairs]
    return np.stack([*shares, precision, recall, harmonic_mean(precision, recall)], axis=-1)
