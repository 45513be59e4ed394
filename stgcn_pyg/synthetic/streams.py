"""Random generators, one for each thing that is drawn, so that no draw depends on another."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What a generator is for; the numbers are part of what a seed means."""

    BODY = 1
    CLOTHES = 2
    CAMERA = 3
    BACKGROUND = 4
    PLAN = 5
    STRANGER = 6
    WALK = 7
    BOX = 8
    COVERS = 9
    SENSOR = 10


def generator(seed: int, stream: Stream, *indices: int) -> np.random.RandomState:
    """The generator of one thing: the same seed, stream and indices give the same draws.

    It is a `RandomState` because NumPy has frozen what that draws from a seed; what its newer
    `Generator` draws may change with any release.
    """
    return np.random.RandomState(np.random.MT19937([seed, int(stream), *indices]))
