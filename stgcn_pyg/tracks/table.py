"""The one table that every file of tracks is read to, and writing it."""

from collections.abc import Mapping
from csv import QUOTE_NONNUMERIC
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from stgcn_pyg.files import write_table

COLUMNS = (
    "camera",
    "frame",
    "track",
    "left",
    "top",
    "width",
    "height",
    "confidence",
    "class",
    "visibility",
)
TEXTS = ("camera", "track", "class")


@dataclass(frozen=True, eq=False)
class Tracks:
    """The boxes of people in one or several cameras, by track, and how they were read.

    Attributes:
        table: The boxes, one a row, with the columns :data:`COLUMNS`, sorted by camera and frame,
            then as in the file. ``camera`` is the camera's name, empty where none is known;
            ``frame`` the number of the frame in the video, from 0; ``track`` the id in the file, as
            text; ``left``, ``top``, ``width`` and ``height`` are in pixels from 0, and the column
            at ``left + width`` is the first beyond the box; ``confidence`` and ``visibility`` are
            NaN where unknown, ``class`` is empty. Columns of text are categorical.
        format: The name of the format, or of the program that wrote the file, e.g. ``"boxmot"``.
        assumed: Sentences on what the file does not say and was assumed.
        dropped: The number of rows left out, by reason.
        image_size: The width and height of the pictures, where known.
        num_frames: The number of frames of the video, where the file says it.
        pictures: Where the frames are the numbers in the names of pictures: the number that frame 0
            stands for, and the form of these names as a regular expression, without the suffix.

    Example:
        >>> from stgcn_pyg.tracks import tracks_of
        >>> box = {"frame": [0], "track": [7], "left": [2], "top": [4], "width": [9], "height": [3]}
        >>> print(tracks_of(pd.DataFrame(box)).summary())
        python: 1 box of 1 track in frames 0 to 0
        assumed: frame 0 is the video's first
    """

    table: pd.DataFrame
    format: str
    assumed: tuple[str, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    image_size: tuple[int, int] | None = None
    num_frames: int | None = None
    pictures: tuple[int, str] | None = None

    def summary(self) -> str:
        """What was read, assumed and dropped, in a few lines.

        Returns:
            Lines for the terminal, without a line end after the last.
        """
        tracks = len(self.table[["camera", "track"]].drop_duplicates())
        counts = f"{counted(len(self.table), 'box', 'boxes')} of {counted(tracks, 'track')}"
        if cameras := [name for name in self.table["camera"].unique() if name]:
            counts += f", {counted(len(cameras), 'camera')}"
        frames = self.table["frame"]
        span = f" in frames {frames.min():,} to {frames.max():,}" if len(frames) else ""
        lines = [f"{self.format}: {counts}{span}"]
        lines += [f"assumed: {sentence}" for sentence in self.assumed]
        if self.dropped:
            reasons = (f"{count:,} {reason}" for reason, count in self.dropped.items())
            lines.append(f"dropped: {', '.join(reasons)}")
        return "\n".join(lines)


def write_tracks(tracks: Tracks, path: str | Path) -> None:
    """Writes the table of tracks, which :func:`read_tracks` reads back as it is.

    Args:
        tracks: The tracks.
        path: The file to write, ``.csv`` or ``.parquet``.

    Raises:
        UserError: The name ends otherwise, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> import pandas as pd
        >>> from stgcn_pyg.tracks import read_tracks, tracks_of
        >>> box = {"frame": [0], "track": [7], "left": [2], "top": [4], "width": [9], "height": [3]}
        >>> path = Path(tempfile.mkdtemp()) / "tracks.csv"
        >>> write_tracks(tracks_of(pd.DataFrame(box)), path)
        >>> read_tracks(path).table["track"].tolist()
        ['7']
    """
    # Text in quotation marks, or a lone carriage return in it would end the row.
    write_table(Path(path), tracks.table, quoting=QUOTE_NONNUMERIC)


def counted(number: int, one: str, several: str = "") -> str:
    """A number with its noun, whose plural ends in s if none is given."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"
