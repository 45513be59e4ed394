"""VIAME's CSV: rows of unequal length, with comments."""

import csv
from pathlib import Path
from typing import Any

import pandas as pd

from stgcn_pyg.tracks.boxes import ENTRY_ERRORS, PEOPLE, Boxes, refuse_entry
from stgcn_pyg.tracks.formats.numbers import readable
from stgcn_pyg.tracks.formats.rows import Rows, corners


def read_viame(path: Path, content: Any = None) -> Boxes:
    """The boxes of a VIAME file. Of several species the one with the highest confidence counts."""
    rows, lines = Rows("confidence", "class"), []
    with readable(path), path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        for cells in reader:
            if not cells or cells[0].lstrip().startswith("#") or not any(cells):
                continue
            try:
                box, species = corners(*cells[3:7]), _species(cells[9:])
                rows.add(int(cells[2]), cells[0], box, float(cells[7]), species)
            except ENTRY_ERRORS as error:
                refuse_entry(path, f"row {reader.line_num}", error)
            lines.append(reader.line_num)
    table = rows.table()
    table.index = pd.Index(lines)
    return Boxes(
        format="viame",
        table=table,
        first_frame=0,
        assumed=["right and bottom are the first column and row beyond a box"],
        people=PEOPLE,
        own_words=True,
    )


def _species(cells: list[str]) -> str:
    """The name with the highest confidence among pairs of both; attributes begin with a bracket."""
    best, name = -1.0, ""
    for species, confidence in zip(cells[::2], cells[1::2], strict=False):
        if not species or species.startswith("("):
            break
        if float(confidence) > best:
            best, name = float(confidence), species
    return name
