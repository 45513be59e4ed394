"""Text with a box a row, ``frame,id,left,top,width,height,...``, which is at least seven formats.

They agree on the first six columns; what the others mean, and which ids are nobody's, hangs on the
program that wrote the file.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks.boxes import COCO_PERSON, COCO_SAID, PEOPLE, Boxes, has_people
from stgcn_pyg.tracks.formats.numbers import ids, read_columns, readable, whole
from stgcn_pyg.tracks.formats.sequence_info import read_sequence_info

WRITERS = ("motchallenge", "mot15", "boxmot", "trackers", "norfair", "datumaro", "visdrone")

MOTCHALLENGE = (
    *("pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non motorized vehicle"),
    *("static person", "distractor", "occluder", "occluder on the ground", "occluder full"),
    *("reflection", "crowd"),
)
VISDRONE = (
    *("ignored region", "pedestrian", "people", "bicycle", "car", "van", "truck", "tricycle"),
    *("awning-tricycle", "bus", "motor", "others"),
)


def read_mot(path: Path, content: Any = None, writer: str = "auto") -> Boxes:
    """The boxes of a MOT file.

    Args:
        path: The file.
        content: Nothing, for other readers get what was parsed already.
        writer: One of :data:`WRITERS`, or ``"auto"``: the one that its columns fit.

    Raises:
        UserError: The columns do not fit the writer, or hold what they cannot.
    """
    table = read_columns(path, texts=(1,))
    if len(table.columns) < 6:
        raise UserError(
            f"{path}: has {len(table.columns)} columns: a MOT file has frame, id, left, top, "
            "width, height"
        )
    labels, names = path.with_name("labels.txt"), None
    if labels.is_file():
        with readable(labels):
            names = labels.read_text(encoding="utf-8-sig").splitlines()
    fitting = [name for name in WRITERS if _fits(name, table)]
    assumed = []
    if writer == "auto":
        writer = _likeliest(fitting, path, names)
        others = ", ".join(name for name in fitting if name != writer)
        rest = f" (those of {others} are alike)" if others else ""
        assumed.append(f"written by {writer}, by its columns{rest}")
        if not fitting:
            assumed.append("of the columns from the 8th on nothing is known: they are not read")
    elif writer not in fitting:
        instead = f"pass format={fitting[0]!r}" if fitting else "pass format='auto'"
        raise UserError(f"{path}: its columns are not those that {writer} writes: {instead}")
    columns = {
        "frame": whole(path.as_posix(), table, 0, "frame"),
        "track": ids(table[1]),
        **{name: table[i] for i, name in enumerate(("left", "top", "width", "height"), 2)},
    }
    above = [path.parent.parent] if path.parent.name in ("gt", "det") else []
    sequence = read_sequence_info([path.parent, *above])
    about: dict[str, Any] = {}
    left_out: list[tuple[str, np.ndarray]] = []
    if writer in ("motchallenge", "datumaro", "visdrone"):
        columns["class"] = _as_text(table[7])
        left_out.append(("ignore flag", (table[6] == 0).to_numpy()))
    if writer in ("motchallenge", "datumaro"):
        columns["visibility"] = table[8]
    if writer == "motchallenge":
        about = {"class_names": _numbered(MOTCHALLENGE, 1), "people": ("pedestrian",)}
        about["left_out_by_default"] = left_out  # every class but pedestrians has the flag 0
        left_out = [(reason, rows & (table[7] == 1).to_numpy()) for reason, rows in left_out]
        assumed.append("column 7 is 0 for boxes to ignore, 8 the class, 9 the visibility")
    elif writer == "datumaro":
        if names:
            about = {"class_names": _numbered(names, 1), "people": PEOPLE}
            about["own_words"] = not has_people(names)
        else:
            assumed.append("classes have no names without a labels.txt, so all count")
        assumed.append(
            "frames may be numbered anew: Datumaro counts the pictures that it was given"
        )
    elif writer == "visdrone":
        left_out.append(("ignore flag", (table[7] == 0).to_numpy()))
        about = {"class_names": _numbered(VISDRONE, 0), "people": ("pedestrian", "people")}
        assumed.append("column 7 is 0 for boxes to ignore, 8 the class from 0")
    elif writer == "boxmot":
        columns["confidence"], columns["class"] = table[6], _as_text(table[7])
        about = {"people": COCO_PERSON}
        assumed += [COCO_SAID, "frames count what the tracker read, so pass its stride"]
    elif writer == "norfair":
        assumed.append("boxes that norfair predicted for frames without the person are among them")
    elif writer == "mot15" and table[6].isin((-1, 0, 1)).all():
        left_out.append(("ignore flag", (table[6] == 0).to_numpy()))
        assumed.append("column 7 is 0 for boxes to ignore, 8 to 10 are no class")
    elif 6 in table:  # trackers, results in MOT15's form, and what nothing is known of
        columns["confidence"] = table[6].where(table[6] != -1)
    assumed.append("columns 3 to 6 are left, top, width and height, in pixels from 0")
    return Boxes(
        format=writer,
        table=pd.DataFrame(columns, copy=False),
        first_frame=1,
        assumed=assumed,
        left_out=left_out,
        image_size=sequence.image_size,
        num_frames=sequence.num_frames,
        **about,
    )


def _numbered(names: Any, first: int) -> dict[str, str]:
    return {str(number): name for number, name in enumerate(names, first)}


def _as_text(column: pd.Series) -> pd.Series:
    """Whole numbers as categories of text."""
    column = column.astype("category")
    return column.cat.rename_categories(lambda number: f"{number:.0f}")


def _likeliest(fitting: list[str], path: Path, names: list[str] | None) -> str:
    """Of the writers whose columns fit, the one that most likely wrote the file."""
    if names and "datumaro" in fitting:
        return "datumaro"
    first = ["motchallenge", "boxmot", "visdrone", "norfair", "mot15", "trackers"]
    if any((folder / "seqinfo.ini").is_file() for folder in (path.parent, path.parent.parent)):
        first.insert(0, "mot15")  # beside it there is what belongs to MOTChallenge's sequences
    return next((name for name in first if name in fitting), "trackers")


def _fits(writer: str, table: pd.DataFrame) -> bool:
    """Whether the columns from the 7th on hold what the writer writes there."""
    count = len(table.columns)
    flag, *rest = (table[i] for i in range(6, count)) if count > 6 else (None,)
    if writer == "trackers":
        return count in (6, 7, 10) and all((column == -1).all() for column in rest)
    if flag is None or count != (9 if writer in ("motchallenge", "datumaro", "boxmot") else 10):
        return False
    if writer == "norfair":
        return all((column == -1).all() for column in (flag, *rest))
    if writer == "mot15":
        # Numbers from the first, and a flag; its results have a confidence and a place in space.
        people = ~ids(table[1]).isin(("0", "-1")).any()
        return bool(people and flag.isin((-1, 0, 1)).all())
    if writer == "boxmot":
        return _whole_in(rest[0], 0, np.inf) and _whole_in(rest[1], -1, np.inf)
    if writer == "visdrone":
        ranges = ((0, len(VISDRONE) - 1), (-1, 1), (-1, 2))
        return all(_whole_in(column, *ends) for column, ends in zip(rest, ranges, strict=True))
    first, last = (1, len(MOTCHALLENGE)) if writer == "motchallenge" else (-1, np.inf)
    return bool(flag.isin((0, 1)).all() and rest[1].between(0, 1).all()) and _whole_in(
        rest[0], first, last
    )


def _whole_in(column: pd.Series, least: float, most: float) -> bool:
    """Whether all are whole numbers from the least to the most."""
    return bool((column.between(least, most) & (column % 1 == 0)).all())
