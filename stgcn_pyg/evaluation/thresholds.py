"""A distance up to which two tracklets are taken for one identity, chosen on labelled tracklets."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stgcn_pyg.evaluation.arrays import Array, check_known, plain
from stgcn_pyg.evaluation.bootstrap import EQUAL, check_resampling, drawn_weights
from stgcn_pyg.evaluation.candidates import check_tracklets
from stgcn_pyg.evaluation.distances import Metric
from stgcn_pyg.evaluation.pairs import (
    MOST_BINS,
    FeaturePairs,
    Identities,
    check_genuine,
    other_pairs,
)
from stgcn_pyg.evaluation.result import SameCamera
from stgcn_pyg.evaluation.roc import Trials, check_rates

KEPT = 2**20  # impostor pairs at least, the nearest


@dataclass(frozen=True, kw_only=True)
class ThresholdInterval:
    """A threshold with the interval that other identities would put it in.

    Attributes:
        threshold: The distance.
        low, high: The ends of its interval.
        num_people: The number of identities that it was chosen on.
        confidence: The confidence of the interval.
        resamples: The number of resamples.
        seed: The seed of the draws.
    """

    threshold: float
    low: float
    high: float
    num_people: int
    confidence: float
    resamples: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values by the names of the attributes."""
        return plain(asdict(self))

    def in_words(self) -> str:
        """The threshold and its interval."""
        return f"threshold {self.threshold:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True, kw_only=True)
class ThresholdAtFpr(ThresholdInterval):
    """The threshold that takes a wanted share of the pairs of two identities for one.

    Attributes:
        wanted_fpr: The share that was wanted.
        fpr: The share of the impostor pairs that the threshold accepts, at most the wanted one.
        tpr: The share of the genuine pairs that it accepts.
        num_genuine: The number of pairs of one identity.
        num_impostor: The number of pairs of two identities.
        threshold, low, high, num_people, confidence, resamples, seed: As in
            :class:`ThresholdInterval`.
    """

    wanted_fpr: float
    fpr: float
    tpr: float
    num_genuine: int
    num_impostor: int

    def __str__(self) -> str:
        return (
            f"{self.in_words()} for an FPR of {100 * self.wanted_fpr:g} %, chosen on "
            f"{self.num_impostor:,} impostor pairs of {self.num_people:,} identities, where TPR is "
            f"{100 * self.tpr:.1f} %"
        )


