"""Tracklets in folders: a folder each, its frames numbered in their names."""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from stgcn_pyg.data.faults import Report, looks_like_a_picture
from stgcn_pyg.errors import UserError


def folders_in(folder: Path, form: re.Pattern[str], example: str, report: Report) -> list[Path]:
    """The folders in a folder, by their names; what has no name of that form is reported."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; restore it, or pass the folder of the data set")
    found = []
    for path in sorted(folder.iterdir()):
        if form.fullmatch(path.name) and path.is_dir():
            found.append(path)
        elif looks_like_a_picture(path.name) or (path.is_dir() and path.name[0] != "."):
            report(path, f"stands where a folder named like {example} should: rename or remove it")
    return found


def frames_in_order(
    folder: Path, form: re.Pattern[str], example: str, labels: dict[str, int], report: Report
) -> list[Path]:
    """The pictures of a tracklet by the number in their names, never in the file system's order.

    Args:
        folder: That holds them.
        form: Of their names. Its group ``frame`` is the number, other named groups are labels,
            which must be those of ``labels`` or else of the first frame.
        example: Of such a name.
        labels: What is known of the tracklet.
        report: Is called with each file that is passed over, and if none is left.
    """
    frames: dict[int, Path] = {}
    for name in sorted(os.listdir(folder)):
        match, path = form.fullmatch(name), folder / name
        if match is None:
            if looks_like_a_picture(name):
                report(path, f"not named like {example}: rename or remove it")
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
        report(folder, "holds no frames: restore or remove it")
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
