"""From the places of the matches in each ranking to average precision and CMC."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stgcn_pyg.evaluation.labels import Labels
from stgcn_pyg.evaluation.result import (
    AveragePrecision,
    RankingResult,
    SameCamera,
    check_any_match,
)


class Distances(Protocol):
    """Some queries' distances to the gallery, asked for as little as a ranking needs to know."""

    def of(self, query: np.ndarray, item: np.ndarray) -> np.ndarray:
        """The distance of each of M pairs; the queries are in ascending order."""

    def count_others(
        self, query: np.ndarray, reach: np.ndarray, same_camera: SameCamera
    ) -> np.ndarray:
        """How many ranked items that are no match stand within ``reach`` of the query, ``[M]``.

        Args:
            query: M queries in ascending order.
            reach: distances, one each; an item at that very distance counts.
            same_camera: what is left out of the ranking.
        """

    def count_all_but_matches(self, query: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """The same, counting also the items that are left out of the ranking."""


@dataclass(frozen=True, eq=False)
class QueryScores:
    """What each of some queries scores, as in :class:`RankingResult`."""

    average_precision: np.ndarray
    first_match_rank: np.ndarray
    inverse_negative_penalty: np.ndarray


def score_queries(
    distances: Distances,
    labels: Labels,
    ap: AveragePrecision,
    same_camera: SameCamera,
    depth: int | None,
) -> QueryScores:
    """Ranks the gallery for some queries and scores the places of their matches."""
    query, item = labels.matches()
    count = np.bincount(query, minlength=len(labels.query_pids))
    reach = distances.of(query, item)
    reach = reach[np.lexsort((reach, query))]  # of each query in turn, ascending
    found = np.arange(1, len(query) + 1) - np.repeat(np.cumsum(count) - count, count)
    # An item as far as a match stands before it.
    ranks = distances.count_others(query, reach, same_camera) + found
    seen = np.ones(len(query), dtype=bool)
    if depth is not None:
        seen = distances.count_all_but_matches(query, reach) + found <= depth

    scores = QueryScores(*np.full((3, len(count)), np.nan))
    valid = count > 0
    terms = np.where(seen, precision_at(found, ranks, ap), 0)
    sums = np.bincount(query, terms, minlength=len(count))
    scores.average_precision[valid] = sums[valid] / count[valid]
    first, last = found == 1, found == count[query]
    scores.first_match_rank[valid] = np.where(seen, ranks, np.inf)[first]
    scores.inverse_negative_penalty[valid] = np.where(seen, found / ranks, 0)[last]
    return scores


def precision_at(found: np.ndarray, ranks: np.ndarray, ap: AveragePrecision) -> np.ndarray:
    """Each match's term of the average precision: the ``found``-th match stands at ``ranks``."""
    at = found / ranks
    if ap == "step":
        return at
    before = np.where(ranks == 1, 1.0, (found - 1) / np.maximum(ranks - 1, 1))
    return (before + at) / 2


def summarise(
    scores: Sequence[QueryScores],
    labels: Labels,
    ap: AveragePrecision,
    max_rank: int,
    same_camera: SameCamera,
    depth: int | None,
) -> RankingResult:
    """The result of all queries, from the scores of its parts in order."""
    average_precision = np.concatenate([part.average_precision for part in scores])
    first_match_rank = np.concatenate([part.first_match_rank for part in scores])
    penalty = np.concatenate([part.inverse_negative_penalty for part in scores])
    num_gallery = int(labels.listed.sum())
    check_any_match(average_precision, num_gallery)
    valid = first_match_rank[~np.isnan(first_match_rank)]
    cmc = (valid[:, None] <= np.arange(1, max_rank + 1)).mean(axis=0)
    return RankingResult(
        average_precision, first_match_rank, penalty, cmc, num_gallery, ap, same_camera, depth
    )
