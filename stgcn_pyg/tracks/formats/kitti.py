"""KITTI tracking's labels, and results in their form: 17 or 18 columns between spaces."""

from pathlib import Path
from typing import Any

import pandas as pd

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks.boxes import Boxes
from stgcn_pyg.tracks.formats.numbers import ids, read_columns, whole


def read_kitti(path: Path, content: Any = None) -> Boxes:
    """The boxes of a KITTI file, where a person who sits is a `Person`, not a `Pedestrian`."""
    table = read_columns(path, texts=(1, 2), separator=" ")
    if len(table.columns) not in (17, 18):
        raise UserError(f"{path}: has {len(table.columns)} columns: KITTI's tracks have 17 or 18")
    columns = {
        "frame": whole(path.as_posix(), table, 0, "frame"),
        "track": ids(table[1]),
        "left": table[6],
        "top": table[7],
        "width": table[8] - table[6],
        "height": table[9] - table[7],
        "class": table[2].astype("category"),
    }
    if 17 in table:
        columns["confidence"] = table[17]
    assumed = ["right and bottom are the first column and row beyond a box"]
    dont_care = [("ignore flag", (table[2] == "DontCare").to_numpy())]
    return Boxes(
        format="kitti",
        table=pd.DataFrame(columns),
        first_frame=0,
        assumed=assumed,
        left_out=dont_care,
        people=("pedestrian", "person", "person_sitting"),
    )
