"""The text that ultralytics' ``save_txt`` writes: a folder with a file a frame."""

import re
from pathlib import Path
from typing import Any

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks.boxes import COCO_PERSON, COCO_SAID, Boxes
from stgcn_pyg.tracks.formats.numbers import one_id, readable
from stgcn_pyg.tracks.formats.rows import Rows


def read_ultralytics(path: Path, content: Any = None) -> Boxes:
    """The boxes of a folder of ``class x y width height [confidence] [id]``, in parts of a picture.

    No column says whether it is there: some rows lack an id, and all or none have a confidence.
    """
    files = _by_number(path)
    rows, lines = [], []
    for number, file in files:
        with readable(file):
            texts = file.read_text(encoding="utf-8-sig").splitlines()
        for place, text in enumerate(texts, 1):
            if cells := text.split():
                rows.append((number, cells))
                lines.append((file, place))
    lengths = {len(cells) for _, cells in rows}
    for (_, cells), (file, place) in zip(rows, lines, strict=True):
        if not 5 <= len(cells) <= 7 or {5, 7} <= lengths:
            raise UserError(
                f"{file}: row {place}: has {len(cells)} columns: boxes have 5 to 7, the same with "
                "and without a confidence; write boxes, not masks or keypoints, into a new folder"
            )
    # Six columns are an id without confidence, or the other way round.
    with_confidence = 7 in lengths or (
        5 not in lengths and any(not _is_id(cells[5]) for _, cells in rows)
    )
    found = Rows("class", "confidence")
    rounded = 0
    for (number, cells), (file, place) in zip(rows, lines, strict=True):
        confidence = cells[5] if with_confidence else "nan"
        track = "".join(cells[6:] if with_confidence else cells[5:])
        rounded += "e" in track
        try:
            x, y, width, height = map(float, cells[1:5])
            box = (x - width / 2, y - height / 2, width, height)
            found.add(number, track, box, one_id(cells[0]), float(confidence))
        except ValueError:
            words = f"{file}: row {place}: holds a word where a number should be: write it anew"
            raise UserError(words) from None
    assumed = [COCO_SAID, f"{'a' if with_confidence else 'no'} confidence stands before the id"]
    if rounded:
        assumed.append(f"{rounded:,} ids above 999,999 are rounded, so people may share one")
    # Of a video the names are VIDEO_1, VIDEO_2 ...; those of pictures may look the same.
    of_video = all(re.search(r"_(0|[1-9][0-9]*)$", file.stem) for _, file in files)
    prefix = re.escape(files[0][1].stem.rstrip("0123456789"))
    return Boxes(
        format="ultralytics",
        table=found.table(),
        first_frame=0 if files[0][0] == 0 else 1,
        assumed=assumed,
        people=COCO_PERSON,
        relative=True,
        # Of a video it grabs `vid_stride` frames each time and decodes the last of them.
        last_of_stride=of_video,
        pictures=prefix + "(0|[1-9][0-9]*)" if of_video else ".*",
        row=lambda row: "{.name}: row {}".format(*lines[row - 1]),
    )


def _is_id(text: str) -> bool:
    return one_id(text).isdecimal() and text != "0"


def _by_number(path: Path) -> list[tuple[int, Path]]:
    """The files of the folder and the numbers at the end of their names, in that order."""
    folder = path / "labels" if (path / "labels").is_dir() else path
    found: dict[int, Path] = {}
    stems = set()
    for file in sorted(folder.glob("*.txt")):
        name = re.fullmatch(r"(.*?)([0-9]+)", file.stem)
        if name is None:
            raise UserError(f"{file}: has no number of a frame at the end of its name: move it out")
        stems.add(name[1])
        if len(stems) > 1 or int(name[2]) in found:
            raise UserError(
                f"{file}: is of another video than {found.popitem()[1].name}: part them"
            )
        found[int(name[2])] = file
    if not found:
        raise UserError(f"{folder}: holds no .txt files: pass the folder that save_txt filled")
    return sorted(found.items())
