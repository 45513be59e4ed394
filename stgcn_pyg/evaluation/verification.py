"""Verification: whether two tracklets show one identity, by a threshold on their distance."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from stgcn_pyg.evaluation.arrays import Array, check_known
from stgcn_pyg.evaluation.bootstrap import (
    BootstrapResult,
    IntervalMethod,
    format_intervals,
)
from stgcn_pyg.evaluation.candidates import Labels, check_labels
from stgcn_pyg.evaluation.distances import Metric
from stgcn_pyg.evaluation.pairs import (
    MOST_BINS,
    FeaturePairs,
    GivenPairs,
    Identities,
    PairSource,
    check_genuine,
    other_pairs,
    round_down,
    spread,
)
from stgcn_pyg.evaluation.protocols import Protocol, select_gallery
from stgcn_pyg.evaluation.result import SameCamera
from stgcn_pyg.evaluation.roc import (
    Trials,
    area_under,
    bootstrap_curve,
    check_rates,
    check_thresholds,
    chosen_rates,
    equal_error_rate,
    number_names,
    rates,
    tpr_at,
)

USUAL_FPRS = (0.1, 0.01, 0.001, 0.0001)


@dataclass(frozen=True, eq=False, kw_only=True)
class VerificationResult:
    """The ROC curve of all pairs, and its statistics with their intervals.

    Attributes:
        thresholds: Distances ``[T]``, ascending; a pair is accepted up to that distance. They are
            all at which the TPR changes, those just below, those that were asked for, and infinity.
        fpr: The share of the impostor pairs that each threshold accepts, ``[T]``.
        tpr: The share of the genuine pairs that each threshold accepts, ``[T]``.
        statistics: ``"TPR at FPR 0.01"``, ``"EER"``, ``"AUC"``, and for thresholds that were asked
            for ``"FPR at 0.75"`` and ``"TPR at 0.75"``.
        num_genuine: The number of pairs of one identity.
        num_impostor: The number of pairs of two identities.
        same_camera: What was left out, ``"person"`` or ``"all"``.
        protocol: The name of the protocol, or None.
    """

    thresholds: np.ndarray
    fpr: np.ndarray
    tpr: np.ndarray
    statistics: BootstrapResult
    num_genuine: int
    num_impostor: int
    same_camera: SameCamera
    protocol: str | None = None

    def __str__(self) -> str:
        name = self.protocol or f"same camera: {self.same_camera}"
        return (
            f"{name}; {self.num_genuine:,} genuine and {self.num_impostor:,} impostor pairs\n"
            f"{self.statistics.caption()}\n{format_intervals(self.statistics, decimals=2)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: the statistics, their intervals, and the counts; without the curve."""
        return {
            "protocol": self.protocol,
            "num_genuine": self.num_genuine,
            "num_impostor": self.num_impostor,
            "same_camera": self.same_camera,
            **self.statistics.to_dict(),
        }


