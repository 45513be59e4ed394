"""Reading every picture once: is it sound, and which bytes does it hold."""

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.workers import map_in_workers

CHUNK = 64
DIGEST_SIZE = 16
FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG")  # of JPEG and PNG


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
        UserError: A worker was killed.
    """
    chunks = (list(frames[i : i + CHUNK]) for i in range(0, len(frames), CHUNK))
    yield from chain.from_iterable(map_in_workers(partial(_read_chunk, root), chunks, workers))


def _read_chunk(root: Path, frames: Sequence[str]) -> list[Picture]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd metadata
        return [read_picture(root / frame) for frame in frames]


def read_picture(path: Path) -> Picture:
    """Reads a picture, decodes it and takes its digest."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return _fault("missing")
    except (OSError, ValueError) as error:  # a path with a NUL in it is a ValueError
        return _fault("cannot be read", getattr(error, "strerror", None) or str(error))
    if not content:
        return _fault("empty")
    try:
        with Image.open(BytesIO(content)) as image:
            expected = FORMATS.get(path.suffix.lower(), image.format)
            found = image.format
            # At an eighth of its size a JPEG is read to its end all the same, in half the time.
            image.draft("RGB", (1, 1))
            image.load()
    except UnidentifiedImageError:
        known = content.startswith(BEGINNINGS)
        return _fault("truncated or damaged" if known else "no picture")
    except Exception:  # Pillow raises a dozen types on damaged files
        return _fault("truncated or damaged")
    digest = hashlib.blake2b(content, digest_size=DIGEST_SIZE).digest()
    if found == expected:
        return Picture(digest)
    return Picture(digest, "wrong format", f"{found}, not {expected} as its name says")


def _fault(kind: str, detail: str = "") -> Picture:
    return Picture(kind=kind, what=f"{kind} ({detail})" if detail else kind)
