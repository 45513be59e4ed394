"""The result of an evaluation, with the setting in which it was measured."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from stgcn_pyg.evaluation.arrays import check_known, plain

AveragePrecision = Literal["step", "trapezoid"]
SameCamera = Literal["person", "all"]

REPORTED_RANKS = (1, 5, 10, 20)


def check_ranks(ranks: Iterable[int]) -> tuple[int, ...]:
    """The k of each rank-k; a ValueError where one is no integer from 1 on."""
    ranks = list(ranks)
    if any(isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1 for k in ranks):
        raise ValueError(f"ranks={ranks}: give integers from 1 on")
    return tuple(map(int, ranks))


@dataclass(frozen=True, eq=False)
class RankingResult:
    """mAP and CMC of a set of queries, as fractions in [0, 1], with the setting they hold for.

    Attributes:
        average_precision: ``[Q]`` float64; NaN where the query has no match.
        first_match_rank: ``[Q]`` float64, 1-based; NaN where the query has no match, ``inf`` where
            ``depth`` cut off every match. Both compare as "not within the first k ranks".
        inverse_negative_penalty: ``[Q]`` float64, the number of matches over the rank of the last
            of them (Ye et al., TPAMI 2021); 0 where ``depth`` cut that off, NaN without a match.
        cmc: ``[max_rank]`` float64; ``cmc[k - 1]`` is the share of the valid queries whose first
            match is within the first k ranks. It is constant beyond the end of a small gallery.
        num_gallery: The number of items in the gallery that was ranked, junk among them.
        ap: The average precision, ``"step"`` or ``"trapezoid"``.
        same_camera: What was left out, ``"person"`` or ``"all"``.
        depth: The place at which the ranked lists were cut, or None.
        protocol: The name of the protocol, or None.

    Example:
        >>> result = RankingResult(np.array([1.0, 0.5, np.nan]), np.array([1.0, 2.0, np.nan]),
        ...                        np.array([1.0, 0.5, np.nan]), np.array([0.5, 1.0]), 7, "step",
        ...                        "person")
        >>> result.mAP, result.rank(1), result.num_queries, result.num_valid_queries
        (0.75, 0.5, 3, 2)
    """

    average_precision: np.ndarray
    first_match_rank: np.ndarray
    inverse_negative_penalty: np.ndarray
    cmc: np.ndarray
    num_gallery: int
    ap: AveragePrecision
    same_camera: SameCamera
    depth: int | None = None
    protocol: str | None = None

    @property
    def mAP(self) -> float:  # noqa: N802 - the field's own spelling
        """Mean average precision over the valid queries."""
        return float(np.nanmean(self.average_precision))

    @property
    def mINP(self) -> float:  # noqa: N802
        """Mean inverse negative penalty over the valid queries."""
        return float(np.nanmean(self.inverse_negative_penalty))

    @property
    def num_queries(self) -> int:
        """The number of queries, with or without a match."""
        return len(self.average_precision)

    @property
    def num_valid_queries(self) -> int:
        """The number of queries with a match, over which mAP and CMC are means."""
        return int(np.isfinite(self.average_precision).sum())

    @property
    def num_queries_without_match(self) -> int:
        """The number of queries that mAP and CMC leave out."""
        return self.num_queries - self.num_valid_queries

    def rank(self, k: int) -> float:
        """``cmc[k - 1]``: the share of the valid queries with a match within the first k ranks.

        Raises:
            ValueError: k is not within 1 to ``max_rank``.
        """
        if not 1 <= k <= len(self.cmc):
            raise ValueError(
                f"rank({k}): the CMC holds ranks 1 to {len(self.cmc)}; evaluate with max_rank >= k"
            )
        return float(self.cmc[k - 1])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: mAP, mINP, rank-k for k = 1, 5, 10, 20, CMC, counts, setting."""
        ranks = {f"rank-{k}": self.rank(k) for k in REPORTED_RANKS if k <= len(self.cmc)}
        values = {
            "protocol": self.protocol,
            "mAP": self.mAP,
            "mINP": self.mINP,
            **ranks,
            "num_queries": self.num_queries,
            "num_valid_queries": self.num_valid_queries,
            "num_queries_without_match": self.num_queries_without_match,
            "num_gallery": self.num_gallery,
            "ap": self.ap,
            "same_camera": self.same_camera,
            "depth": self.depth,
            "cmc": self.cmc.tolist(),
        }
        return plain(values)


@dataclass(frozen=True)
class Scoring:
    """How ranked lists are scored, in the words of :class:`RankingResult`."""

    ap: AveragePrecision
    max_rank: int
    same_camera: SameCamera
    depth: int | None
    protocol: str | None = None

    def __post_init__(self) -> None:
        check_known(ap=(self.ap, AveragePrecision), same_camera=(self.same_camera, SameCamera))
        if self.max_rank < 1:
            raise ValueError(f"max_rank={self.max_rank}: the CMC needs one rank at least")
        if self.depth is not None and self.depth < 1:
            raise ValueError(f"depth={self.depth}: give at least 1, or None for the whole list")

    def result(
        self, scores: np.ndarray, num_gallery: int, hits: np.ndarray | None = None
    ) -> RankingResult:
        """The result of what each query scores.

        Whoever called the function that called this one's caller is warned of queries without a
        match, and a ValueError is raised where there are no others.

        Args:
            scores: ``[3, Q]``: average precision, rank of the first match and inverse negative
                penalty; NaN where a query has no match.
            num_gallery: The size of the gallery.
            hits: ``[Q, max_rank]``: how probably a match is within the first ranks, 0 where a query
                has none; None: as the rank of the first match says.
        """
        average_precision, first_match_rank, penalty = scores
        valid = ~np.isnan(average_precision)
        num_queries, num_valid = len(valid), int(valid.sum())
        if not num_valid:
            raise ValueError(
                f"none of the {num_queries} queries has a match among the {num_gallery} gallery "
                "items: check that identities and cameras are given in the order "
                "query_pids, gallery_pids, query_camids, gallery_camids"
            )
        if num_valid < num_queries:
            warnings.warn(
                f"{num_queries - num_valid} of {num_queries} queries have no match in the "
                "gallery; mAP and CMC are means over the others",
                stacklevel=4,
            )
        if hits is None:
            hits = first_match_rank[:, None] <= np.arange(1, self.max_rank + 1)
        return RankingResult(
            average_precision,
            first_match_rank,
            penalty,
            hits.sum(axis=0) / num_valid,
            num_gallery,
            self.ap,
            self.same_camera,
            self.depth,
            self.protocol,
        )