def verify(
    distances: Array,
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    same_camera: SameCamera = "person",
    fprs: Sequence[float] | None = None,
    thresholds: Sequence[float] = (),
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    method: IntervalMethod = "bca",
) -> VerificationResult:
    r"""The ROC curve of a matrix of distances, with intervals over the identities.

    The pairs are those that a ranking compares: every query with every gallery item but junk and
    what ``same_camera`` leaves out. Genuine pairs show one identity, impostor pairs two. A
    threshold accepts the pairs at that distance and below. FPR and TPR are the shares of impostor
    and genuine pairs that are accepted.

    - *TPR at FPR f*: the highest TPR of all thresholds whose FPR is at most f. Nothing is
      interpolated: pairs at one distance are accepted together or not at all.
    - *EER*: where the ROC curve, its points joined by straight lines, meets FPR = 1 - TPR.
    - *AUC*: the chance that a genuine pair is nearer than an impostor pair, where a tie counts
      half.

    **Intervals.** The identities of the queries are resampled as in :func:`bootstrap`. A pair
    belongs to two of them, and both count: people who look like others make false positives on
    either side. With :math:`w_p` the number of times that identity p is drawn, a genuine pair
    weighs :math:`w_p`, and an impostor pair :math:`w_p + w_r - 1`, the linear part of
    :math:`w_p w_r`. Its variance is right if identities differ and too large, never too small, if
    only pairs do. Gallery items of no query's identity (distractors) are not resampled, and their
    pairs weigh :math:`w_p`. The FPR of a threshold and the threshold of an FPR are found anew in
    each resample. Resamples count pairs in bins if the genuine pairs have more than 512 different
    distances; the TPR at an FPR is then interpolated within a bin, in resamples alone.

    Memory beside the distances: about 100 MB, and 24 KB for each identity.

    Args:
        distances: Distances ``[Q, G]``, smaller is more alike.
        query_pids, gallery_pids, query_camids, gallery_camids, same_camera: As in
            :func:`evaluate_ranking`.
        fprs: The FPRs at which to give the TPR; 0.1, and of 0.01, 0.001 and 0.0001 those that so
            many pairs can tell from 0 if not given.
        thresholds: Distances at which to give FPR and TPR.
        resamples, confidence, seed, method: As for :func:`bootstrap`.

    Raises:
        ValueError: As :func:`evaluate_ranking` and :func:`bootstrap`; no genuine or no impostor
            pair, fewer than 2 identities, FPRs outside (0, 1) or below one pair's share, or
            thresholds that are not finite.

    Source: Fogliato, Patil and Perona, Confidence Intervals for Error Rates in 1:1 Matching Tasks,
    IJCV 2024, on why both identities of a pair are resampled. Janssen, Weighted bootstrapping of
    U-statistics, 1994, on the linear weights.

    Example:
        >>> distances = [[0.1, 0.5, 0.9], [0.7, 0.2, 0.8], [0.4, 0.6, 0.3]]
        >>> pids, cameras = [4, 5, 6], [1, 1, 1]
        >>> result = verify(distances, pids, pids, cameras, [2, 2, 2], thresholds=[0.45])
        >>> {name: round(value, 3) for name, value in result.statistics.estimate.items()}
        {'TPR at FPR 0.1': 1.0, 'EER': 0.0, 'AUC': 1.0, 'FPR at 0.45': 0.167, 'TPR at 0.45': 1.0}
    """
    source = GivenPairs(distances)
    rows_of = (source.matrix, source.matrix.T)
    labels = check_labels(query_pids, gallery_pids, query_camids, gallery_camids, rows_of)
    options = _Options(fprs, thresholds, resamples, confidence, seed, method)
    return _verify(source, labels, same_camera, options)


def verify_protocol(
    protocol: Protocol,
    query_features: Array,
    gallery_features: Array,
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    gallery_is_query: Array | None = None,
    metric: Metric = "euclidean",
    fprs: Sequence[float] | None = None,
    thresholds: Sequence[float] = (),
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    method: IntervalMethod = "bca",
    device: torch.device | str | None = None,
) -> VerificationResult:
    """:func:`verify` on the distances of features, under a protocol.

    The distances are those of :func:`pairwise_distances`, for 1,024 queries and as many gallery
    items at a time. What a protocol says about AP and depth does not matter here.

    Args:
        protocol: One of ``PROTOCOLS``, or one of your own.
        query_features, gallery_features, query_pids, gallery_pids, query_camids, gallery_camids,
            gallery_is_query, metric, device: As in :func:`evaluate_protocol`.
        fprs, thresholds, resamples, confidence, seed, method: As in :func:`verify`.

    Raises:
        ValueError: As :func:`verify` and :func:`evaluate_protocol`.

    Example:
        >>> from stgcn_pyg.evaluation import CROSS_CAMERA
        >>> features, pids, cameras = [[0.0], [2.0], [0.5], [3.0]], [4, 5, 4, 5], [1, 1, 2, 2]
        >>> labels = (pids, pids, cameras, cameras)
        >>> result = verify_protocol(CROSS_CAMERA, features, features, *labels)
        >>> result.num_genuine, result.num_impostor, result.statistics.estimate["AUC"]
        (4, 4, 1.0)
    """
    features = query_features, gallery_features
    labels = check_labels(query_pids, gallery_pids, query_camids, gallery_camids, features)
    labels = replace(labels, listed=select_gallery(protocol, labels.gallery_pids, gallery_is_query))
    source = FeaturePairs(*features, metric, device)
    options = _Options(fprs, thresholds, resamples, confidence, seed, method)
    return replace(_verify(source, labels, protocol.same_camera, options), protocol=protocol.name)


