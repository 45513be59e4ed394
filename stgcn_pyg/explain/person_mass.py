"""How much of an activation map lies on the person, and what chance would give."""

from typing import NamedTuple

import numpy as np


class Mean(NamedTuple):
    """A mean with its standard error."""

    mean: float
    standard_error: float
    """Values of one group may hang together, groups not; NaN for a single group."""
    num_values: int
    num_groups: int


def person_mass(maps: np.ndarray, person: np.ndarray) -> np.ndarray:
    """The share of each map's mass that lies on the person.

    Args:
        maps: ``[F, h, w]``, not negative.
        person: The share of each cell that the person fills, ``[F, h, w]``.

    Returns:
        ``[F]`` in [0, 1]; NaN where the map is zero everywhere.

    Raises:
        ValueError: Shapes that differ.

    Example:
        >>> person_mass(np.array([[[3.0, 1.0]]]), np.array([[[1.0, 0.0]]]))
        array([0.75])
    """
    if maps.shape != person.shape or maps.ndim != 3:
        raise ValueError(f"maps and person must be [F, h, w], got {maps.shape} and {person.shape}")
    total = maps.sum(axis=(1, 2), dtype=np.float64)
    on_person = (maps * person).sum(axis=(1, 2), dtype=np.float64)
    return np.divide(on_person, total, out=np.full(len(maps), np.nan), where=total > 0)


def elsewhere(person: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Where other people stand: of each frame, the mean over the frames of all other groups.

    A map that only knows that people stand in the middle has as much mass there as on its own.

    Args:
        person: ``[F, h, w]``.
        groups: Of each frame, such as its person, ``[F]``.

    Raises:
        ValueError: There is but one group.

    Example:
        >>> elsewhere(np.array([[[1.0]], [[0.5]], [[0.0]]]), np.array([7, 7, 8])).ravel()
        array([0.  , 0.  , 0.75])
    """
    _, group = np.unique(groups, return_inverse=True)
    counts = np.bincount(group)
    if len(counts) < 2:
        raise ValueError("elsewhere needs two groups at least, got one")
    sums = np.zeros((len(counts), *person.shape[1:]))
    np.add.at(sums, group, person)
    others = len(group) - counts
    return ((sums.sum(axis=0) - sums) / others[:, None, None])[group]


def grouped_mean(values: np.ndarray, groups: np.ndarray) -> Mean:
    r"""A mean, with the standard error for values that hang together within a group.

    .. math::
        \operatorname{se}^2 = \frac{G}{G - 1} \sum_g \Big(\frac1n \sum_{i \in g} (x_i - \bar x)
        \Big)^2

    NaNs are left out.

    Args:
        values: ``[n]``.
        groups: Of each value, such as its person, ``[n]``.

    Raises:
        ValueError: Nothing is left.

    Example:
        >>> grouped_mean(np.array([0.0, 0.0, 1.0, 1.0]), np.array([1, 1, 2, 2]))
        Mean(mean=0.5, standard_error=0.5, num_values=4, num_groups=2)
    """
    known = ~np.isnan(values)
    values, groups = values[known], groups[known]
    if not len(values):
        raise ValueError("grouped_mean: there are no values but NaN")
    _, group = np.unique(groups, return_inverse=True)
    mean = values.mean()
    sums = np.bincount(group, values - mean) / len(values)
    num = len(sums)
    error = np.sqrt(num / (num - 1) * np.square(sums).sum()) if num > 1 else np.nan
    return Mean(float(mean), float(error), len(values), num)
