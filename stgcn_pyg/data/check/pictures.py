"""Reading every picture once: is it sound, and which bytes does it hold."""

import errno
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.decoding import as_rgb, digest_of, opened, read_file
from stgcn_pyg.data.workers import map_in_workers
from stgcn_pyg.errors import BadPictureError, UnreadableFileError

CHUNK = 64
FORMATS = {".jpg": ("JPEG", "MPO"), ".jpeg": ("JPEG", "MPO"), ".png": ("PNG",)}
"""What Pillow calls the formats that a name promises; MPO is JPEG with more pictures behind."""

NOT_OF_ONE_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors of the system that any file would meet: too many open files, too little memory."""


class Picture(NamedTuple):
    """What the reading of a picture told."""

    digest: bytes = b""
    """The digest of its bytes; empty where the picture does not decode."""
    kind: str = ""
    """The kind of the fault or note; empty where there is none."""
    what: str = ""
    """The fault or note in a few words."""


def check_pictures(dataset: TrackletDataset, workers: int = 2) -> Iterator[tuple[Path, str | None]]:
    """Decodes every picture of a data set.

    Args:
        dataset: Its tracklets.
        workers: Processes that decode.

    Yields:
        The path of each picture and what is wrong with it, another format than its name says
        included, or None.
    """
    pictures = read_pictures(dataset.root, dataset.frames.tolist(), workers)
    for frame, picture in zip(dataset.frames, pictures, strict=True):
        yield dataset.root / frame, picture.what or None


def read_pictures(root: Path, frames: Sequence[str], workers: int = 2) -> Iterator[Picture]:
    """Reads and decodes pictures, a few ahead of the one that is asked for.

    Args:
        root: The folder that the paths start from.
        frames: The path of each picture.
        workers: Processes that decode; 1 decodes in this one.

    Yields:
        What the reading of each told, in the order of the paths.

    Raises:
        UserError: A worker was killed, or the system lets no file be read any more.
    """
    chunks = (list(frames[i : i + CHUNK]) for i in range(0, len(frames), CHUNK))
    yield from chain.from_iterable(map_in_workers(partial(_read_chunk, root), chunks, workers))


def _read_chunk(root: Path, frames: Sequence[str]) -> list[Picture]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd metadata
        return [read_picture(root / frame) for frame in frames]


def read_picture(path: Path) -> Picture:
    """Reads a picture, decodes it as the loaders do, and takes its digest.

    Args:
        path: The file to read.

    Raises:
        UserError: The system lets no file be read any more, or there is too little memory.
    """
    try:
        content = read_file(path)
        with opened(path, content) as image:
            # At an eighth of its size a JPEG is read to its end all the same, in half the time.
            as_rgb(path, image, height=1, width=1)
            expected = FORMATS.get(path.suffix.lower())
            found = image.format
    except BadPictureError as error:
        return _fault(error.kind, error.detail)
    except UnreadableFileError as error:
        if error.errno in NOT_OF_ONE_FILE:
            raise
        return _fault("cannot be read", error.reason)
    digest = digest_of(content)
    if expected is None or found in expected:
        return Picture(digest)
    return Picture(digest, "wrong format", f"{found}, not {expected[0]} as its name says")


def _fault(kind: str, detail: str = "") -> Picture:
    return Picture(kind=kind, what=f"{kind} ({detail})" if detail else kind)
