"""What the loaders of data sets share: reports of faults, tracklets in folders, and .mat files."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp")


class Fault(NamedTuple):
    """One thing that is wrong with a data set or, among the notes of a check, worth knowing."""

    path: str
    what: str
    """In a few words, what is wrong and, where that is not plain, what to do."""
    kind: str = "wrong name or label"
    """One of the kinds in :mod:`stgcn_pyg.data.check`."""


Report = Callable[[Path, str], None]
"""What a loader calls with each fault that it finds: `stop_at`, or a function that collects."""


def stop_at(path: Path, what: str) -> NoReturn:
    """Raises the fault as a UserError."""
    raise UserError(f"{path}: {what}")


def has_image_suffix(name: str) -> bool:
    """Whether a file's name has an image's suffix and does not begin with a dot."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def find_holder(root: Path, parent: str, inner: str) -> Path | None:
    """The folder that holds ``inner``, root or ``root/parent``; None if neither does."""
    return next((place for place in (root, root / parent) if (place / inner).is_dir()), None)


class NameForm(NamedTuple):
    """The form of the names of folders or frames, and what is found by it."""

    pattern: re.Pattern[str]
    """In a frame's name the group ``frame`` is its number; other named groups are labels."""
    example: str
    """A name of this form, for messages."""

    def folders_in(self, folder: Path, report: Report) -> list[Path]:
        """The folders with such names, sorted; others are reported if they hold images."""
        if not folder.is_dir():
            raise UserError(
                f"{folder}: no such folder; restore it, or pass the folder of the data set"
            )
        found = []
        for path in sorted(folder.iterdir()):
            if not path.is_dir() or path.name.startswith("."):
                continue
            if self.pattern.fullmatch(path.name):
                found.append(path)
            elif any(has_image_suffix(name) for *_, names in os.walk(path) for name in names):
                where = f"stands where a folder named like {self.example} should"
                report(path, f"{where}: rename or remove it")
        return found

    def frames_in(self, folder: Path, labels: dict[str, int], report: Report) -> list[Path]:
        """The frames of a tracklet by the number in their names; other files are skipped.

        The labels in the names must be those in ``labels``, or else those of the first frame. An
        image whose name disagrees or repeats a number is reported, and a folder without frames.
        """
        frames: dict[int, Path] = {}
        for name in sorted(os.listdir(folder)):
            match, path = self.pattern.fullmatch(name), folder / name
            if match is None:
                continue
            found = {label: int(value) for label, value in match.groupdict().items()}
            number = found.pop("frame")
            wrong = [label for label, value in found.items() if labels.get(label, value) != value]
            if wrong:
                what = f"{wrong[0]} {found[wrong[0]]}"
                report(path, f"named {what} in a tracklet of {wrong[0]} {labels[wrong[0]]}")
            elif number in frames:
                report(path, f"has number {number} of the tracklet, as {frames[number].name} has")
            else:
                frames[number] = path
                labels = labels | found
        if not frames:
            report(folder, f"holds no frames named like {self.example}: restore them, or remove it")
        return [frames[number] for number in sorted(frames)]


class LabelledFrames(NamedTuple):
    """A tracklet: its labels, and the paths of its frames in the order of time."""

    pid: int
    camid: int
    paths: list[Path]


def tabulate(root: Path, tracklets: list[LabelledFrames]) -> tuple[pd.DataFrame, pd.Series]:
    """A table with a row for each tracklet, and the paths of all frames from the root."""
    rows = [(pid, camid, len(paths)) for pid, camid, paths in tracklets]
    table = pd.DataFrame(rows, columns=["pid", "camid", "num_frames"], dtype=np.int64)
    table.insert(2, "first_frame", table["num_frames"].cumsum() - table["num_frames"])
    frames = []
    for *_, paths in tracklets:
        folder = paths[0].parent.relative_to(root).as_posix()
        prefix = "" if folder == "." else f"{folder}/"
        frames += [prefix + path.name for path in paths]
    return table, pd.Series(frames, dtype=str)


def read_mat_numbers(path: Path, *variables: str) -> np.ndarray:
    """Reads whole numbers from a .mat file, also where MATLAB has saved them as floats.

    Args:
        path: The file to read.
        *variables: The names that the array may have; the first that the file has is read.

    Returns:
        The numbers as int64, in MATLAB's shape.

    Raises:
        UserError: The file is missing or damaged, has no such variable, or a value is no whole
            number.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; pass the folder that holds the data set")
    from scipy.io import loadmat  # here alone, since it takes long

    try:
        content = loadmat(path)
    except Exception as error:  # scipy raises half a dozen types on a damaged file
        raise UserError(f"{path}: no readable .mat file ({error})") from error
    variable = next((name for name in variables if name in content), None)
    if variable is None:
        found = ", ".join(key for key in content if not key.startswith("__")) or "none"
        raise UserError(f"{path}: has no variable {' or '.join(variables)} (it has: {found})")
    numbers = content[variable]
    advice = "put back the published file, or save it as integers"
    if not isinstance(numbers, np.ndarray) or numbers.dtype.kind not in "iuf":
        kind = f"{type(numbers).__name__} of {getattr(numbers, 'dtype', type(numbers).__name__)}"
        raise UserError(f"{path}: {variable} is no array of real numbers ({kind}): {advice}")
    # Infinite and undefined numbers are not whole either, nor are those that int64 cannot hold.
    whole = (np.abs(numbers) < 2.0**63) & (numbers == np.trunc(numbers))
    for place in np.argwhere(~whole)[:1]:
        row = ", ".join(str(i + 1) for i in place)
        raise UserError(
            f"{path}: {variable} holds {numbers[tuple(place)]} at ({row}), which is no whole "
            f"number: {advice}"
        )
    return numbers.astype(np.int64)
