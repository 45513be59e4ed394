"""Values that a checkpoint can hold: numbers, words, and lists and dicts of them."""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np


def plain_values(value: Any) -> Any:
    """The same value in Python's own types, where it has one.

    NumPy's numbers and arrays become numbers and lists, paths become strings, and mappings, lists,
    tuples and whatever is derived from a number or a string become what they are derived from.
    Whatever else there is, such as tensors, stays as it is.

    Args:
        value: The value, with all that it holds.

    Example:
        >>> plain_values({"rates": np.logspace(-4, -3, 2), "seed": np.int64(3)})
        {'rates': [0.0001, 0.001], 'seed': 3}
    """
    if isinstance(value, OrderedDict):  # of weights, as PyTorch gives them
        return OrderedDict((plain_values(k), plain_values(v)) for k, v in value.items())
    if isinstance(value, Mapping):
        return {plain_values(k): plain_values(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain_values(v) for v in value]
    if isinstance(value, tuple):
        return tuple(plain_values(v) for v in value)
    if isinstance(value, np.ndarray):
        return plain_values(value.tolist())
    if isinstance(value, float | np.floating):
        return float(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str.__str__(value)  # of an enumeration's member, too
    return str(value) if isinstance(value, PurePath) else value
