"""Which pictures a pack was made from: the size, time of change and digest of each.

pictures.npy   one record a frame, in the order of the data set's frames
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from stgcn_pyg.data.decoding import DIGEST_SIZE, digest_of, read_file
from stgcn_pyg.errors import BadPictureError, UnreadableFileError, UserError

RECORD = np.dtype([("size", "<i8"), ("changed_ns", "<i8"), ("digest", "u1", DIGEST_SIZE)])
ABSENT = -1
"""The size in place of a picture that is not there."""

READ_AT_MOST = 1000
"""Pictures that are read again where only their times have changed, as after copying."""


def state_of(path: str | Path) -> tuple[int, int]:
    """The size of a file in bytes and its time of change in nanoseconds.

    Args:
        path: The file to look at. Where there is none, or none that we may see, the size is ABSENT.

    Raises:
        UnreadableFileError: The system does not tell.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ABSENT, 0
    except (OSError, ValueError) as error:
        raise UnreadableFileError.of(Path(path), error) from error
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else (ABSENT, 0)


def require_same_pictures(
    pack: Path, records: np.ndarray, root: Path, frames: pd.Series, every: bool = False
) -> int:
    """Looks whether a pack's pictures are those that it was made from.

    Pictures that are not there are passed over, so that a pack can be used by itself. Of the
    others all sizes are compared. Where a size is the same and the time is not, as after copying a
    data set, the picture is read and its digest is compared; of more than 1,000 such, 1,000 that
    are spread evenly.

    Args:
        pack: The pack's folder, to name in errors.
        records: What was noted of each picture, ``[F]`` of `RECORD`.
        root: The folder that the frames' paths start from.
        frames: The path of each frame, F of them.
        every: Whether to read all pictures that are there, whatever their times.

    Returns:
        The number of pictures that are there.

    Raises:
        UserError: A picture has changed.
    """
    paths = frames.tolist()
    # As text: to make a Path of each takes longer than to ask for its state.
    size, changed_ns = np.array([state_of(f"{root}/{path}") for path in paths], np.int64).T
    there = size != ABSENT
    other = np.flatnonzero(there & (size != records["size"])).tolist()
    if not other:
        doubtful = np.flatnonzero(there & (every | (changed_ns != records["changed_ns"])))
        if len(doubtful) > READ_AT_MOST and not every:
            doubtful = doubtful[np.linspace(0, len(doubtful) - 1, READ_AT_MOST).astype(int)]
        other = _of_other_content(records, root, paths, doubtful.tolist())
    if other:
        raise UserError(
            f"{pack}: {root / paths[other[0]]} is not the picture that was packed"
            + (f", nor are {len(other) - 1:,} others" if len(other) > 1 else "")
            + ": pack again"
        )
    return int(there.sum())


def _of_other_content(
    records: np.ndarray, root: Path, paths: Sequence[str], rows: Sequence[int]
) -> list[int]:
    other = []
    for row in rows:
        try:
            content = read_file(root / paths[row])
        except BadPictureError:
            content = b""  # an empty file, or one that has just been removed
        if digest_of(content) != records["digest"][row].tobytes():
            other.append(row)
    return other
