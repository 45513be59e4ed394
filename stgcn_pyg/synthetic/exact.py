"""Numbers that are the same on every machine.

Sums, products, quotients and square roots are exact to the last bit (IEEE 754). Sines, powers and
logarithms are not, nor is what a compiler may fuse: their last bits differ between processors and
libraries. So they are rounded here before anything that is drawn depends on them.
"""

import math
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

DECIMALS = 6
_Thing = TypeVar("_Thing")


def sine(angle: float) -> float:
    """The sine of an angle, rounded.

    Example:
        >>> sine(1.0)
        0.841471
    """
    return round(math.sin(angle), DECIMALS)


def cosine(angle: float) -> float:
    """The cosine of an angle, rounded.

    Example:
        >>> cosine(1.0)
        0.540302
    """
    return round(math.cos(angle), DECIMALS)


def length(x: float, y: float) -> float:
    """The length of a vector; `math.hypot` is not the same in every Python.

    Example:
        >>> length(3.0, 4.0)
        5.0
    """
    return math.sqrt(x * x + y * y)


def rounded(values: np.ndarray) -> np.ndarray:
    """An array of float64, rounded.

    Example:
        >>> rounded(np.array([1 / 3]))
        array([0.333333])
    """
    return np.round(values, DECIMALS)


def rounded_fields(thing: _Thing) -> _Thing:
    """A dataclass with its floats, and those in its tuples, rounded.

    Example:
        >>> from stgcn_pyg.synthetic.views import View
        >>> rounded_fields(View(1 / 3, 0.0, 100.0, 64.0, 250.0)).heading
        0.333333
    """
    return replace(thing, **{f.name: _round(getattr(thing, f.name)) for f in fields(thing)})  # type: ignore


def _round(value: Any) -> Any:
    if isinstance(value, float):
        return round(float(value), DECIMALS)
    if isinstance(value, tuple):
        return tuple(_round(item) for item in value)
    return value
