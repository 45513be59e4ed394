"""How far mAP and rank-k would move with other test people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from stgcn_pyg.evaluation.distances import Array, to_numpy
from stgcn_pyg.evaluation.result import REPORTED_RANKS, RankingResult

IntervalMethod = Literal["bca", "percentile"]

# Draws held at a time, 8 bytes each; no result depends on it.
BLOCK_DRAWS = 2**20
# Numbers closer than this are the same number, differently rounded.
EQUAL = 1e-9


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
        names = ("estimate", "low", "high", "standard_error")
        statistics = {
            statistic: {name: getattr(self, name)[statistic] for name in names}
            for statistic in self.estimate
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
    sums = sum_by_identity(scores_by_statistic(result, ranks), query_pids)
    resampled = resample(sums, resamples, np.random.default_rng(seed))
    return BootstrapResult(
        estimate=sums.named(sums.means),
        **interval(sums, resampled, confidence, method, lowest=0, highest=1),
        **sums.resampling(confidence, method, resamples, seed),
    )


@dataclass(frozen=True, eq=False)
class IdentitySums:
    """S statistics of P identities, each statistic a mean over the queries of all.

    Attributes:
        names: The S statistics.
        sums: ``[P, S]`` float64, over an identity's valid queries.
        counts: ``[P]`` float64, how many those are.
    """

    names: tuple[str, ...]
    sums: np.ndarray
    counts: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """``[S]``, over the queries of all identities."""
        return self.sums.sum(axis=0) / self.counts.sum()

    def resampling(
        self, confidence: float, method: IntervalMethod, resamples: int, seed: int
    ) -> dict[str, Any]:
        """The attributes of :class:`Resampling`."""
        return {
            "confidence": confidence,
            "method": method,
            "num_people": len(self.counts),
            "num_queries": int(self.counts.sum()),
            "resamples": resamples,
            "seed": seed,
        }

    def named(self, values: np.ndarray) -> dict[str, float]:
        """One value a statistic, by its name."""
        return dict(zip(self.names, values.tolist(), strict=True))


def scores_by_statistic(result: RankingResult, ranks: Sequence[int]) -> dict[str, np.ndarray]:
    """The values ``[Q]`` that each statistic is the mean of; NaN where a query has no match.

    Raises:
        ValueError: ranks that are not positive integers, or a result that is an expectation.
    """
    first = result.first_match_rank
    unmatched = np.isnan(first)
    scores = {"mAP": result.average_precision, "mINP": result.inverse_negative_penalty}
    for k in ranks:
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise ValueError(f"ranks={list(ranks)}: give integers from 1 on")
        hits = scores[f"rank-{k}"] = np.where(unmatched, np.nan, first <= k)
        if k <= len(result.cmc) and not unmatched.all():
            mean, cmc = float(np.nanmean(hits)), float(result.cmc[k - 1])
            if abs(mean - cmc) > EQUAL:
                raise ValueError(
                    f"rank-{k} is {cmc:.4f} in the CMC and {mean:.4f} by first_match_rank: "
                    "give the result of a ranking, not an expectation as chance() gives"
                )
    return scores


def sum_by_identity(scores: Mapping[str, np.ndarray], query_pids: Array) -> IdentitySums:
    """Scores ``[Q]`` by statistic, NaN where a query has no match, summed by identity.

    The scores are rounded to binary fractions, by less than 1e-12 on any test set of this field,
    that float64 adds without error: a mean over resampled identities then depends neither on the
    order of the queries nor on how a matrix product adds.

    Raises:
        ValueError: ``query_pids`` that are not one integer a query, no valid query, or all valid
            queries of one person.
    """
    values = np.stack(list(scores.values()), axis=1)
    pids = to_numpy(query_pids)
    if pids.ndim != 1 or pids.dtype.kind not in "iu":
        raise ValueError(
            "query_pids must be a 1-D array of integers, "
            f"got {pids.dtype} of shape {list(pids.shape)}"
        )
    if len(pids) != len(values):
        raise ValueError(f"query_pids: {len(pids)} people for {len(values)} queries; one a query")
    valid = ~np.isnan(values).any(axis=1)
    if not valid.any():
        raise ValueError(f"none of the {len(valid)} queries has a match: nothing to resample")
    identities, identity = np.unique(pids[valid], return_inverse=True)
    if len(identities) < 2:
        raise ValueError(
            f"all {len(identity)} queries with a match show person {identities[0]}: "
            "people are what is resampled, give 2 at least"
        )
    counts = np.bincount(identity).astype(float)
    # No resample's sum gets larger: every draw may be the one with the most queries.
    bits = 53 - int(np.ceil(np.log2(len(counts) * counts.max())))
    rounded = np.ldexp(np.rint(np.ldexp(values[valid], bits)), -bits)
    sums = np.stack([np.bincount(identity, column) for column in rounded.T], axis=1)
    return IdentitySums(tuple(scores), sums, counts)


def resample(sums: IdentitySums, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """The statistics of each resample of the identities: ``[R, S]``."""
    totals = np.column_stack([sums.sums, sums.counts])
    num_identities = len(sums.counts)
    means = np.empty((resamples, len(sums.names)))
    for rows in blocks(resamples, num_identities):
        drawn = rng.integers(num_identities, size=(len(rows), num_identities))
        drawn += num_identities * np.arange(len(rows))[:, None]  # bins of its own for each row
        weights = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        weighted = weights.astype(float) @ totals
        means[rows] = weighted[:, :-1] / weighted[:, -1:]
    return means


def interval(
    sums: IdentitySums,
    resampled: np.ndarray,
    confidence: float,
    method: IntervalMethod,
    lowest: float,
    highest: float,
) -> dict[str, Any]:
    r"""Each statistic, the two ends of its interval, and its standard error, by name.

    With :math:`\alpha` the confidence's complement, the ends are quantiles of the resampled means:
    ``"percentile"`` takes those at :math:`\alpha / 2` and :math:`1 - \alpha / 2`, ``"bca"`` those
    of :func:`bca_levels`. Where all P identities score the same, resamples know no spread. As many
    as :math:`1 - (\alpha / 2)^{1 / P}` of all identities may then be exceptions (the upper end of
    Clopper and Pearson's interval for 0 of P), and score as low or as high as can be.

    Args:
        sums: What was resampled.
        resampled: ``[R, S]``, the statistics of each resample.
        confidence: Within (0, 1).
        method: ``"bca"`` or ``"percentile"``.
        lowest, highest: What one query can score.
    """
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    exceptions = 1 - tails[0] ** (1 / len(sums.counts))
    ends = sums.means + exceptions * (np.array([[lowest], [highest]]) - sums.means)
    averages = sums.sums / sums.counts[:, None]
    for s in np.flatnonzero(np.ptp(averages, axis=0) > EQUAL):
        levels = tails
        if method == "bca":
            left_out = sums.sums[:, s].sum() - sums.sums[:, s], sums.counts.sum() - sums.counts
            levels = bca_levels(resampled[:, s], sums.means[s], left_out[0] / left_out[1], tails)
        ends[:, s] = np.quantile(resampled[:, s], levels)
    return {
        "low": sums.named(ends[0]),
        "high": sums.named(ends[1]),
        "standard_error": sums.named(resampled.std(axis=0, ddof=1)),
    }


def bca_levels(
    resampled: np.ndarray, estimate: float, left_out: np.ndarray, tails: np.ndarray
) -> np.ndarray:
    r"""The levels of the quantiles that are the bias-corrected and accelerated interval.

    .. math::
        \Phi\!\left( z_0 + \frac{z_0 + z}{1 - a (z_0 + z)} \right), \qquad
        z_0 = \Phi^{-1}(\Pr[\text{resampled} < \text{estimate}]), \qquad
        a = \frac{\sum_p d_p^3}{6 \left( \sum_p d_p^2 \right)^{3/2}},

    with :math:`z` the normal quantile of a tail, ties counted half, and :math:`d_p` the mean of
    the left-out statistics less the one without identity p.

    Args:
        resampled: ``[R]``.
        estimate: the statistic of all people.
        left_out: ``[P]``, the statistic without each identity in turn; not all equal.
        tails: the levels of a percentile interval.

    Source: Efron, Better Bootstrap Confidence Intervals, JASA 1987.
    """
    below = (resampled < estimate - EQUAL).mean() / 2 + (resampled < estimate + EQUAL).mean() / 2
    # Within what so many resamples can tell from 0 and from 1.
    edge = 1 / (2 * len(resampled))
    bias = norm.ppf(np.clip(below, edge, 1 - edge))
    d = left_out.mean() - left_out
    acceleration = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    z = bias + norm.ppf(tails)
    return norm.cdf(bias + z / (1 - acceleration * z))


def blocks(resamples: int, num_identities: int) -> Iterator[np.ndarray]:
    """The numbers of the resamples, as many at a time as ``BLOCK_DRAWS`` allows."""
    size = max(1, BLOCK_DRAWS // num_identities)
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
