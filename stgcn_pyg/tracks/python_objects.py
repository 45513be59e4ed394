"""Tracks from Python: a DataFrame, or what a tracker returns frame by frame."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks.cleaning import Choices, clean
from stgcn_pyg.tracks.formats.own_table import boxes_of
from stgcn_pyg.tracks.table import Tracks


def tracks_of(boxes: pd.DataFrame | Iterable[Any], **choices: Any) -> Tracks:
    """The table of tracks of boxes that are in memory.

    Args:
        boxes: A DataFrame with some of the columns of a table of tracks, at least frame, track and
            the box's; or supervision's ``Detections``, one for each frame: objects with ``xyxy``,
            ``tracker_id``, ``confidence`` and ``class_id``, of which all but the first may be None.
        **choices: What to take and how frames count, the arguments of :func:`read_tracks` by name.
            Frames count from 0; the classes of Detections are numbers, and all are taken if none
            are named.

    Returns:
        The tracks.

    Raises:
        UserError: As :func:`read_tracks`; or an object is no such thing.

    Example:
        >>> from types import SimpleNamespace
        >>> box, one = [[10, 20, 14, 30]], [7]
        >>> seen = SimpleNamespace(xyxy=box, tracker_id=one, confidence=[0.5], class_id=[0])
        >>> tracks_of([seen, seen]).table[["frame", "track", "left", "width"]]
           frame track  left  width
        0      0     7  10.0    4.0
        1      1     7  10.0    4.0
    """
    table = boxes if isinstance(boxes, pd.DataFrame) else _table_of(boxes)
    table = table.set_axis(pd.RangeIndex(1, len(table) + 1))
    return clean("the table", boxes_of("the table", table, "python"), Choices(**choices))


def _table_of(frames: Iterable[Any]) -> pd.DataFrame:
    """The rows of Detections."""
    parts = []
    for number, detections in enumerate(frames):
        try:
            xyxy = np.asarray(detections.xyxy, dtype=np.float64).reshape(-1, 4)
            columns: dict[str, Any] = {"frame": number}
            columns["left"], columns["top"], right, bottom = xyxy.T
            columns["width"], columns["height"] = right - columns["left"], bottom - columns["top"]
            for name, source in (("track", "tracker_id"), ("class", "class_id")):
                values = getattr(detections, source)
                # Text at once: pandas makes floats of integers where some frames have none.
                columns[name] = "" if values is None else [str(int(value)) for value in values]
            confidence = detections.confidence
            columns["confidence"] = np.nan if confidence is None else np.asarray(confidence, float)
            parts.append(pd.DataFrame(columns, index=range(len(xyxy))))
        except (AttributeError, TypeError, ValueError) as error:
            raise UserError(
                f"frame {number}: is a {type(detections).__name__}, not supervision's Detections: "
                f"pass a list with one for each frame ({error})"
            ) from error
    if not parts:
        raise UserError("there are no frames: pass a DataFrame, or Detections of each frame")
    return pd.concat(parts)
