"""Numbers that a training is given, looked at before it begins."""

import operator
from math import isfinite, nan
from typing import Any

from stgcn_pyg.errors import UserError


def whole_number(name: str, value: Any) -> int:
    """An argument that counts something, as Python's own number.

    Args:
        name: The name of the argument, for the message.
        value: What was passed for it, such as an integer of NumPy.

    Raises:
        UserError: It is no whole number, or below 1.

    Example:
        >>> import numpy as np
        >>> whole_number("epochs", np.int64(3))
        3
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise UserError(f"{name}={value!r}: pass a whole number of at least 1")
    return number


def finite(name: str, value: Any) -> float:
    """An argument such as a margin, as Python's own number.

    Args:
        name: The name of the argument, for the message.
        value: What was passed for it, such as a number of NumPy.

    Raises:
        UserError: It is no finite number.

    Example:
        >>> finite("margin", 0.3)
        0.3
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = nan
    if not isfinite(number):
        raise UserError(f"{name}={value!r}: pass a finite number")
    return number


def not_negative(name: str, value: Any) -> float:
    """An argument such as a learning rate, as Python's own number.

    Args:
        name: The name of the argument, for the message.
        value: What was passed for it, such as a number of NumPy.

    Raises:
        UserError: It is no finite number, or below 0.

    Example:
        >>> not_negative("learning_rate", 3e-4)
        0.0003
    """
    number = finite(name, value)
    if number < 0:
        raise UserError(f"{name}={value!r}: pass a number of at least 0")
    return number
