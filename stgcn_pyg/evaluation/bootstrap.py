"""How far mAP and rank-k would move with other test identities."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import pandas as pd

from stgcn_pyg.evaluation.arrays import Array, check_known, plain, to_integers
from stgcn_pyg.evaluation.result import REPORTED_RANKS, RankingResult, check_ranks

IntervalMethod = Literal["bca", "percentile"]

# Draws held at a time, 8 bytes each; no result depends on it.
BLOCK_DRAWS = 2**20
# Numbers closer than this are the same number, differently rounded.
EQUAL = 1e-9


@dataclass(frozen=True, eq=False, kw_only=True)
class Resampling:
    """How many of what was resampled, for what intervals.

    Attributes:
        confidence: The confidence of the intervals, such as 0.95.
        method: ``"bca"`` or ``"percentile"``.
        num_people: The number of identities with a valid query; each resample drew as many.
        num_queries: The number of valid queries.
        resamples: The number of resamples.
        seed: The seed of the draws.
    """

    confidence: float
    method: IntervalMethod
    num_people: int
    num_queries: int
    resamples: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: the numbers by statistic, and the attributes above."""
        settings = {field.name: getattr(self, field.name) for field in fields(Resampling)}
        names = [field.name for field in fields(self) if field.name not in settings]
        numbers = pd.DataFrame({name: getattr(self, name) for name in names})
        return {"statistics": numbers.to_dict("index"), **plain(settings)}

    def caption(self) -> str:
        """The attributes in one line, but for the seed."""
        return (
            f"{self.num_people:,} identities, {self.num_queries:,} queries; "
            f"{100 * self.confidence:g} % intervals ({self.method}, {self.resamples:,} resamples "
            "of identities); in per cent"
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class BootstrapResult(Resampling):
    """Statistics with their confidence intervals, as fractions, by name (``"mAP"``, ``"rank-1"``).

    Attributes:
        estimate: The statistic over all valid queries.
        low, high: The ends of its interval.
        standard_error: The standard deviation of the resampled statistic.
        confidence, method, num_people, num_queries, resamples, seed: As in :class:`Resampling`.
    """

    estimate: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    standard_error: dict[str, float]

    def __str__(self) -> str:
        return f"{self.caption()}\n{format_intervals(self)}"


def bootstrap(
    result: RankingResult,
    query_pids: Array,
    ranks: Sequence[int] = REPORTED_RANKS,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    method: IntervalMethod = "bca",
) -> BootstrapResult:
    r"""Confidence intervals of mAP, mINP and rank-k over the test identities.

    A resample draws n identities with replacement from the n that have a valid query, each with
    all its valid queries. With :math:`w_p` the number of times that identity p is drawn, and
    :math:`c_p` its queries, which score :math:`x_{pi}`, the resampled statistic is

    .. math::
        \frac{\sum_p w_p \sum_i x_{pi}}{\sum_p w_p \, c_p}, \qquad
        w \sim \text{Multinomial}(n; 1/n, \dots, 1/n).

    Queries are not drawn one by one: those of one identity succeed and fail together, and intervals
    that took them for independent would be too narrow. Where all identities score the same (a
    rank-20 of 1.0, say) resamples do not differ, and the interval is Clopper and Pearson's for as
    many identities without an exception.

    The intervals cover the choice of the test identities. They do not cover another gallery, nor
    what training with another seed would change.

    Args:
        result: The result of a ranking of Q queries.
        query_pids: Identities of the queries ``[Q]``, integers, in the order of the result.
        ranks: The k of each rank-k; they may lie beyond the CMC.
        resamples: The number of resamples.
        confidence: The confidence of the intervals, within (0, 1).
        seed: The seed of the draws; the same seed gives the same result to the last bit.
        method: ``"bca"``: bias-corrected and accelerated, or ``"percentile"``, which covers less
            than it says where rank-k is near 1.

    Raises:
        ValueError: ``query_pids`` that are not one integer a query, no valid query, fewer than 2
            identities or resamples, confidence outside (0, 1), an unknown method, ranks that are
            not positive integers, or a result of :func:`chance`.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993.

    Example:
        >>> from stgcn_pyg.evaluation import evaluate_ranking
        >>> distances = [[0.1, 0.2, 0.3], [0.1, 0.3, 0.2], [0.2, 0.1, 0.3], [0.1, 0.2, 0.3]]
        >>> pids, camids = [7, 7, 5, 3], [1, 2, 1, 1]
        >>> result = evaluate_ranking(distances, pids, [7, 5, 3], camids, [3, 3, 3])
        >>> print(bootstrap(result, pids, ranks=[1, 2]))
        3 identities, 4 queries; 95 % intervals (bca, 10,000 resamples of identities); in per cent
        mAP       83.3 [33.3, 100.0]
        mINP      83.3 [33.3, 100.0]
        rank-1     75.0 [0.0, 100.0]
        rank-2     75.0 [0.0, 100.0]
    """
    sums = sum_by_identity(scores_by_statistic(result, ranks), query_pids)
    rng = np.random.default_rng(seed)
    found = intervals(sums, resamples, rng, confidence, method, lowest=0)
    return BootstrapResult(estimate=sums.named(sums.means), **found, seed=seed)


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

    def named(self, values: np.ndarray) -> dict[str, float]:
        """One value a statistic, by its name."""
        return dict(zip(self.names, values.tolist(), strict=True))


def scores_by_statistic(result: RankingResult, ranks: Sequence[int]) -> dict[str, np.ndarray]:
    """The values ``[Q]`` that each statistic is the mean of; NaN where a query has no match."""
    first = result.first_match_rank
    valid = ~np.isnan(first)
    scores = {"mAP": result.average_precision, "mINP": result.inverse_negative_penalty}
    for k in check_ranks(ranks):
        scores[f"rank-{k}"] = np.where(valid, first <= k, np.nan)
        if k <= len(result.cmc) and valid.any():
            mean, cmc = (first[valid] <= k).mean(), result.cmc[k - 1]
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
    """
    values = np.stack(list(scores.values()), axis=1)
    pids = to_integers("query_pids", query_pids)
    if len(pids) != len(values):
        raise ValueError(
            f"query_pids: {len(pids)} identities for {len(values)} queries; give one a query"
        )
    valid = ~np.isnan(values).any(axis=1)
    if not valid.any():
        raise ValueError(f"none of the {len(valid)} queries has a match: nothing to resample")
    identities, identity = np.unique(pids[valid], return_inverse=True)
    if len(identities) < 2:
        raise ValueError(
            f"all {len(identity)} queries with a match are of identity {identities[0]}: "
            "identities are resampled, give at least 2"
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
    means = np.empty((resamples, len(sums.names)))
    for rows, weights in drawn_weights(resamples, len(sums.counts), rng):
        weighted = weights @ totals
        means[rows] = weighted[:, :-1] / weighted[:, -1:]
    return means


def drawn_weights(
    resamples: int, num_identities: int, rng: np.random.Generator, numbers: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """How often each resample draws each of P identities, for some resamples at a time.

    Args:
        resamples: The number of resamples.
        num_identities: P; each resample draws as many.
        rng: The generator of the draws.
        numbers: How many numbers the caller holds for each resample; P if not given.

    Yields:
        Which resamples, and their weights: ``[R]`` and ``[R, P]``, float64.
    """
    for rows in blocks(resamples, numbers or num_identities):
        drawn = rng.integers(num_identities, size=(len(rows), num_identities))
        drawn += num_identities * np.arange(len(rows))[:, None]  # each row has bins of its own
        weights = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        yield rows, weights.astype(float)


def intervals(
    sums: IdentitySums,
    resamples: int,
    rng: np.random.Generator,
    confidence: float,
    method: IntervalMethod,
    lowest: float,
) -> dict[str, Any]:
    r"""The ends and the standard error of each statistic, with what :class:`Resampling` holds.

    With :math:`\alpha` the confidence's complement, the ends are quantiles of the resampled means:
    ``"percentile"`` takes those at :math:`\alpha / 2` and :math:`1 - \alpha / 2`, ``"bca"`` those
    of :func:`bca_levels`. Where all P identities score the same, resamples do not differ. As many
    as :math:`1 - (\alpha / 2)^{1 / P}` of all identities may then be exceptions (the upper end of
    Clopper and Pearson's interval for 0 of P), and score as low or as high as can be: ``lowest``
    or 1.
    """
    check_resampling(resamples, confidence, method)
    resampled = resample(sums, resamples, rng)
    left_out = (sums.sums.sum(axis=0) - sums.sums) / (sums.counts.sum() - sums.counts)[:, None]
    varies = np.ptp(sums.sums / sums.counts[:, None], axis=0) > EQUAL
    ends = interval_ends(resampled, sums.means, left_out, varies, confidence, method, lowest)
    return {
        "low": sums.named(ends[0]),
        "high": sums.named(ends[1]),
        "standard_error": sums.named(resampled.std(axis=0, ddof=1)),
        "confidence": confidence,
        "method": method,
        "num_people": len(sums.counts),
        "num_queries": int(sums.counts.sum()),
        "resamples": resamples,
    }


def check_resampling(resamples: int, confidence: float, method: str = "bca") -> None:
    """Raises a ValueError if intervals cannot be computed so."""
    if resamples < 2:
        raise ValueError(f"resamples={resamples}: give at least 2, and thousands to rely on")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}: give a fraction within (0, 1), such as 0.95")
    check_known(method=(method, IntervalMethod))


def interval_ends(
    resampled: np.ndarray,
    estimate: np.ndarray,
    left_out: np.ndarray,
    varies: np.ndarray,
    confidence: float,
    method: IntervalMethod = "bca",
    lowest: float = 0,
) -> np.ndarray:
    """Both ends of the intervals of S statistics, ``[2, S]``, as :func:`intervals` describes them.

    Args:
        resampled: The statistics of each resample, ``[R, S]``; NaN where it has none.
        estimate: The statistics of all P identities, ``[S]``.
        left_out: The statistics without each identity in turn, ``[P, S]``.
        varies: ``[S]``, whether the identities differ in the statistic.
        confidence, method, lowest: As for :func:`intervals`.
    """
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    exceptions = 1 - tails[0] ** (1 / len(left_out))
    ends = estimate + exceptions * (np.array([[lowest], [1]]) - estimate)
    for s in np.flatnonzero(varies):
        drawn = resampled[~np.isnan(resampled[:, s]), s]
        levels = tails
        if method == "bca":
            levels = bca_levels(drawn, estimate[s], left_out[:, s], tails)
        ends[:, s] = np.quantile(drawn, levels)
    return ends


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
        resampled: The statistic of each resample, ``[R]``.
        estimate: The statistic of all identities.
        left_out: The statistic without each identity in turn, ``[P]``.
        tails: The levels of a percentile interval.

    Source: Efron, Better Bootstrap Confidence Intervals, JASA 1987.
    """
    from scipy.special import ndtr, ndtri  # here alone, since it takes long

    below = (resampled < estimate - EQUAL).mean() / 2 + (resampled < estimate + EQUAL).mean() / 2
    # Within what so many resamples can tell from 0 and from 1.
    edge = 1 / (2 * len(resampled))
    bias = ndtri(np.clip(below, edge, 1 - edge))
    d = left_out.mean() - left_out
    scale = 6 * (d**2).sum() ** 1.5
    acceleration = (d**3).sum() / scale if scale else 0.0
    z = bias + ndtri(tails)
    return ndtr(bias + z / (1 - acceleration * z))


def blocks(resamples: int, num_identities: int) -> Iterator[np.ndarray]:
    """The numbers of the resamples, as many at a time as ``BLOCK_DRAWS`` allows."""
    size = max(1, BLOCK_DRAWS // num_identities)
    for start in range(0, resamples, size):
        yield np.arange(start, min(start + size, resamples))


def format_interval(
    estimate: float, low: float, high: float, signed: bool = False, decimals: int = 1
) -> str:
    """An estimate and its interval in per cent.

    Args:
        estimate, low, high: Fractions.
        signed: Whether each number gets a sign, as for a difference.
        decimals: The number of decimals.

    Example:
        >>> format_interval(0.62, 0.598, 0.641)
        '62.0 [59.8, 64.1]'
        >>> format_interval(0.013, -0.0002, 0.022, signed=True)
        '+1.3 [+0.0, +2.2]'
    """
    style = f"{'+' if signed else ''}z.{decimals}f"
    return f"{100 * estimate:{style}} [{100 * low:{style}}, {100 * high:{style}}]"


def format_intervals(result: Any, decimals: int = 1) -> str:
    """A line for each statistic of a result with ``estimate``, ``low`` and ``high``."""
    lines = {
        name: format_interval(value, result.low[name], result.high[name], decimals=decimals)
        for name, value in result.estimate.items()
    }
    return pd.Series(lines).to_string()
