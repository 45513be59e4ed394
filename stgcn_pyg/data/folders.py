"""Tracklets in folders: a folder each, its frames numbered in their names."""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from stgcn_pyg.data.faults import Report, looks_like_a_picture
from stgcn_pyg.errors import UserError


def folders_in(folder: Path, form: re.Pattern[str], example: str, report: Report) -> list[Path]:
    """The folders in a folder, by their names.

    Args:
        folder: The folder to look in.
        form: The form of their names.
        example: Such a name.
        report: Is called with each folder that has pictures in it but no such name. Other files
            are nobody's, and passed over.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; restore it, or pass the folder of the data set")
    found = []
    for path in sorted(folder.iterdir()):
        if not path.is_dir() or path.name.startswith("."):
            continue
        if form.fullmatch(path.name):
            found.append(path)
        elif _holds_pictures(path):
            report(path, f"stands where a folder named like {example} should: rename or remove it")
    return found


def _holds_pictures(folder: Path) -> bool:
    return any(looks_like_a_picture(name) for *_, names in os.walk(folder) for name in names)


def frames_in_order(
    folder: Path, form: re.Pattern[str], example: str, labels: dict[str, int], report: Report
) -> list[Path]:
    """The pictures of a tracklet by the number in their names, never in the file system's order.

    Args:
        folder: The folder that holds them. Files with names of another form are no frames, and
            passed over.
        form: The form of their names. Its group ``frame`` is the number, other named groups are
            labels, which must be those of ``labels`` or else of the first frame.
        example: Such a name.
        labels: What is known of the tracklet.
        report: Is called with each picture whose name disagrees with the labels or with another
            picture, and if no frame is left.
    """
    frames: dict[int, Path] = {}
    for name in sorted(os.listdir(folder)):
        match, path = form.fullmatch(name), folder / name
        if match is None:
            continue
        told = {label: int(value) for label, value in match.groupdict().items()}
        number = told.pop("frame")
        wrong = [label for label, value in told.items() if labels.get(label, value) != value]
        if wrong:
            label = wrong[0]
            report(path, f"named {label} {told[label]} in a tracklet of {label} {labels[label]}")
        elif number in frames:
            report(path, f"has number {number} of the tracklet, as {frames[number].name} has")
        else:
            frames[number] = path
            labels = labels | told
    if not frames:
        report(folder, f"holds no frames named like {example}: restore them, or remove it")
    return [frames[number] for number in sorted(frames)]


def tabulate(
    root: Path, tracklets: list[tuple[int, int, list[Path]]]
) -> tuple[pd.DataFrame, pd.Series]:
    """A table of a row a tracklet, given its person, camera and frames, and all their paths."""
    length = np.array([len(paths) for *_, paths in tracklets], dtype=np.int64)
    table = pd.DataFrame(
        {
            "pid": np.array([pid for pid, *_ in tracklets], dtype=np.int64),
            "camid": np.array([camid for _, camid, _ in tracklets], dtype=np.int64),
            "first_frame": np.cumsum(length) - length,
            "num_frames": length,
        }
    )
    frames = []
    for *_, paths in tracklets:
        folder = paths[0].parent.relative_to(root).as_posix()
        frames += [f"{folder}/{path.name}" for path in paths]
    return table, pd.Series(frames, dtype=str)
