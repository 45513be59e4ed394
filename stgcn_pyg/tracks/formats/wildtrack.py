"""WILDTRACK's JSON: a file a frame, with each person's box in seven cameras."""

from pathlib import Path
from typing import Any

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks.boxes import ENTRY_ERRORS, Boxes, refuse_entry
from stgcn_pyg.tracks.formats.json_files import load_json
from stgcn_pyg.tracks.formats.rows import Rows, corners

IMAGE_SIZE = (1920, 1080)


def read_wildtrack(path: Path, content: Any = None) -> Boxes:
    """The boxes of a folder of such files, or of one. The number of a frame is the file's name.

    A person whom a camera does not see has -1 for all four sides there; a true box may have one.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    rows = Rows("camera")
    for file in files:
        people = load_json(file)
        if not file.stem.isdecimal():
            raise UserError(f"{file}: is not named by its frame, as 00000005.json is: rename it")
        try:
            for person in people:
                for view in person["views"]:
                    sides = [view[side] for side in ("xmin", "ymin", "xmax", "ymax")]
                    reason = "outside" if sides == [-1] * 4 else ""
                    name = str(view["viewNum"])
                    rows.add(
                        int(file.stem), person["personID"], corners(*sides), name, reason=reason
                    )
        except ENTRY_ERRORS as error:
            refuse_entry(file, "a person", error)
    return Boxes(
        format="wildtrack",
        table=rows.table(),
        first_frame=0,
        assumed=[
            "frames by the files' names, of which only every 5th is annotated",
            "cameras 0 to 6 by viewNum are the folders C1 to C7",
            "pictures of 1920 x 1080 pixels",
        ],
        left_out=rows.left_out(),
        pictures=".*",
        image_size=IMAGE_SIZE,
        row="box {}".format,
    )
