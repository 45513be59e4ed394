"""The `seqinfo.ini` that stands beside MOTChallenge's files."""

import configparser
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from stgcn_pyg.errors import UserError


class SequenceInfo(NamedTuple):
    """What a `seqinfo.ini` says; None where it does not."""

    image_size: tuple[int, int] | None = None
    """Width and height of the pictures, in pixels."""
    num_frames: int | None = None
    """Number of frames."""
    frame_rate: float | None = None
    """Frames a second."""


def read_sequence_info(folders: Sequence[Path]) -> SequenceInfo:
    """The content of the first `seqinfo.ini` that lies in one of some folders.

    Args:
        folders: Folders in which it may lie, in this order.

    Raises:
        UserError: It cannot be read.
    """
    path = next((f / "seqinfo.ini" for f in folders if (f / "seqinfo.ini").is_file()), None)
    if path is None:
        return SequenceInfo()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8-sig")
        section = parser["Sequence"]
        width, height = section.getint("imWidth"), section.getint("imHeight")
        num_frames, rate = section.getint("seqLength"), section.getfloat("frameRate")
    except (configparser.Error, KeyError, ValueError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read: mend or remove it ({said})") from error
    size = None if width is None or height is None else (width, height)
    return SequenceInfo(size, num_frames, rate if rate is not None and rate > 0 else None)
