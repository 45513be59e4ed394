"""What supervision's CSVSink and JSONSink write: corners, and whatever columns a user added."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks.boxes import COCO_PERSON, COCO_SAID, PEOPLE, Boxes, refuse_rows
from stgcn_pyg.tracks.formats.numbers import ids, readable, whole

FRAMES = ("frame", "frame_number", "frame_index", "frame_id", "frame_idx")
CORNERS = ("x_min", "y_min", "x_max", "y_max")


def read_supervision(path: Path, content: Any = None) -> Boxes:
    """The boxes of a file with a column for the frame, under one of the usual names.

    An empty id is nobody's, as is one below 0.
    """
    if content is None:
        with readable(path):
            try:
                table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
            except ValueError as error:
                said = " ".join(str(error).split())
                raise UserError(f"{path}: cannot be read as a table: {said}") from error
        if not isinstance(table.index, pd.RangeIndex):
            raise UserError(
                f"{path}: its rows have more columns than the header: write a name for each"
            )
        table.index += 2  # the header is the first row
    elif not all(isinstance(row, dict) for row in content):
        raise UserError(f"{path}: holds what is no detection: pass a sink's file")
    else:
        table = pd.DataFrame(content, dtype=object).fillna("").astype(str)
        table.index += 1
    if missing := [name for name in (*CORNERS, "tracker_id") if name not in table]:
        raise UserError(f"{path}: lacks the columns {', '.join(missing)}: pass a sink's file")
    frame = next((name for name in FRAMES if name in table), None)
    if frame is None:
        raise UserError(
            f"{path}: has no column for the frame: append with custom_data={{'frame': number}} "
            f"(or {', '.join(FRAMES[1:])})"
        )
    numbers = {name: pd.to_numeric(table[name], errors="coerce") for name in (frame, *CORNERS)}
    for name, column in numbers.items():
        refuse_rows(str(path), ~np.isfinite(column), table.index, f"{name} is no number")
    columns = {
        "frame": whole(str(path), pd.DataFrame(numbers), frame, name),
        "track": ids(table["tracker_id"]),
        "left": numbers["x_min"],
        "top": numbers["y_min"],
        "width": numbers["x_max"] - numbers["x_min"],
        "height": numbers["y_max"] - numbers["y_min"],
    }
    if "confidence" in table:
        columns["confidence"] = pd.to_numeric(table["confidence"], errors="coerce")
    about: dict[str, Any] = {}
    assumed = [f"frames by {frame}, from 0"]
    if "class_name" in table:
        columns["class"] = table["class_name"]
        about = {"people": PEOPLE, "own_words": True}
    elif "class_id" in table and (table["class_id"] != "").any():
        columns["class"] = ids(table["class_id"])
        about = {"people": COCO_PERSON}
        assumed.append(COCO_SAID)
    return Boxes(
        format="supervision", table=pd.DataFrame(columns), first_frame=0, assumed=assumed, **about
    )
