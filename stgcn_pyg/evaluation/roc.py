"""ROC curves out of counts by distance, and what they are where identities are resampled.

A curve is given at T vertices: the shares of impostor and of genuine trials that a threshold
accepts, from none of them to all. Trials of both kinds at one distance make a slanted line.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_UP, Context, Decimal

import numpy as np

from stgcn_pyg.evaluation.bootstrap import (
    EQUAL,
    BootstrapResult,
    IntervalMethod,
    check_resampling,
    drawn_weights,
    interval_ends,
)

# Of the FPR and the TPR ``[..., T]``, the statistics ``[..., S]``.
Statistics = Callable[[np.ndarray, np.ndarray], np.ndarray]


def number_names(values: Iterable[float], digits: int) -> dict[float, str]:
    """What numbers are called in names of statistics: with so many digits, or more to differ."""
    short = {value: f"{value:.{digits}g}" for value in values}
    count = Counter(short.values())
    return {value: name if count[name] == 1 else repr(value) for value, name in short.items()}


def chosen_rates(
    given: Iterable[float] | None,
    usual: Sequence[float],
    count: int,
    what: str = "pairs of two people",
) -> tuple[float, ...]:
    """The rates that are given, or of the usual ones the first and those of one of a count."""
    if given is not None:
        return check_rates(given, count, what)
    return (usual[0], *(rate for rate in usual[1:] if rate * count >= 1 - EQUAL))


def check_thresholds(thresholds: Iterable[float]) -> tuple[float, ...]:
    """The thresholds as Python's numbers; a ValueError if one is not finite."""
    thresholds = tuple(map(float, thresholds))
    if not np.isfinite(thresholds).all():
        raise ValueError(f"thresholds={list(thresholds)}: give finite distances")
    return thresholds


def check_rates(
    rates: Iterable[float], count: int | None = None, what: str = "pairs of two people"
) -> tuple[float, ...]:
    """The rates as Python's numbers.

    Raises:
        ValueError: One is outside (0, 1), or below the share of one in a ``count`` of something.
    """
    rates = tuple(map(float, rates))
    for rate in rates:
        if not 0 < rate < 1:
            raise ValueError(f"a rate of {rate:g}: give fractions within (0, 1), such as 0.01")
        if count is not None and rate * count < 1 - EQUAL:
            least = Context(prec=3, rounding=ROUND_UP).divide(Decimal(1), Decimal(max(count, 1)))
            raise ValueError(
                f"a rate of {rate:g} is less than one of {count:,} {what}: give "
                + (f"at least {least.normalize():f}, or " if least < 1 else "")
                + "more people"
            )
    return rates


def rates(counts: np.ndarray) -> np.ndarray:
    """The vertices ``[..., K + 1]`` of one axis of a curve, from counts ``[..., K]`` by distance.

    They are NaN where there is nothing to count.
    """
    sums = counts.cumsum(axis=-1, dtype=float)
    total = sums[..., -1:]
    shares = np.concatenate([np.zeros_like(total), sums], axis=-1)
    shares /= np.where(total > 0, total, np.nan)
    return shares


def tpr_at(fpr: np.ndarray, tpr: np.ndarray, most: float, interpolate: bool = False) -> np.ndarray:
    """The highest TPR at an FPR of at most ``most``, for each curve: ``[...]``.

    Args:
        fpr, tpr: Curves ``[..., T]``.
        most: The FPR that is allowed.
        interpolate: Whether thresholds between two vertices are possible.
    """
    allowed = fpr <= most + EQUAL * most
    last = fpr.shape[-1] - 1 - allowed[..., ::-1].argmax(axis=-1)
    left, value = _at(fpr, last), _at(tpr, last)
    if not interpolate:
        return value + 0 * left  # NaN where there are no impostors
    following = np.minimum(last + 1, fpr.shape[-1] - 1)
    width = _at(fpr, following) - left
    share = np.divide(most - left, width, out=np.zeros_like(width), where=width > 0)
    return value + share.clip(0) * (_at(tpr, following) - value)