def threshold_at_fpr(
    features: Array,
    pids: Array,
    camids: Array,
    fpr: float,
    same_camera: SameCamera = "person",
    metric: Metric = "euclidean",
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> ThresholdAtFpr:
    """The largest threshold that accepts at most a share ``fpr`` of the pairs of two identities.

    Each pair of tracklets is compared once, under the rules of :func:`verify`. The interval
    is the range of the thresholds that resampled identities would choose, by the weights that
    :func:`verify` describes. Choose on identities that the network was not trained on: it keeps
    those that it knows farther apart, and the threshold gets too large for others.

    Beside the distances it takes about 150 MB of memory, and more if ``fpr`` times the number of
    pairs is above 250,000: about 350 bytes each.

    Args:
        features: Features of N labelled tracklets, ``[N, D]``; leave junk out.
        pids: Identity of each tracklet, ``[N]`` integers.
        camids: Camera of each tracklet, ``[N]`` integers.
        fpr: The wanted share, within (0, 1).
        same_camera, metric: As in :func:`verify_protocol`.
        resamples: The number of resamples.
        confidence: The confidence of the interval, within (0, 1).
        seed: The seed of the draws; the same seed gives the same result.

    Raises:
        ValueError: As :func:`verify`, so few impostor pairs that one of them is a larger share, or
            so many of them at distance 0.

    Example:
        >>> features = [[0.0], [1.0], [3.0], [5.0], [9.0], [9.5]]
        >>> chosen = threshold_at_fpr(features, [1, 1, 2, 2, 3, 3], [1, 2, 1, 2, 1, 2], fpr=0.1)
        >>> round(chosen.threshold, 4), chosen.fpr, chosen.tpr
        (3.0, 0.08333333333333333, 1.0)
    """
    check_resampling(resamples, confidence)
    check_known(same_camera=(same_camera, SameCamera))
    (fpr,) = check_rates([fpr])
    labels = check_tracklets(pids, camids, features)
    source = FeaturePairs(features, features, metric, names=("features", "features"))
    identities = Identities.of(labels)
    genuine = source.of(*labels.matches())
    check_genuine(genuine, identities, "")
    count = len(labels.query_pids)
    nearest = _Nearest(max(KEPT, int(4 * fpr * count * (count - 1) / 2)))
    of_each = np.zeros(len(identities))  # impostor pairs
    for query, item, distance in other_pairs(source, labels, same_camera):
        once = query < item
        one, other = identities.of_query[query[once]], identities.of_query[item[once]]
        for identity in (one, other):
            of_each += np.bincount(identity, minlength=len(of_each))
        nearest.add(distance[once], one, other)
    total = int(of_each.sum()) // 2
    check_rates([fpr], total)
    distance, one, other = nearest.pairs()
    values, counts = np.unique(distance, return_counts=True)
    accepted = (counts.cumsum() <= fpr * total * (1 + EQUAL)).sum()
    threshold = np.nextafter(values[min(accepted, len(values) - 1)], -np.inf)
    if threshold < 0:
        raise ValueError(
            f"{counts[0]:,} of {total:,} impostor pairs are at distance 0, so that no threshold "
            f"has an FPR of {fpr:g}: give a higher one, or look for tracklets with two identities"
        )

    # What each resample refuses first, among all distances or so many of them.
    bins = values
    if len(values) > MOST_BINS:
        place = np.geomspace(1, len(distance), MOST_BINS).round().astype(int) - 1
        bins = np.unique(distance[place])
    place = np.searchsorted(bins, distance)
    near = identities.count(one, place, len(bins)) + identities.count(other, place, len(bins))
    impostor_of = np.column_stack([near, of_each - near.sum(axis=1)])
    sums = np.bincount(place, minlength=len(bins))
    trials = Trials(np.zeros_like(impostor_of), impostor_of, np.append(sums, total - sums.sum()))
    refused = np.concatenate([bins[:1], bins, bins[-1:]])  # by the vertex with too high an FPR
    found, rng = np.empty(resamples), np.random.default_rng(seed)
    for rows, weights in drawn_weights(resamples, len(identities), rng, 4 * len(bins)):
        curve, _ = trials.weighted(weights)
        found[rows] = refused[np.argmax(curve > fpr * (1 + EQUAL), axis=1)]
        found[rows[np.isnan(curve[:, -1])]] = np.nan  # it has no impostor pair
    low, high = np.nanquantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return ThresholdAtFpr(
        threshold=float(threshold),
        low=float(low),
        high=float(high),
        num_people=len(identities),
        confidence=confidence,
        resamples=resamples,
        seed=seed,
        wanted_fpr=fpr,
        fpr=float((distance <= threshold).sum() / total),
        tpr=float((genuine <= threshold).mean()),
        num_genuine=len(genuine) // 2,  # each is there either way
        num_impostor=total,
    )


class _Nearest:
    """The nearest of many pairs, so many at least: distance and identities of each."""

    def __init__(self, count: int):
        self.count, self.held, self.farthest = count, 0, np.inf
        self.parts: list[tuple[np.ndarray, ...]] = []

    def add(self, distance: np.ndarray, *both: np.ndarray) -> None:
        """Adds pairs that may be among the nearest."""
        near = distance <= self.farthest
        self.parts.append((distance[near], *(one[near].astype(np.int32) for one in both)))
        self.held += int(near.sum())
        if self.held > 2 * self.count:
            whole = self._whole()
            kept = whole[0].argpartition(self.count - 1)[: self.count]
            self.parts = [tuple(array[kept] for array in whole)]
            self.held, self.farthest = self.count, whole[0][kept].max()

    def pairs(self) -> list[np.ndarray]:
        """The pairs by distance."""
        whole = self._whole()
        order = whole[0].argsort(kind="stable")
        return [array[order] for array in whole]

    def _whole(self) -> list[np.ndarray]:
        return [np.concatenate(arrays) for arrays in zip(*self.parts, strict=True)]