@dataclass(frozen=True)
class _Options:
    """What :func:`verify` was asked for."""

    fprs: Sequence[float] | None
    thresholds: Sequence[float]
    resamples: int
    confidence: float
    seed: int
    method: IntervalMethod

    def __post_init__(self) -> None:
        check_thresholds(self.thresholds)
        check_rates(() if self.fprs is None else self.fprs)


def _verify(
    source: PairSource, labels: Labels, same_camera: SameCamera, options: _Options
) -> VerificationResult:
    thresholds = check_thresholds(options.thresholds)
    counts = _count(source, labels, same_camera, thresholds)
    fprs = chosen_rates(options.fprs, USUAL_FPRS, counts.num_impostor)

    def statistics(fpr: np.ndarray, tpr: np.ndarray, ends: np.ndarray = counts.bins) -> np.ndarray:
        found = [tpr_at(fpr, tpr, most, len(ends) < len(counts.edges)) for most in fprs]
        found += [equal_error_rate(fpr, tpr), area_under(fpr, tpr)]
        for vertex in np.searchsorted(ends, counts.asked) + 1:  # the first accepts nothing
            found += [fpr[..., vertex], tpr[..., vertex]]
        return np.stack(found, axis=-1)

    named, at = number_names(fprs, 6), number_names(thresholds, 7)
    names = [f"TPR at FPR {named[fpr]}" for fpr in fprs] + ["EER", "AUC"]
    for threshold in thresholds:
        names += [f"FPR at {at[threshold]}", f"TPR at {at[threshold]}"]
    fpr, tpr = rates(counts.impostor), rates(counts.genuine)
    found = bootstrap_curve(
        counts.trials,
        tuple(names),
        statistics(fpr, tpr, counts.edges),
        statistics,
        len(labels.query_pids),
        options.resamples,
        options.confidence,
        options.seed,
        options.method,
    )
    return VerificationResult(
        thresholds=np.append(counts.edges, np.inf),
        fpr=fpr[1:],
        tpr=tpr[1:],
        statistics=found,
        num_genuine=int(counts.genuine.sum()),
        num_impostor=counts.num_impostor,
        same_camera=same_camera,
    )


@dataclass(frozen=True, eq=False)
class _Counts:
    """Pairs by distance: those above one edge and up to the next, the last ones above all.

    Attributes:
        edges: ``[K]``, ascending, at which the curve turns.
        genuine, impostor: Counts ``[K + 1]`` by edge, float64.
        bins: Some of the edges, or all.
        trials: Counts by bin and identity.
        asked: The thresholds that were asked for, as they are among the edges.
    """

    edges: np.ndarray
    genuine: np.ndarray
    impostor: np.ndarray
    bins: np.ndarray
    trials: Trials
    asked: np.ndarray

    @property
    def num_impostor(self) -> int:
        return int(self.impostor.sum())


def _count(
    source: PairSource, labels: Labels, same_camera: SameCamera, thresholds: tuple[float, ...]
) -> _Counts:
    check_known(same_camera=(same_camera, SameCamera))
    query, item = labels.matches()
    distances = source.of(query, item)
    identities = Identities.of(labels)
    check_genuine(distances, identities)
    values = np.unique(distances)
    asked = np.array([round_down(t, values.dtype) for t in thresholds], dtype=values.dtype)
    # Between two genuine distances the TPR is constant: the curve turns at each and just below it.
    bins = edges = np.unique(np.concatenate([np.nextafter(values, -np.inf), values, asked]))
    if len(edges) > MOST_BINS:
        bins = np.unique(np.concatenate([spread(values), asked]))
    bin_of = np.searchsorted(bins, np.append(edges, np.inf))
    size = len(bins) + 1
    impostor, impostor_of = np.zeros(len(edges) + 1), np.zeros((len(identities), size))
    for queries, items, some in other_pairs(source, labels, same_camera):
        place = np.searchsorted(edges, some)
        impostor += np.bincount(place, minlength=len(impostor))
        for identity in (identities.of_query[queries], identities.of_item[items]):
            impostor_of += identities.count(identity, bin_of[place], size)
    if not impostor.any():
        raise ValueError("no impostor pair: give pairs of two identities")
    place = np.searchsorted(edges, distances)
    genuine = np.bincount(place, minlength=len(impostor)).astype(float)
    genuine_of = identities.count(identities.of_query[query], bin_of[place], size)
    trials = Trials(genuine_of, impostor_of, np.bincount(bin_of, impostor))
    return _Counts(edges, genuine, impostor, bins, trials, asked)
