"""What kind of file of tracks a file is, by what is in it."""

import csv
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks.formats.json_files import load_json
from stgcn_pyg.tracks.formats.numbers import readable

BEGINNING = 65_536  # characters to judge a text by
OTHERS = (
    *("ultralytics", "kitti", "cvat", "vatic", "scalabel", "coco", "labelstudio", "viame", "cvml"),
    *("wildtrack", "supervision"),
)


def kind_of(path: Path) -> tuple[str, Any]:
    """The kind of a file or folder, and what was parsed to tell it.

    Returns:
        The name of a format, or ``"mot"``; and the content of a JSON file or the root of an XML
        file, else None.

    Raises:
        UserError: There is no such file, or it is of no kind that is known.
    """
    if path.is_dir():
        if any(path.glob("*.json")):
            return "wildtrack", None
        if any(path.glob("*.txt")) or (path / "labels").is_dir():
            return "ultralytics", None
        raise UserError(
            f"{path}: holds no tracks: pass a file, or the folder of ultralytics' labels (.txt) "
            "or WILDTRACK's annotations (.json)"
        )
    if not path.is_file():
        raise UserError(f"{path}: no such file: pass a file of tracks")
    if path.suffix.lower() == ".parquet":
        return "table", None
    with readable(path), path.open(encoding="utf-8-sig") as file:
        text = file.read(BEGINNING)
    content = None
    if text.lstrip().startswith("<"):
        content = _parse_xml(path)
        kind = {"annotations": "cvat", "dataset": "cvml", "result": "cvml"}.get(content.tag)
    elif text.lstrip()[:1] in ("[", "{"):
        content = load_json(path)
        kind = _kind_of_json(content)
    else:
        kind = _kind_of_text(path, text)
    if kind is None:
        raise UserError(
            f"{path}: is in no format of tracks that is known: write MOT's text "
            "(frame,id,left,top,width,height), a table with the columns frame, track, left, top, "
            f"width and height, or one of {', '.join(OTHERS)}"
        )
    return kind, content


def _parse_xml(path: Path) -> ElementTree.Element:
    with readable(path):
        try:
            return ElementTree.parse(path).getroot()
        except (ElementTree.ParseError, LookupError, ValueError) as error:
            raise UserError(f"{path}: is no XML: write the file anew ({error})") from error


def _kind_of_json(content: Any) -> str | None:
    if isinstance(content, dict):
        if "annotations" in content and ("images" in content or "videos" in content):
            return "coco"
        return "scalabel" if "frames" in content else None
    first = content[0] if content and isinstance(content[0], dict) else {}
    for key, kind in (
        ("x_min", "supervision"),
        ("personID", "wildtrack"),
        ("annotations", "labelstudio"),
        ("from_name", "labelstudio"),
        ("labels", "scalabel"),
        ("frameIndex", "scalabel"),
    ):
        if key in first:
            return kind
    return None


def _kind_of_text(path: Path, text: str) -> str | None:
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{path}: is empty: write one box a row")
    first = lines[0]
    if first.lstrip().startswith("#"):
        return "viame"
    cells = next(csv.reader([first]))
    if {"x_min", "x_max"} <= set(cells):
        return "supervision"
    if {"frame", "track", "left"} <= set(cells):
        return "table"
    words = next(csv.reader([first.strip()], delimiter=" "))
    if len(words) in (17, 18) and not _is_number(words[2]):
        return "kitti"
    if len(words) >= 10 and not _is_number(words[9]):
        return "vatic"
    parts = [float(word) for word in words[1:5] if _is_number(word)]
    if 5 <= len(words) <= 7 and len(parts) == 4 and max(parts) <= 1 and _is_number(words[-1]):
        raise UserError(f"{path}: is one frame of ultralytics' labels: pass its folder")
    if len(cells) >= 9 and all(map(_is_number, cells[2:8])):
        # A box of a MOT file that has no id leaves the same cell empty, and names no species.
        name = cells[1].strip() or "".join(cells[9:10]).strip()
        if name and not _is_number(name):
            return "viame"
    if len(cells) >= 6 and _is_number(cells[0]):
        return "mot"
    for mark, name in ((";", "semicolons"), ("\t", "tabs"), (" ", "spaces")):
        if mark in first.strip() and _kind_of_text(path, first.strip().replace(mark, ",")):
            raise UserError(f"{path}: has {name} between its columns: write commas")
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
