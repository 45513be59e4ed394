"""The table of tracks itself, as CSV or Parquet."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError, needs_extra
from stgcn_pyg.tracks.boxes import Boxes, refuse_rows
from stgcn_pyg.tracks.formats.numbers import ids, readable, whole
from stgcn_pyg.tracks.table import COLUMNS, TEXTS

NEEDED = ("frame", "track", "left", "top", "width", "height")


def read_own_table(path: Path, content: Any = None) -> Boxes:
    """The rows of a CSV or Parquet file that has the columns of a table of tracks."""
    with readable(path):
        try:
            if path.suffix.lower() == ".parquet":
                with needs_extra("train"):
                    import pyarrow  # noqa: F401
                table = pd.read_parquet(path)
            else:
                table = _read_csv(path)
        except ValueError as error:
            said = " ".join(str(error).split())
            raise UserError(f"{path}: cannot be read as a table: {said}") from error
    if path.suffix.lower() != ".parquet" and not isinstance(table.index, pd.RangeIndex):
        raise UserError(
            f"{path}: its rows have more columns than the header: write a name for each"
        )
    table.index = pd.RangeIndex(1, len(table) + 1)
    return boxes_of(path.as_posix(), table, "table")


def _read_csv(path: Path) -> pd.DataFrame:
    types = {name: str if name in TEXTS else np.float64 for name in COLUMNS}
    empty = {name: [""] for name in COLUMNS if name not in TEXTS}
    for dtype in (types, str):  # as text, if there are words where numbers should be
        try:
            return pd.read_csv(
                path, dtype=dtype, keep_default_na=False, na_values=empty, encoding="utf-8-sig"
            )
        except ValueError:
            if dtype is str:
                raise
    raise AssertionError("unreachable")


def boxes_of(where: str, table: pd.DataFrame, format: str) -> Boxes:
    """The rows of a DataFrame with the columns of a table of tracks.

    Raises:
        UserError: A column that is needed is missing, or holds what it cannot.
    """
    if missing := [name for name in NEEDED if name not in table]:
        raise UserError(
            f"{where}: lacks the columns {', '.join(missing)}: a table of tracks has "
            f"{', '.join(COLUMNS)}"
        )
    columns: dict[str, Any] = {}
    for name in COLUMNS:
        if name not in table:
            continue
        column = table[name]
        if name in TEXTS:
            columns[name] = _text(where, column)
        else:
            numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
            bad = numbers.isna() & column.notna()
            refuse_rows(where, bad, table.index, f"its {name} is no number")
            columns[name] = numbers
    rows = pd.DataFrame(columns, table.index)
    refuse_rows(where, rows["frame"].isna(), table.index, "has no frame")
    rows["frame"] = whole(where, rows, "frame", "frame")
    return Boxes(format=format, table=rows, first_frame=0)


def _text(where: str, column: pd.Series) -> pd.Series:
    """A column as categories of text; whole numbers that are floats lose their point."""
    try:
        column = column.astype("category")
    except TypeError as error:
        raise UserError(
            f"{where}: its {column.name} is no text in some rows ({error}): write one a row"
        ) from error
    names = column.cat.categories
    if names.dtype.kind == "f":
        bad = np.abs(names) >= 2**53
        if bad.any():
            raise UserError(
                f"{where}: {column.name} {names[bad][0]:.0f} is a float that may have been "
                "rounded: pass integers or text"
            )
        column = column.cat.rename_categories(lambda n: str(int(n)) if n == int(n) else str(n))
    if column.name == "track":
        return ids(column)
    return column.map(str, na_action="ignore").astype("category")
