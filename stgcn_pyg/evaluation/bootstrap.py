"""How far mAP and rank-k would move with other test people."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg.evaluation.intervals import IntervalMethod, interval
from stgcn_pyg.evaluation.labels import Array
from stgcn_pyg.evaluation.people import PersonSums, scores_by_statistic, sum_by_person
from stgcn_pyg.evaluation.result import REPORTED_RANKS, RankingResult

# Draws held at a time, 8 bytes each; no result depends on it.
BLOCK_DRAWS = 2**20


@dataclass(frozen=True, eq=False, kw_only=True)
class Resampling:
    """How many of what was resampled, for what intervals.

    Attributes:
        confidence: of the intervals, such as 0.95.
        method: ``"bca"`` or ``"percentile"``.
        num_people: people with a valid query; each resample drew as many.
        num_queries: valid queries.
        resamples: how many were drawn.
        seed: of the draws.
    """

    confidence: float
    method: IntervalMethod
    num_people: int
    num_queries: int
    resamples: int
    seed: int

    def settings(self) -> dict[str, Any]:
        """The attributes above, as plain JSON values."""
        return {field.name: getattr(self, field.name) for field in fields(Resampling)}

    def caption(self) -> str:
        """The same in one line."""
        return (
            f"{self.num_people:,} people, {self.num_queries:,} queries; "
            f"{100 * self.confidence:g} % intervals ({self.method}, {self.resamples:,} resamples "
            "of the people); in per cent"
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class BootstrapResult(Resampling):
    """Statistics with their confidence intervals, as fractions, by name (``"mAP"``, ``"rank-1"``).

    Attributes:
        estimate: the statistic over all valid queries.
        low, high: the ends of its interval.
        standard_error: the standard deviation of the resampled statistic.
        confidence, method, num_people, num_queries, resamples, seed: as in :class:`Resampling`.
    """

    estimate: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    standard_error: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: each statistic with its interval, and how they were had."""
        statistics = {
            name: {
                "estimate": estimate,
                "low": self.low[name],
                "high": self.high[name],
                "standard_error": self.standard_error[name],
            }
            for name, estimate in self.estimate.items()
        }
        return {"statistics": statistics, **self.settings()}

    def __str__(self) -> str:
        lines = {
            name: format_interval(estimate, self.low[name], self.high[name])
            for name, estimate in self.estimate.items()
        }
        return f"{self.caption()}\n{pd.Series(lines).to_string()}"


def bootstrap(
    result: RankingResult,
    query_pids: Array,
    ranks: Sequence[int] = REPORTED_RANKS,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    method: IntervalMethod = "bca",
) -> BootstrapResult:
    r"""Confidence intervals of mAP, mINP and rank-k over the test people.

    A resample draws n people with replacement from the n who have a valid query, each with all
    their valid queries. With :math:`w_p` the number of times that person p is drawn, and
    :math:`c_p` their queries, which score :math:`x_{pi}`, its statistic is

    .. math::
        \frac{\sum_p w_p \sum_i x_{pi}}{\sum_p w_p \, c_p}, \qquad
        w \sim \text{Multinomial}(n; 1/n, \dots, 1/n).

    Queries are not drawn one by one: those of one person succeed and fail together, and intervals
    that took them for independent would be too narrow. Where all people score the same (a rank-20
    of 1.0, say) resamples know no spread, and the interval is Clopper and Pearson's for as many
    people without an exception.

    The intervals cover the choice of the test people. They do not cover another gallery, nor what
    training with another seed would change.

    Args:
        result: of a ranking, with Q queries.
        query_pids: people of the queries ``[Q]``, integers, in the order of the result.
        ranks: the k of rank-k; they may lie beyond the CMC.
        resamples: how many to draw.
        confidence: of the intervals, within (0, 1).
        seed: of the draws; the same seed gives the same result to the last bit.
        method: ``"bca"``: bias-corrected and accelerated, or ``"percentile"``, which covers less
            than it says where rank-k is near 1.

    Raises:
        ValueError: ``query_pids`` that are not one integer a query, no valid query, less than 2
            people or resamples, confidence outside (0, 1), an unknown method, ranks that are not
            positive integers, or a result of :func:`chance`.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993.

    Example:
        >>> from stgcn_pyg.evaluation import evaluate_ranking
        >>> distances = [[0.1, 0.2, 0.3], [0.1, 0.3, 0.2], [0.2, 0.1, 0.3], [0.1, 0.2, 0.3]]
        >>> pids, camids = [7, 7, 5, 3], [1, 2, 1, 1]
        >>> result = evaluate_ranking(distances, pids, [7, 5, 3], camids, [3, 3, 3])
        >>> print(bootstrap(result, pids, ranks=[1, 2]))
        3 people, 4 queries; 95 % intervals (bca, 10,000 resamples of the people); in per cent
        mAP       83.3 [33.3, 100.0]
        mINP      83.3 [33.3, 100.0]
        rank-1     75.0 [0.0, 100.0]
        rank-2     75.0 [0.0, 100.0]
    """
    check_options(resamples, confidence, method)
    people = sum_by_person(scores_by_statistic(result, ranks), query_pids)
    resampled = resample(people, resamples, np.random.default_rng(seed))
    low, high = interval(people, resampled, confidence, method, lowest=0, highest=1)
    return BootstrapResult(
        estimate=people.named(people.means),
        low=people.named(low),
        high=people.named(high),
        standard_error=people.named(resampled.std(axis=0, ddof=1)),
        confidence=confidence,
        method=method,
        num_people=people.num_people,
        num_queries=people.num_queries,
        resamples=resamples,
        seed=seed,
    )


def resample(people: PersonSums, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """The statistics of each resample of the people: ``[R, S]``."""
    totals = np.column_stack([people.sums, people.counts])
    num_people = people.num_people
    means = np.empty((resamples, len(people.names)))
    for rows in blocks(resamples, num_people):
        drawn = rng.integers(num_people, size=(len(rows), num_people))
        drawn += num_people * np.arange(len(rows))[:, None]  # each row counts in bins of its own
        weights = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        weighted = weights.astype(float) @ totals
        means[rows] = weighted[:, :-1] / weighted[:, -1:]
    return means


def blocks(resamples: int, num_people: int) -> Iterator[np.ndarray]:
    """The numbers of the resamples, as many at a time as ``BLOCK_DRAWS`` allows."""
    size = max(1, BLOCK_DRAWS // num_people)
    for start in range(0, resamples, size):
        yield np.arange(start, min(start + size, resamples))


def check_options(resamples: int, confidence: float, method: str) -> None:
    """Raise a ValueError for what no resampling can be asked for."""
    if resamples < 2:
        raise ValueError(f"resamples={resamples}: give at least 2, and thousands to rely on")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}: give a fraction within (0, 1), such as 0.95")
    if method not in ("bca", "percentile"):
        raise ValueError(f"method={method!r} is unknown: give 'bca' or 'percentile'")


def format_interval(estimate: float, low: float, high: float, signed: bool = False) -> str:
    """An estimate and its interval in per cent, with one decimal.

    Args:
        estimate, low, high: fractions.
        signed: put a sign before each number, as for a difference.

    Example:
        >>> format_interval(0.62, 0.598, 0.641)
        '62.0 [59.8, 64.1]'
        >>> format_interval(0.013, -0.0002, 0.022, signed=True)
        '+1.3 [+0.0, +2.2]'
    """
    style = "+z.1f" if signed else "z.1f"
    return f"{100 * estimate:{style}} [{100 * low:{style}}, {100 * high:{style}}]"
