"""Open-set identification: finding who is in the gallery, and nobody for who is not."""

import warnings
from collections import ChainMap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch

from stgcn_pyg.evaluation.arrays import Array, check_known
from stgcn_pyg.evaluation.bootstrap import (
    EQUAL,
    BootstrapResult,
    IntervalMethod,
    format_intervals,
)
from stgcn_pyg.evaluation.candidates import JUNK, Labels, check_labels
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
from stgcn_pyg.evaluation.ranking import rank_distances, rank_features
from stgcn_pyg.evaluation.result import RankingResult, SameCamera, Scoring, check_ranks
from stgcn_pyg.evaluation.roc import (
    Trials,
    bootstrap_curve,
    check_thresholds,
    chosen_rates,
    number_names,
    rates,
    tpr_at,
)

Impostors = Literal["without match", "left out"]
USUAL_FARS = (0.1, 0.01, 0.001)
SEARCHES = "searches for people who are not in the gallery"  # impostors, in messages


@dataclass(frozen=True, eq=False, kw_only=True)
class OpenSetResult:
    """Detection and identification rates with their intervals.

    Attributes:
        statistics: ``"DIR at FAR 0.01, rank 1"`` and, for thresholds that were asked for,
            ``"FAR at 0.75"`` and ``"DIR at 0.75, rank 1"``.
        thresholds: By FAR f, the largest distance whose FAR is still at most f: up to it a search
            answers. It is below 0 where even the alarms at distance 0 are too many.
        impostors: Who is searched for without being in the gallery: queries ``"without match"``, or
            every query with its identity ``"left out"`` of the gallery.
        num_mated: The number of searches for somebody who is in the gallery.
        num_impostors: The number of searches for somebody who is not.
        num_gallery: The number of gallery items without junk.
        protocol: The name of the protocol, or None.
    """

    statistics: BootstrapResult
    thresholds: dict[float, float]
    impostors: Impostors
    num_mated: int
    num_impostors: int
    num_gallery: int
    protocol: str | None = None

    def __str__(self) -> str:
        name = self.protocol or "open set"
        return (
            f"{name}; {self.num_mated:,} searches for an identity in the gallery of "
            f"{self.num_gallery:,}, {self.num_impostors:,} for one that is not ({self.impostors})\n"
            f"{self.statistics.caption()}\n{format_intervals(self.statistics, decimals=2)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: the statistics, their intervals, the thresholds and the counts."""
        names = number_names(self.thresholds, 6)
        return {
            "protocol": self.protocol,
            "impostors": self.impostors,
            "num_mated": self.num_mated,
            "num_impostors": self.num_impostors,
            "num_gallery": self.num_gallery,
            "thresholds": {names[far]: value for far, value in self.thresholds.items()},
            **self.statistics.to_dict(),
        }


def identify(
    distances: Array,
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    same_camera: SameCamera = "person",
    fars: Sequence[float] | None = None,
    ranks: Sequence[int] = (1, 5),
    thresholds: Sequence[float] = (),
    impostors: Impostors | None = None,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    method: IntervalMethod = "bca",
) -> OpenSetResult:
    r"""DIR at FAR: the detection and identification rate at a false alarm rate.

    A search with a threshold :math:`\tau` answers with the ranked list of a query up to that
    distance, and with nobody if its first item is farther. Over the searches for somebody who is in
    the gallery, whose nearest match is at distance :math:`d` and rank :math:`r`, and those for
    somebody who is not (impostors), whose first item is at distance :math:`e`,

    .. math::
        \text{DIR}(\tau, k) = \Pr[r \le k, \, d \le \tau], \qquad
        \text{FAR}(\tau) = \Pr[e \le \tau].

    *DIR at FAR f* is the DIR at the largest threshold whose FAR is at most f. Ranks count gallery
    items, and at equal distance a match ranks last, as in :func:`evaluate_ranking`.

    **Impostors** are the queries without a match, whose identity is not in the gallery or was seen
    by the query's own camera alone, which the rules leave out. If there are fewer than 10, every
    query is searched for twice: in the gallery, and once more with its identity left out of it.
    This needs no choice of whom to leave out, but says nothing of people unlike those in the test
    set.

    **Intervals** resample the identities of the queries as :func:`bootstrap` does, with a threshold
    found anew in each resample. The gallery stays as it is: FAR grows with its size, and holds for
    that gallery.

    Args:
        distances: Distances ``[Q, G]``, smaller is more alike.
        query_pids, gallery_pids, query_camids, gallery_camids, same_camera: As in
            :func:`evaluate_ranking`.
        fars: The FARs at which to give the DIR; 0.1, and of 0.01 and 0.001 those that so many
            impostors can tell from 0 if not given.
        ranks: The k of each DIR.
        thresholds: Distances at which to give FAR and DIR.
        impostors: ``"without match"`` or ``"left out"``; the first, if there are 10 such queries,
            if not given.
        resamples, confidence, seed, method: As for :func:`bootstrap`.

    Raises:
        ValueError: As :func:`evaluate_ranking` and :func:`bootstrap`, no impostor where they are to
            be queries without a match, or FARs outside (0, 1) or below one impostor's share.

    Source: Phillips, Grother and Micheals, Evaluation Methods in Face Recognition, chapter 14 of Li
    and Jain (editors), Handbook of Face Recognition, 2005.

    Example:
        Four people, two of whom are in the gallery: a threshold that lets one of the others through
        finds both.

        >>> distances = [[0.1, 0.5], [0.7, 0.2], [0.3, 0.6], [0.8, 0.9]]
        >>> labels = [4, 5, 6, 7], [4, 5], [1, 1, 1, 1], [2, 2]
        >>> options = {"fars": [0.5], "ranks": [1], "impostors": "without match"}
        >>> result = identify(distances, *labels, **options)
        >>> result.num_mated, result.num_impostors, result.statistics.estimate
        (2, 2, {'DIR at FAR 0.5, rank 1': 1.0})
    """
    source = GivenPairs(distances)
    rows_of = (source.matrix, source.matrix.T)
    labels = check_labels(query_pids, gallery_pids, query_camids, gallery_camids, rows_of)
    scoring = Scoring("step", 1, same_camera, None)
    with _quiet():
        ranking = rank_distances(source.matrix, labels, scoring)
    options = _Options(fars, ranks, thresholds, impostors, resamples, confidence, seed, method)
    return _identify(source, labels, ranking, options)


def identify_protocol(
    protocol: Protocol,
    query_features: Array,
    gallery_features: Array,
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    gallery_is_query: Array | None = None,
    metric: Metric = "euclidean",
    fars: Sequence[float] | None = None,
    ranks: Sequence[int] = (1, 5),
    thresholds: Sequence[float] = (),
    impostors: Impostors | None = None,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    method: IntervalMethod = "bca",
    device: torch.device | str | None = None,
) -> OpenSetResult:
    """:func:`identify` on the distances of features, under a protocol.

    What a protocol says about AP and depth does not matter here. The memory does not grow with the
    product of queries and gallery.

    Args:
        protocol: One of ``PROTOCOLS``, or one of your own.
        query_features, gallery_features, query_pids, gallery_pids, query_camids, gallery_camids,
            gallery_is_query, metric, device: As in :func:`evaluate_protocol`.
        fars, ranks, thresholds, impostors, resamples, confidence, seed, method: As in
            :func:`identify`.

    Raises:
        ValueError: As :func:`identify` and :func:`evaluate_protocol`.

    Example:
        >>> from stgcn_pyg.evaluation import CROSS_CAMERA
        >>> features, pids, cameras = [[0.0], [2.0], [0.5], [3.0]], [4, 5, 4, 5], [1, 1, 2, 2]
        >>> labels = (pids, pids, cameras, cameras)
        >>> result = identify_protocol(CROSS_CAMERA, features, features, *labels, fars=[0.5])
        >>> result.impostors, result.num_impostors
        ('left out', 4)
    """
    features = query_features, gallery_features
    labels = check_labels(query_pids, gallery_pids, query_camids, gallery_camids, features)
    labels = replace(labels, listed=select_gallery(protocol, labels.gallery_pids, gallery_is_query))
    scoring = Scoring(protocol.ap, 1, protocol.same_camera, None, protocol.name)
    with _quiet():
        ranking = rank_features(*features, labels, scoring, metric, 512, device)
    source = FeaturePairs(*features, metric, device)
    options = _Options(fars, ranks, thresholds, impostors, resamples, confidence, seed, method)
    return _identify(source, labels, ranking, options)


def _quiet() -> Any:
    """Queries without a match are what an open set is about: no warning of them."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)


@dataclass(frozen=True)
class _Options:
    """What :func:`identify` was asked for."""

    fars: Sequence[float] | None
    ranks: Sequence[int]
    thresholds: Sequence[float]
    impostors: Impostors | None
    resamples: int
    confidence: float
    seed: int
    method: IntervalMethod

    def __post_init__(self) -> None:
        if not check_ranks(self.ranks):
            raise ValueError("ranks=[]: give at least one")
        check_thresholds(self.thresholds)
        if self.impostors is not None:
            check_known(impostors=(self.impostors, Impostors))


def _identify(
    source: PairSource, labels: Labels, ranking: RankingResult, options: _Options
) -> OpenSetResult:
    match, other = _nearest(source, labels, ranking.same_camera)
    mated = np.isfinite(match)
    enough = (~mated).sum() * USUAL_FARS[0] >= 1 - EQUAL
    impostors: Impostors = options.impostors or ("without match" if enough else "left out")
    searched = np.ones_like(mated) if impostors == "left out" else ~mated
    alarms = np.sort(other[searched])
    if not len(alarms):
        raise ValueError("every query has a match: give impostors='left out'")
    fars = chosen_rates(options.fars, USUAL_FARS, len(alarms), SEARCHES)
    thresholds = check_thresholds(options.thresholds)
    identities = Identities.of(labels)
    check_genuine(labels.matches()[0], identities)

    # The rates turn just below an alarm.
    asked = np.array([round_down(t, match.dtype) for t in thresholds], dtype=match.dtype)
    just_below = np.nextafter(np.unique(alarms[np.isfinite(alarms)]), -np.inf)
    all_found = np.finfo(match.dtype).max
    edges = np.unique(np.concatenate([just_below, asked, [all_found]], dtype=match.dtype))
    bins = edges
    if len(edges) > MOST_BINS:
        bins = np.unique(np.concatenate([spread(edges), asked]))

    def count(queries: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rates ``[K]`` by edge, and counts by identity and bin."""
        place = np.searchsorted(edges, distance)
        by_edge = np.bincount(place, minlength=len(edges) + 1).astype(float)
        place = np.searchsorted(bins, distance)
        return rates(by_edge), identities.count(identities.of_query[queries], place, len(bins) + 1)

    def statistics(far: np.ndarray, rate: np.ndarray, ends: np.ndarray = bins) -> np.ndarray:
        found = [tpr_at(far, rate, most, len(ends) < len(edges)) for most in fars]
        for vertex in np.searchsorted(ends, asked) + 1:
            found += [far[..., vertex], rate[..., vertex]]
        return np.stack(found, axis=-1)

    far, impostor_of = count(searched, other[searched])
    found = []
    named, at = number_names(fars, 6), number_names(thresholds, 7)
    for k in check_ranks(options.ranks):
        # Who is found too late is found at no distance.
        distance = np.where(ranking.first_match_rank <= k, match, np.inf)[mated]
        rate, genuine_of = count(mated, distance)
        names = [f"DIR at FAR {named[most]}, rank {k}" for most in fars]
        for threshold in thresholds:
            names += [f"FAR at {at[threshold]}", f"DIR at {at[threshold]}, rank {k}"]
        found.append(
            bootstrap_curve(
                Trials(genuine_of, impostor_of, impostor_of.sum(axis=0)),
                tuple(names),
                statistics(far, rate, edges),
                statistics,
                len(mated),
                options.resamples,
                options.confidence,
                options.seed,
                options.method,
            )
        )
    refused = [alarms[min(int(most * len(alarms) * (1 + EQUAL)), len(alarms) - 1)] for most in fars]
    return OpenSetResult(
        statistics=_together(found),
        thresholds={
            most: float(np.nextafter(min(alarm, all_found), -np.inf))
            for most, alarm in zip(fars, refused, strict=True)
        },
        impostors=impostors,
        num_mated=int(mated.sum()),
        num_impostors=len(alarms),
        num_gallery=int((labels.listed & (labels.gallery_pids != JUNK)).sum()),
        protocol=ranking.protocol,
    )


def _together(results: Sequence[BootstrapResult]) -> BootstrapResult:
    """The statistics of several results of the same resamples, as one."""

    def each(name: str) -> dict[str, float]:
        return dict(ChainMap(*(getattr(result, name) for result in reversed(results))))

    return replace(
        results[0],
        estimate=each("estimate"),
        low=each("low"),
        high=each("high"),
        standard_error=each("standard_error"),
    )


def _nearest(
    source: PairSource, labels: Labels, same_camera: SameCamera
) -> tuple[np.ndarray, np.ndarray]:
    """The distances of each query to its nearest match and nearest other item, or infinity."""
    query, item = labels.matches()
    distance = source.of(query, item)
    match = np.full(len(labels.query_pids), np.inf, dtype=distance.dtype)
    np.minimum.at(match, query, distance)
    other = np.full_like(match, np.inf)
    for queries, _, distances in other_pairs(source, labels, same_camera):
        np.minimum.at(other, queries, distances)
    return match, other
