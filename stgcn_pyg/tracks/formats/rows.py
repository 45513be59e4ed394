"""Rows that a reader collects one by one, from a file that is no table."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg.tracks.formats.numbers import one_id

BOX = ("left", "top", "width", "height")


class Rows:
    """A table in the making, and the rows of it to leave out.

    Args:
        columns: The columns after frame, track and the box.

    Example:
        >>> rows = Rows("class")
        >>> rows.add(0, 7, (1, 2, 3, 4), "person")
        >>> rows.add(1, 7, (1, 2, 3, 4), "person", reason="lost")
        >>> rows.table().shape, rows.left_out()
        ((2, 7), [('lost', array([False,  True]))])
    """

    def __init__(self, *columns: str):
        self.columns = ("frame", "track", *BOX, *columns)
        self.rows: list[tuple] = []
        self.reasons: dict[str, list[int]] = {}

    def add(self, frame: int, track: Any, box: Sequence[Any], *more: Any, reason: str = "") -> None:
        """Adds a row, which is left out if there is a reason for it."""
        if reason:
            self.reasons.setdefault(reason, []).append(len(self.rows))
        number = int(frame)
        if number != float(frame) or abs(number) >= 2**53:
            raise ValueError(f"frame {frame} is no whole number, or none of a video's")
        if len(box) != 4:
            raise ValueError(f"a box of {len(box)} numbers")
        others = (value if isinstance(value, float) else _text(value) for value in more)
        self.rows.append((number, one_id(_text(track)), *map(float, box), *others))

    def table(self) -> pd.DataFrame:
        """The rows, whose index counts from 1."""
        index = pd.RangeIndex(1, len(self.rows) + 1)
        return pd.DataFrame(self.rows, index, pd.Index(self.columns))

    def left_out(self) -> list[tuple[str, np.ndarray]]:
        """The reasons, each with the rows that it leaves out."""
        found = []
        for reason, places in self.reasons.items():
            rows = np.zeros(len(self.rows), dtype=bool)
            rows[places] = True
            found.append((reason, rows))
        return found


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)  # NaN is what pandas has for None


def corners(left: Any, top: Any, right: Any, bottom: Any) -> tuple[float, float, float, float]:
    """Left, top, width and height of a box of which two corners are known.

    Example:
        >>> corners("1", 2, 4, "6.5")
        (1.0, 2.0, 3.0, 4.5)
    """
    left, top = float(left), float(top)
    return left, top, float(right) - left, float(bottom) - top


def enclosing(box: Sequence[float], degrees: float) -> tuple[float, float, float, float]:
    """The upright box around a box that is turned about its middle.

    Example:
        >>> [round(side, 3) for side in enclosing((10.0, 20.0, 4.0, 8.0), 90)]
        [8.0, 22.0, 8.0, 4.0]
    """
    left, top, width, height = box
    cos, sin = abs(np.cos(np.deg2rad(degrees))), abs(np.sin(np.deg2rad(degrees)))
    wide, high = float(width * cos + height * sin), float(width * sin + height * cos)
    return left + (width - wide) / 2, top + (height - high) / 2, wide, high
