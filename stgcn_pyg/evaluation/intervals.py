"""Confidence intervals from the means of resampled people."""

from typing import Literal

import numpy as np
from scipy.stats import norm

from stgcn_pyg.evaluation.people import EQUAL, PersonSums

IntervalMethod = Literal["bca", "percentile"]


def interval(
    people: PersonSums,
    resampled: np.ndarray,
    confidence: float,
    method: IntervalMethod,
    lowest: float,
    highest: float,
) -> tuple[np.ndarray, np.ndarray]:
    r"""The two ends of the interval of every statistic.

    With :math:`\alpha` the confidence's complement, the ends are quantiles of the resampled means:
    ``"percentile"`` takes those at :math:`\alpha / 2` and :math:`1 - \alpha / 2`, ``"bca"`` those
    of :func:`bca_levels`. Where all people score the same, all resamples are equal and know no
    spread; the ends are then those of :func:`without_exception`.

    Args:
        people: the sums that were resampled.
        resampled: ``[R, S]``, the statistics of each resample.
        confidence: within (0, 1).
        method: ``"bca"`` or ``"percentile"``.
        lowest, highest: what one query can score.

    Returns:
        The low and the high ends, ``[S]`` each.
    """
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    ends = without_exception(people, tails[0], lowest, highest)
    averages = people.sums / people.counts[:, None]
    for s in np.flatnonzero(np.ptp(averages, axis=0) > EQUAL):
        levels = tails
        if method == "bca":
            levels = bca_levels(
                resampled[:, s], people.means[s], jackknife(people.sums[:, s], people.counts), tails
            )
        ends[:, s] = np.quantile(resampled[:, s], levels)
    return ends[0], ends[1]


def jackknife(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The statistic without each person in turn: ``[P]``."""
    return (sums.sum() - sums) / (counts.sum() - counts)


def bca_levels(
    resampled: np.ndarray, estimate: float, left_out: np.ndarray, tails: np.ndarray
) -> np.ndarray:
    r"""The levels of the quantiles that are the bias-corrected and accelerated interval.

    .. math::
        \Phi\!\left( z_0 + \frac{z_0 + z}{1 - a (z_0 + z)} \right), \qquad
        z_0 = \Phi^{-1}(\Pr[\text{resampled} < \text{estimate}]), \qquad
        a = \frac{\sum_p d_p^3}{6 \left( \sum_p d_p^2 \right)^{3/2}},

    with :math:`z` the normal quantile of a tail, ties counted half, and :math:`d_p` the mean of
    the left-out statistics less the one without person p.

    Args:
        resampled: ``[R]``.
        estimate: the statistic of all people.
        left_out: ``[P]``, as :func:`jackknife` gives it; not all equal.
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


def without_exception(people: PersonSums, tail: float, lowest: float, highest: float) -> np.ndarray:
    r"""The ends where nobody of P people is an exception: ``[2, S]``.

    As many as :math:`1 - \text{tail}^{1 / P}` of all people may then be exceptions (the upper end
    of Clopper and Pearson's interval for 0 of P), and score as low or as high as can be. At rank-k
    = 1 this is their interval for P of P.
    """
    exceptions = 1 - tail ** (1 / people.num_people)
    return people.means + exceptions * (np.array([[lowest], [highest]]) - people.means)
