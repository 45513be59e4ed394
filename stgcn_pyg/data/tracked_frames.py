"""The frames of tracklets as a manifest lists them: when, where, and of which track.

Beside `path,camid,tracklet,frame` a manifest may have `time` (seconds on a clock that all cameras
share; empty in all rows of a tracklet whose times are not known), `camera` (its name), `track` (the
tracker's id), the box `left,top,width,height` in the video's picture and its `confidence`. Other
columns are not read.
"""

from pathlib import Path

import pandas as pd

from stgcn_pyg.data.manifest import read_rows
from stgcn_pyg.data.table_checks import whole_numbers
from stgcn_pyg.errors import UserError

WHOLE = ("camid", "tracklet", "frame")
BOX = ("left", "top", "width", "height")
TEXTS = ("camera", "track")
NUMBERS = ("time", *BOX, "confidence")


def read_tracked_frames(path: Path) -> pd.DataFrame:
    """Reads a manifest, a ``.csv`` or ``.parquet`` file, by tracklet and frame.

    Args:
        path: Path of the manifest.

    Returns:
        A row a frame: ``path`` relative to the manifest's folder, ``camid``, ``tracklet``,
        ``frame``, and those of the other columns that the manifest has and that are not all
        empty, ``camera`` and ``track`` as text. ``time`` is NaN in tracklets without times. A frame
        that stands in query and gallery has one row.

    Raises:
        UserError: The file cannot be read as such a table, a cell holds no number, or a tracklet
            has times in some rows only. The message names the row, which counts from 1 after the
            header.
    """
    rows = read_rows(path, (*TEXTS, *NUMBERS))
    found = pd.DataFrame({"path": rows["path"]})
    for name in WHOLE:
        found[name], wrong = whole_numbers(rows[name])
        for place, what in wrong.items():
            value = rows[name].tolist()[place]
            raise UserError(f"{path}: row {place + 1}: {name} {value!r} {what}")
    known = {
        name: rows[name].notna() & ~rows[name].isin([""])
        for name in (*TEXTS, *NUMBERS)
        if name in rows
    }
    filled = [name for name in known if known[name].any()]
    for name in [name for name in TEXTS if name in filled]:
        found[name] = rows[name].astype(object).where(known[name], "").astype(str)
    for name in [name for name in NUMBERS if name in filled]:
        found[name] = pd.to_numeric(rows[name], errors="coerce").astype(float)
        bad = ~found[name].abs().lt(float("inf"))
        if name == "time":  # not every camera has a clock
            bad &= known[name].groupby(found["tracklet"]).transform("any")
        if bad.any() and name != "confidence":  # not every tracker knows it of every box
            place = int(bad.to_numpy().argmax())
            advice = "write one in every row, or leave the column out"
            if name == "time":
                number = found["tracklet"].iat[place]
                advice = f"write one in every row of tracklet {number}, or leave all of them empty"
            raise UserError(
                f"{path}: row {place + 1}: {name} {rows[name].tolist()[place]!r} is no number: "
                f"{advice}"
            )
    found = found.drop_duplicates(["tracklet", "frame"])
    return found.sort_values(["tracklet", "frame"], ignore_index=True)
