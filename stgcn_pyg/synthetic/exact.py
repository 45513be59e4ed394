"""Numbers and random draws that are the same on every machine.

Sums, products, quotients and square roots are exact to the last bit (IEEE 754). Sines, powers and
logarithms are not, nor is what a compiler may fuse: their last bits differ between processors and
libraries. So they are rounded here before anything that is drawn depends on them.
"""

import math
from dataclasses import replace
from enum import IntEnum
from typing import Any

import numpy as np

DECIMALS = 6

Stream = IntEnum(
    "Stream",
    "BODY CLOTHES CAMERA BACKGROUND PLAN STRANGER WALK BOX OCCLUDERS SENSOR CLOCK",
)
"""What a random generator is for; the numbers, from 1, are part of what a seed means."""


def generator(seed: int, stream: Stream, *indices: int) -> np.random.RandomState:
    """The random generator of one thing, so that no draw depends on another.

    It is a `RandomState` because NumPy has frozen what that draws from a seed; what its newer
    `Generator` draws may change with any release.
    """
    return np.random.RandomState(np.random.MT19937([seed, int(stream), *indices]))


def sine(angle: float) -> float:
    """The sine of an angle in radians, rounded."""
    return round(math.sin(angle), DECIMALS)


def cosine(angle: float) -> float:
    """The cosine of an angle in radians, rounded."""
    return round(math.cos(angle), DECIMALS)


def length(x: float, y: float) -> float:
    """The length of a vector; `math.hypot` is not the same in every Python."""
    return math.sqrt(x * x + y * y)


def rounded(values: np.ndarray) -> np.ndarray:
    """An array of float64, rounded."""
    return np.round(values, DECIMALS)


def rounded_fields(thing: Any) -> Any:
    """A dataclass with its floats, and those in its tuples, rounded."""
    return replace(thing, **{name: _round(value) for name, value in vars(thing).items()})


def _round(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_round(item) for item in value)
    return round(float(value), DECIMALS) if isinstance(value, float) else value