def equal_error_rate(fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """Where the line between two vertices meets FPR = 1 - TPR, for each curve: ``[...]``."""
    gap = fpr + tpr - 1
    after = (gap >= 0).argmax(axis=-1)
    before = np.maximum(after - 1, 0)
    low, high = _at(gap, before), _at(gap, after)
    share = np.divide(-low, high - low, out=np.zeros_like(low), where=high > low)
    left = _at(fpr, before)
    return left + share * (_at(fpr, after) - left) + 0 * low  # NaN where there is nothing to count


def area_under(fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """The area under each curve ``[...]``, in which a tie counts half."""
    return np.trapezoid(tpr, fpr, axis=-1)


def _at(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, index[..., None], axis=-1)[..., 0]


@dataclass(frozen=True, eq=False)
class Trials:
    """Counts by distance ``[K]``, of all trials and of those in which each of P identities is.

    Attributes:
        genuine_of: Genuine trials of each identity, ``[P, K]`` float64.
        impostor_of: Impostor trials with each identity on either side, ``[P, K]`` float64.
        impostor: All impostor trials, ``[K]``.
    """

    genuine_of: np.ndarray
    impostor_of: np.ndarray
    impostor: np.ndarray

    def weighted(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The FPR and the TPR ``[..., K + 1]`` with identities weighted by ``[..., P]``.

        A genuine trial weighs as its identity does, as does an impostor trial with a gallery item
        of no query's identity. One of two queries' identities p and r weighs ``w[p] + w[r] - 1``.
        """
        twice = self.impostor_of.sum(axis=0) - self.impostor
        fpr = rates(weights @ self.impostor_of - twice)
        # Where few pairs are counted, those of which neither identity is drawn may outweigh others.
        return fpr.clip(0, 1, out=fpr), rates(weights @ self.genuine_of)

    def without_each(self) -> tuple[np.ndarray, np.ndarray]:
        """The FPR and the TPR ``[P, K + 1]`` without each identity in turn."""
        genuine = self.genuine_of.sum(axis=0) - self.genuine_of
        return rates(self.impostor - self.impostor_of), rates(genuine)


def bootstrap_curve(
    trials: Trials,
    names: tuple[str, ...],
    estimate: np.ndarray,
    statistics: Statistics,
    num_queries: int,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    method: IntervalMethod = "bca",
) -> BootstrapResult:
    """The intervals of statistics of a curve, over the identities of its trials.

    Args:
        trials: The trials by identity.
        names: The names of the S statistics.
        estimate: Their values over all trials, ``[S]``.
        statistics: The function of the curve that computes them.
        num_queries: The number of queries, for the caption.
        resamples, confidence, seed, method: As for :func:`.bootstrap`.

    Raises:
        ValueError: As :func:`.bootstrap`.
    """
    check_resampling(resamples, confidence, method)
    num_identities, num_bins = trials.genuine_of.shape
    resampled = np.empty((resamples, len(names)))
    # A few arrays of so many numbers are held for each resample.
    size, rng = num_identities + 4 * num_bins, np.random.default_rng(seed)
    for rows, weights in drawn_weights(resamples, num_identities, rng, size):
        resampled[rows] = statistics(*trials.weighted(weights))
    left_out = statistics(*trials.without_each())
    left_out = np.where(np.isnan(left_out), estimate, left_out)
    varies = np.fmax.reduce(resampled) - np.fmin.reduce(resampled) > EQUAL
    low, high = interval_ends(resampled, estimate, left_out, varies, confidence, method)

    def named(values: np.ndarray) -> dict[str, float]:
        return dict(zip(names, values.tolist(), strict=True))

    return BootstrapResult(
        estimate=named(estimate),
        low=named(low),
        high=named(high),
        standard_error=named(_standard_error(resampled)),
        confidence=confidence,
        method=method,
        num_people=num_identities,
        num_queries=num_queries,
        resamples=resamples,
        seed=seed,
    )


def _standard_error(resampled: np.ndarray) -> np.ndarray:
    """The standard deviation of the resamples that have a statistic, ``[S]``."""
    count = (~np.isnan(resampled)).sum(axis=0)
    squares = (resampled - np.nansum(resampled, axis=0) / np.maximum(count, 1)) ** 2
    return np.sqrt(np.nansum(squares, axis=0) / np.maximum(count - 1, 1))
