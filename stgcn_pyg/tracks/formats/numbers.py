"""Columns of numbers in text, and ids that must keep every digit."""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UnreadableFileError, UserError
from stgcn_pyg.tracks.boxes import refuse_rows

# An exponent has a sign or follows a point: 10e1 may be an id in digits to the base 16.
WRITTEN_AS_FLOAT = re.compile(r"[+-]?[0-9]+(\.[0-9]*([eE][+-]?[0-9]{1,3})?|[eE][+-][0-9]{1,3})?")


def read_columns(path: Path, texts: Sequence[int] = (), separator: str = ",") -> pd.DataFrame:
    """The columns of a file without a header, floats but for those that are texts.

    The index is the row in the file, from 1; blank rows are left out. An empty number is refused.

    Raises:
        UserError: The file is empty, a row has another number of columns than the first, or what
            should be a number is none.
    """
    options = {
        "header": None,
        "sep": separator,
        "skip_blank_lines": False,
        "skipinitialspace": True,
        "keep_default_na": False,
        "na_values": [""],
        "encoding": "utf-8-sig",
    }
    with readable(path), path.open(encoding="utf-8-sig") as file:
        first = next((line for line in csv.reader(file, delimiter=separator) if line), None)
    if first is None:
        raise UserError(f"{path}: is empty: write one box a row")
    types = {i: str if i in texts else np.float64 for i in range(len(first))}
    with readable(path):
        try:
            table = pd.read_csv(path, dtype=types, names=range(len(first)), **options)
        except pd.errors.ParserError as error:
            said = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
            if said is None:
                raise  # no row can be named
            expected, row, found = said.groups()
            raise UserError(
                f"{path}: row {row}: has {found} columns, and the first row {expected}: "
                "write as many in every row"
            ) from error
        except ValueError as error:
            _refuse_words(path, options, types)
            raise UserError(f"{path}: cannot be read as a table: {error}") from error
    table.index = pd.RangeIndex(1, len(table) + 1)
    blank = table[0].isna()
    if blank.any():
        table = table[~(blank & table.isna().all(axis=1))]
    for i, kind in types.items():
        if kind is np.float64:
            missing = table[i].isna()
            refuse_rows(path.as_posix(), missing, table.index, f"column {i + 1} holds no number")
    return table


def _refuse_words(path: Path, options: dict, types: dict) -> None:
    """Raises a UserError that names the first word where a number should be."""
    table = pd.read_csv(path, dtype=str, names=range(len(types)), **options)
    table.index += 1
    for i, kind in types.items():
        if kind is np.float64:
            bad = table[i].notna() & pd.to_numeric(table[i], errors="coerce").isna()
            word = table[i][bad].iloc[0] if bad.any() else ""
            refuse_rows(
                path.as_posix(), bad, table.index, f"column {i + 1} is {word!r}: write a number"
            )


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns what the system, the encoding or a quotation mark has against a file into one line."""
    try:
        yield
    except (UnicodeDecodeError, csv.Error, pd.errors.ParserError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"{path}: is no text of a table: pass a file of tracks ({said})") from error
    except OSError as error:
        raise UnreadableFileError.of(path, error) from error


def whole(where: str, table: pd.DataFrame, column: object, what: str) -> np.ndarray:
    """A column of whole numbers as int64.

    Raises:
        UserError: One has a fraction, or is beyond what a float tells apart.
    """
    numbers = table[column].to_numpy(dtype=np.float64)
    bad = ~(np.abs(numbers) < 2**53) | (numbers != np.floor(numbers))
    refuse_rows(where, bad, table.index, f"its {what} is no whole number")
    return numbers.astype(np.int64)


def ids(column: pd.Series) -> pd.Series:
    """Ids in text as categories: a whole number that was written as a float is the whole number.

    An empty cell stays empty.

    Example:
        >>> ids(pd.Series(["3.000000", "3", "1.5e+06", "007", "b-3", "1e02"])).tolist()
        ['3', '3', '1500000', '007', 'b-3', '1e02']
    """
    column = column.astype("category")
    return column.map(lambda value: one_id(str(value)), na_action="ignore").astype("category")


def one_id(text: str) -> str:
    """One id in text, as :func:`ids` gives it."""
    text = text.strip()
    if text.lstrip("+-").isdecimal() or not WRITTEN_AS_FLOAT.fullmatch(text):
        return text
    number = Decimal(text)
    return str(int(number)) if number == int(number) else text
