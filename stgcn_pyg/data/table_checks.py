"""What the tables of a data set must hold: checked once, whoever made them.

Whole numbers are taken exactly or not at all: two long ids must never become one.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg import JUNK
from stgcn_pyg.errors import UserError

COLUMNS = ("pid", "camid", "first_frame", "num_frames")
PROTOCOLS = ("mars-official", "full-gallery", "query-free", "agrl", "duke", "cross-camera")

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
NUMBERS = (int, float, Decimal, np.integer, np.floating)
DOUBLE = 2**53  # from here on a float stands for several whole numbers
NOT_WHOLE = "is no whole number: write one"


def checked_table(
    name: str, split: str, table: pd.DataFrame, num_frames: int, labelled: bool = True
) -> pd.DataFrame:
    """The tracklets of one split with their four columns as int64.

    Raises a UserError that begins with the data set's ``name`` where a column is missing or stands
    twice, a value is no whole number or impossible in a data set of ``num_frames`` frames, two rows
    have one tracklet number, or the index has several levels. Only the gallery may hold junk. Where
    no identity is known, every pid is that of junk, and there is nothing to train on.
    """
    where = f"{name}: {split}"
    if not isinstance(table, pd.DataFrame):
        raise UserError(f"{where} table is a {type(table).__name__}: pass a DataFrame")
    if missing := [column for column in COLUMNS if column not in table]:
        raise UserError(f"{where} table lacks {', '.join(missing)}")
    if twice := [column for column in COLUMNS if (table.columns == column).sum() > 1]:
        raise UserError(f"{where} table has several columns {', '.join(twice)}: keep one of each")
    if isinstance(table.index, pd.MultiIndex):
        levels = ", ".join(str(name) for name in table.index.names)
        raise UserError(
            f"{where} table: the index has several levels ({levels}): number every tracklet by one"
        )
    if table.empty and (labelled or split != "train"):
        raise UserError(f"{where} table: there are no {split} tracklets")
    whole = {column: _whole(where, table[column]) for column in COLUMNS}
    if any(table[column].dtype != np.int64 for column in COLUMNS):
        table = table.assign(**whole)
    first, length = whole["first_frame"], whole["num_frames"]
    _refuse(where, table, length < 1, "num_frames is {num_frames}: a tracklet has a frame or more")
    _refuse(where, table, first < 0, "first_frame is {first_frame}: frames count from 0")
    what = f"its frames end beyond the {num_frames:,} of the data set"
    _refuse(where, table, first > num_frames - length, what)
    junk = "-1 is junk" if split == "gallery" else "-1, junk, is for the gallery alone"
    what = f"pid is {{pid}}: number identities from 0; {junk}"
    if labelled:
        _refuse(where, table, whole["pid"] < (JUNK if split == "gallery" else 0), what)
    else:
        what = "pid is {pid} where no protocol is given: without identities every pid is -1"
        _refuse(where, table, whole["pid"] != JUNK, what)
    if table.index.hasnans:
        raise UserError(f"{where} table: the index is empty in a row: number every tracklet")
    again = pd.Series(table.index.duplicated(), table.index)
    _refuse(where, table, again, "this number stands further up: number every tracklet anew")
    return table


def _whole(where: str, column: pd.Series) -> pd.Series:
    """A column as int64, or a UserError where that changes a value."""
    if column.dtype == np.int64:
        return column
    numbers, wrong = whole_numbers(column)
    for place, value in enumerate(column):
        if isinstance(value, str):
            wrong[place] = "is text: write a whole number"
    if wrong:
        place = min(wrong)
        what = f"{column.name} {column.tolist()[place]!r} {wrong[place]}"
        raise UserError(f"{where} tracklet {column.index[place]}: {what}")
    return numbers


def _refuse(where: str, table: pd.DataFrame, bad: pd.Series, what: str) -> None:
    if bad.any():
        row = table.iloc[int(np.argmax(bad.to_numpy()))]
        raise UserError(f"{where} tracklet {row.name}: {what.format(**row)}")


def check_numbers(name: str, tables: Mapping[str, pd.DataFrame]) -> None:
    """Raises a UserError where a tracklet number means two tracklets.

    Training must share no number with query and gallery, the query's tracklets must be the same in
    the gallery by their numbers, and these must be of types that can be sorted together.
    """
    train, query, gallery = tables["train"], tables["query"], tables["gallery"]
    for split, table in (("query", query), ("gallery", gallery)):
        shared = train.index[train.index.isin(table.index)]
        if len(shared):
            raise UserError(
                f"{name}: tracklet number {shared[0]} is in the train and in the {split} table: "
                "number every tracklet anew"
            )
    try:
        query.index.append(gallery.index).sort_values()
    except TypeError as error:
        raise UserError(
            f"{name}: the tracklet numbers {query.index.tolist()[0]!r} of the query and "
            f"{gallery.index.tolist()[0]!r} of the gallery cannot be put in order: number every "
            "tracklet by a whole number"
        ) from error
    both = query.index[query.index.isin(gallery.index)]
    one, other = (table.loc[both, list(COLUMNS)] for table in (query, gallery))
    differs = (one.to_numpy() != other.to_numpy()).any(axis=1)
    if differs.any():
        number = both[int(np.argmax(differs))]
        column = next(c for c in COLUMNS if one.at[number, c] != other.at[number, c])
        raise UserError(
            f"{name}: tracklet {number} has {column} {one.at[number, column]} in the query and "
            f"{other.at[number, column]} in the gallery: number every tracklet anew"
        )


def checked_frames(name: str, frames: pd.Series) -> pd.Series:
    """The paths of the frames as text, or a UserError where one is no path."""
    if not isinstance(frames, pd.Series):
        raise UserError(f"{name}: frames is a {type(frames).__name__}: pass a Series of paths")
    if isinstance(frames.dtype, pd.StringDtype):
        wrong = frames.isna().to_numpy()
    else:
        frames = frames.map(lambda path: path.as_posix() if isinstance(path, PurePath) else path)
        wrong = np.array([not isinstance(path, str) for path in frames], bool)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise UserError(f"{name}: frame {row} is {frames.tolist()[row]!r}: write its path as text")
    return frames


def checked_protocols(name: str, protocols: tuple[str, ...]) -> tuple[str, ...]:
    """The protocols as a tuple, or a UserError where one is unknown; none: no identities."""
    if isinstance(protocols, str):
        protocols = (protocols,)
    unknown = [protocol for protocol in protocols if protocol not in PROTOCOLS]
    if unknown:
        known = ", ".join(PROTOCOLS)
        raise UserError(f"{name}: protocol {unknown[0]!r} is unknown: pass some of {known}")
    return tuple(protocols)


def whole_number(value: Any) -> int:
    """A number, or the text of one, as an exact integer.

    Text with a point or an exponent counts as a float, which is exact below 2^53 only.

    Raises:
        ValueError: It is no whole number, may have been rounded, or does not fit in 64 bits. The
            message is what stands after the value: "is no whole number: write one".

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
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        number = Decimal(value.strip())
        if not value.strip().lstrip("+-").isdecimal():
            exact_below = DOUBLE
    elif isinstance(value, float | np.floating):
        exact_below = int(2 ** (np.finfo(type(value)).nmant + 1))
    is_number = isinstance(number, NUMBERS) and not isinstance(number, bool)
    if not is_number or not np.isfinite(float(number)):
        raise ValueError(NOT_WHOLE)
    size: Any = abs(number)
    if size < exact_below:
        if number != int(number):
            raise ValueError(NOT_WHOLE)
        return int(number)
    if exact_below == 2**63:
        raise ValueError("does not fit in 64 bits: write a smaller number")
    power = exact_below.bit_length() - 1
    raise ValueError(
        f"may have been rounded, as floats of 2^{power} and above are: write all its digits"
    )


def whole_numbers(values: pd.Series) -> tuple[pd.Series, dict[int, str]]:
    """A column of numbers or texts as int64, 0 where a value is no whole number.

    Returns:
        The column, and what is wrong with each bad value by its place from 0.
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
