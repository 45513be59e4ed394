"""Tables of the page: what a cell shows, and by what it is sorted."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple


class Cell(NamedTuple):
    """One entry of a table."""

    shown: str
    key: float | str | None = None
    """Sorts the row in its column; None goes last."""
    below: str = ""
    """Stands small below it, such as an interval."""


@dataclass(frozen=True)
class Table:
    """A table whose first column names its rows.

    Attributes:
        caption: What it holds.
        columns: Titles.
        rows: Cells, as many as columns.
        sortable: Whether a click on a title sorts it.
        note: Stands below.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    sortable: bool = True
    note: str = ""

    def is_text(self, column: int) -> bool:
        """Whether a column holds words, which stand to the left."""
        return any(isinstance(row[column].key, str) for row in self.rows)


def words(text: object) -> Cell:
    """A cell of text."""
    return Cell(str(text), str(text))


def number(value: float, digits: int = 0) -> Cell:
    """A cell of a number; a dash for one that is not finite.

    Example:
        >>> number(1234).shown, number(0.5, 2).shown, number(float("nan")).shown
        ('1,234', '0.50', '–')
    """
    if not isfinite(value):
        return Cell("–")
    return Cell(f"{value:,.{digits}f}", float(value))


def significant(value: float) -> Cell:
    """A cell of a number with four significant digits."""
    return Cell(f"{value:.4g}", float(value)) if isfinite(value) else Cell("–")


def label(number: object) -> Cell:
    """A cell of a number that counts nothing, such as a person's."""
    return Cell(str(number), float(str(number)))


def percent(fraction: float) -> Cell:
    """A cell of a fraction, in per cent."""
    return number(100 * fraction, 1)
