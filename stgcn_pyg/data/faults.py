"""What is wrong with a data set's files: raised at the first, or collected by `stgcn check`."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

from stgcn_pyg.errors import UserError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp")


class Fault(NamedTuple):
    """One thing that is wrong with a data set or, among the notes of a check, worth knowing."""

    path: str
    what: str
    """In a few words, what is wrong and, where that is not plain, what to do."""
    kind: str = "wrong name or label"
    """Of those in `stgcn_pyg.data.check.kinds`."""


Report = Callable[[Path, str], None]
"""What a loader calls with each fault that it meets: `stop_at`, or the `report` of a collector."""


def stop_at(path: Path, what: str) -> NoReturn:
    """Raises the fault.

    Raises:
        UserError: Always.
    """
    raise UserError(f"{path}: {what}")


def looks_like_a_picture(name: str) -> bool:
    """Whether a file's name has a picture's ending; hidden files are nobody's pictures."""
    return name.lower().endswith(PICTURE_SUFFIXES) and not name.startswith(".")
