"""Whether one model ranks the same queries better than another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stgcn_pyg.evaluation.arrays import Array
from stgcn_pyg.evaluation.bootstrap import (
    EQUAL,
    IdentitySums,
    IntervalMethod,
    Resampling,
    blocks,
    format_interval,
    intervals,
    scores_by_statistic,
    sum_by_identity,
)
from stgcn_pyg.evaluation.result import REPORTED_RANKS, RankingResult


@dataclass(frozen=True, eq=False, kw_only=True)
class ComparisonResult(Resampling):
    """The difference of two models on the same queries, as fractions, by name of the statistic.

    Attributes:
        first, second: The statistic of each model.
        difference: The second less the first.
        low, high: The ends of the difference's interval.
        standard_error: The standard deviation of the resampled difference.
        p_value: The two-sided p-value of the hypothesis that the models could be swapped, identity
            by identity.
        better, worse, equal: How many queries ``second`` scores higher, lower, or the same.
        confidence, method, num_people, num_queries, resamples, seed: As in :class:`Resampling`.
    """

    first: dict[str, float]
    second: dict[str, float]
    difference: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    standard_error: dict[str, float]
    p_value: dict[str, float]
    better: dict[str, int]
    worse: dict[str, int]
    equal: dict[str, int]

    def __str__(self) -> str:
        columns = {
            "first": {name: f"{100 * value:.1f}" for name, value in self.first.items()},
            "second": {name: f"{100 * value:.1f}" for name, value in self.second.items()},
            "difference": {
                name: format_interval(value, self.low[name], self.high[name], signed=True)
                for name, value in self.difference.items()
            },
            "p": {name: f"{value:.4f}" for name, value in self.p_value.items()},
            "better": self.better,
            "worse": self.worse,
            "equal": self.equal,
        }
        return f"{self.caption()}\n{pd.DataFrame(columns).to_string()}"


def compare(
    first: RankingResult,
    second: RankingResult,
    query_pids: Array,
    ranks: Sequence[int] = REPORTED_RANKS,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    method: IntervalMethod = "percentile",
) -> ComparisonResult:
    r"""The paired difference of two models, its interval and its p-value, over the test identities.

    The interval is :func:`bootstrap`'s, of the difference ``second - first``, with the same
    resamples of the identities for both. The p-value is of a paired permutation test: if the models
    were alike, each identity's scores could as well have been the other model's. With :math:`d_p`
    the sum of the differences of identity p's queries,

    .. math::
        p = \Pr\!\left[ \Big| \sum_p s_p d_p \Big| \ge \Big| \sum_p d_p \Big| \right], \qquad
        s_p = \pm 1 \text{ with equal probability.}

    It goes through all signs where there are no more than ``resamples`` of them, and else counts
    ``resamples`` random ones and the observed one itself: p is never below 1 / (resamples + 1).
    Each p-value is of one statistic; none is corrected for the others.

    Args:
        first, second: Results of the same queries, in the same order, in the same gallery.
        query_pids: Identities of the queries ``[Q]``, integers, in the order of the results.
        ranks, resamples, confidence, seed: As in :func:`bootstrap`.
        method: ``"percentile"``, or ``"bca"``, which covers less than it says for differences: they
            are not as skewed as what they are differences of.

    Raises:
        ValueError: As :func:`bootstrap`; and for settings, numbers of queries, or queries without
            a match that differ between the two.

    Source: Edgington and Onghena, Randomization Tests, 2007; for ranked lists: Smucker, Allan and
        Carterette, CIKM 2007.

    Example:
        >>> from stgcn_pyg.evaluation import evaluate_ranking
        >>> labels = [7, 7, 5, 3], [7, 5, 3], [1, 2, 1, 1], [3, 3, 3]
        >>> first = [[0.1, 0.2, 0.3], [0.2, 0.1, 0.3], [0.1, 0.2, 0.3], [0.3, 0.2, 0.1]]
        >>> second = [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0.2, 0.1, 0.3], [0.3, 0.2, 0.1]]
        >>> results = evaluate_ranking(first, *labels), evaluate_ranking(second, *labels)
        >>> comparison = compare(*results, labels[0], ranks=[1])
        >>> comparison.difference["rank-1"], comparison.p_value["rank-1"]
        (0.5, 0.5)
        >>> comparison.better["rank-1"], comparison.worse["rank-1"], comparison.equal["rank-1"]
        (2, 0, 2)
    """
    check_same_queries(first, second)
    scores = scores_by_statistic(first, ranks), scores_by_statistic(second, ranks)
    differences = {name: scores[1][name] - scores[0][name] for name in scores[0]}
    signs = {name: np.where(abs(d) < EQUAL, 0, np.sign(d)) for name, d in differences.items()}
    better, worse, equal = (
        {name: int((sign == which).sum()) for name, sign in signs.items()} for which in (1, -1, 0)
    )
    sums = sum_by_identity(differences, query_pids)
    means = [{name: float(np.nanmean(v)) for name, v in some.items()} for some in scores]
    rng = np.random.default_rng(seed)
    return ComparisonResult(
        first=means[0],
        second=means[1],
        difference=sums.named(sums.means),
        **intervals(sums, resamples, rng, confidence, method, lowest=-1),
        p_value=sums.named(p_values(sums, resamples, rng)),
        better=better,
        worse=worse,
        equal=equal,
        seed=seed,
    )


def p_values(differences: IdentitySums, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Two-sided p-values of the paired permutation test, ``[S]``."""
    observed = np.abs(differences.sums.sum(axis=0))
    num_identities = len(differences.counts)
    exact = 2**num_identities <= resamples
    num_signs = 2**num_identities if exact else resamples
    extreme = np.zeros(len(observed), dtype=np.int64)
    for rows in blocks(num_signs, num_identities):
        if exact:  # the binary digits of a row's number say whose scores are swapped
            swapped = (rows[:, None] >> np.arange(num_identities)) & 1
        else:
            swapped = rng.integers(2, size=(len(rows), num_identities))
        permuted = (1.0 - 2.0 * swapped) @ differences.sums
        extreme += (np.abs(permuted) > observed - EQUAL).sum(axis=0)
    return extreme / num_signs if exact else (extreme + 1) / (num_signs + 1)


def check_same_queries(first: RankingResult, second: RankingResult) -> None:
    """Raises a ValueError where two results cannot be of the same queries in the same setting."""
    for name in ("protocol", "ap", "same_camera", "depth", "num_gallery"):
        values = getattr(first, name), getattr(second, name)
        if values[0] != values[1]:
            raise ValueError(
                f"{name} is {values[0]!r} in the first result and {values[1]!r} in the second: "
                "compare models under one protocol"
            )
    if first.num_queries != second.num_queries:
        raise ValueError(
            f"{first.num_queries} queries in the first result and {second.num_queries} in the "
            "second: give the same queries, in the same order"
        )
    matched = [~np.isnan(result.average_precision) for result in (first, second)]
    differ = np.flatnonzero(matched[0] != matched[1])
    if len(differ):
        raise ValueError(
            f"{len(differ)} queries have a match in one result alone, first at "
            f"{differ[:5].tolist()}: give the same queries, in the same order"
        )
