"""What a file of tracks says, before anything is left out of it: what each reader returns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError

# What files call people, in small letters, where everybody chooses the words of one's own.
PEOPLE = (
    *("person", "persons", "people", "pedestrian", "pedestrians", "human", "humans"),
    *("man", "men", "woman", "women", "child", "children", "boy", "girl"),
)
# Models that were trained on COCO give a person this number.
COCO_PERSON = ("0",)
COCO_SAID = "class 0 is a person, as in models trained on COCO"

# What reading an entry of a file raises if it lacks something, or holds what cannot be.
ENTRY_ERRORS = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)

Row = Callable[[int], str]


@dataclass(frozen=True, kw_only=True)
class Boxes:
    """The rows of a file, in its own count of frames.

    Attributes:
        format: The name of the format, or of the program that wrote the file.
        table: Some of the columns of a table of tracks, at least ``frame``, ``track`` and the
            box's. The index is the row in the file, from 1.
        first_frame: The number that the file gives to the video's first frame.
        assumed: Sentences on what the file does not say.
        left_out: Reasons to leave rows out, each with the rows, as booleans. The first one counts.
        left_out_by_default: The same, where the user names no classes.
        people: What the format calls people, in small letters. Without any, all rows are taken.
        own_words: Whether the classes are words of a user's own: if none is among ``people``, all
            are taken.
        class_names: What the numbers of classes stand for.
        relative: Whether boxes are in parts of the picture's width and height, not in pixels.
        last_of_stride: Whether the file counts the last of every ``stride`` frames, not the first.
        pictures: Of which names, as a regular expression without the suffix, pictures are whose
            numbers the frames are; None if frames are not numbered by pictures.
        image_size, num_frames: As in :class:`Tracks`.
        row: What a row of the index is called in a message.
    """

    format: str
    table: pd.DataFrame
    first_frame: int
    assumed: Sequence[str] = ()
    left_out: Sequence[tuple[str, np.ndarray]] = ()
    left_out_by_default: Sequence[tuple[str, np.ndarray]] = ()
    people: Sequence[str] = ()
    own_words: bool = False
    class_names: Mapping[str, str] = field(default_factory=dict)
    relative: bool = False
    last_of_stride: bool = False
    pictures: str | None = None
    image_size: tuple[int, int] | None = None
    num_frames: int | None = None
    row: Row = "row {}".format


def has_people(names: Iterable[str]) -> bool:
    """Whether one of the names of classes means people."""
    return any(name.strip().lower() in PEOPLE for name in names)


def one_name(names: Sequence[str]) -> list[str]:
    """The names of cameras, or empty ones if all are the same: then it is known who took them."""
    return list(names) if len(set(names)) > 1 else [""] * len(names)


def refuse_rows(
    where: str, bad: Any, index: pd.Index, what: str, row: Row = "row {}".format
) -> None:
    """Raises a UserError that names the first of the bad rows, if there is one."""
    bad = np.asarray(bad)
    if bad.any():
        raise UserError(f"{where}: {row(index[int(np.argmax(bad))])}: {what}")


def refuse_entry(where: object, place: str, error: Exception) -> NoReturn:
    """Raises a UserError for an entry that lacks something or holds what is no number."""
    said = f"lacks {error}" if isinstance(error, KeyError) else f"cannot be read ({error})"
    raise UserError(f"{where}: {place}: {said}: write the file anew") from error
