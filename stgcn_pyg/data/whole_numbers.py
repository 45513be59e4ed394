"""Numbers from tables, taken exactly or not at all: two long ids must never become one."""

import re
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

DIGITS = re.compile(r"[+-]?[0-9]{1,40}")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
NUMBERS = (int, float, Decimal, np.integer, np.floating)
DOUBLE = 2**53  # from here on a float stands for several whole numbers


def whole_number(value: Any) -> int:
    """The whole number that a value is.

    Args:
        value: A number, or the text of one. A number written with a point or an exponent counts
            as a float, which is exact below 2^53 only.

    Raises:
        ValueError: It is no whole number, may have been rounded, or does not fit in 64 bits. The
            message goes on after the value: "is no whole number: write one".

    Example:
        >>> whole_number("1234567890123456789"), whole_number(7.0), whole_number("7.0")
        (1234567890123456789, 7, 7)
        >>> whole_number(2.0**60)
        Traceback (most recent call last):
            ...
        ValueError: may have been rounded, as floats of 2^53 and above are: write all its digits
    """
    number: Any = value
    exact_below: int = 2**63
    if isinstance(value, str):
        text = value.strip()
        if DIGITS.fullmatch(text):
            number = int(text)
        elif NUMBER.fullmatch(text):
            number, exact_below = Decimal(text), DOUBLE
    elif isinstance(value, float | np.floating):
        exact_below = int(2 ** (np.finfo(type(value)).nmant + 1))
    if (
        isinstance(number, bool)
        or not isinstance(number, NUMBERS)
        or not np.isfinite(float(number))
    ):
        raise ValueError("is no whole number: write one")
    size: Any = abs(number)
    if size < exact_below:
        if number != int(number):
            raise ValueError("is no whole number: write one")
        return int(number)
    if exact_below == 2**63:
        raise ValueError("does not fit in 64 bits: write a smaller number")
    power = exact_below.bit_length() - 1
    raise ValueError(
        f"may have been rounded, as floats of 2^{power} and above are: write all its digits"
    )


def whole_numbers(values: pd.Series) -> tuple[pd.Series, dict[int, str]]:
    """A column as whole numbers.

    Args:
        values: The column, of numbers or of texts.

    Returns:
        The column as int64, with 0 where a value is no whole number; and what is wrong with
        those, by their places from 0.
    """
    if values.dtype == np.int64:
        return values, {}
    numbers, wrong = [], {}
    # Iterating over float32 gives Python's floats, which would hide how short they were.
    for place, value in enumerate(values.to_numpy() if values.dtype.kind == "f" else values):
        try:
            numbers.append(whole_number(value))
        except ValueError as error:
            numbers.append(0)
            wrong[place] = str(error)
    return pd.Series(numbers, values.index, np.int64, values.name), wrong
