"""VATIC's text, as Stanford Drone has it: ``id xmin ymin xmax ymax frame lost occluded ...``."""

from pathlib import Path
from typing import Any

import pandas as pd

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks.boxes import PEOPLE, Boxes
from stgcn_pyg.tracks.formats.numbers import ids, read_columns, whole


def read_vatic(path: Path, content: Any = None) -> Boxes:
    """The boxes of a VATIC file. Rows that are `lost` repeat where the person was seen last."""
    table = read_columns(path, texts=(0, 9), separator=" ")
    if len(table.columns) < 10:
        raise UserError(f"{path}: has {len(table.columns)} columns: VATIC's text has at least 10")
    columns = {
        "frame": whole(path.as_posix(), table, 5, "frame"),
        "track": ids(table[0]),
        "left": table[1],
        "top": table[2],
        "width": table[3] - table[1],
        "height": table[4] - table[2],
        "class": table[9].astype("category"),
    }
    return Boxes(
        format="vatic",
        table=pd.DataFrame(columns),
        first_frame=0,
        assumed=["xmax and ymax are the first column and row beyond a box"],
        left_out=[("lost", (table[6] == 1).to_numpy())],
        people=PEOPLE,
        own_words=True,
    )
