"""What the image files themselves tell: is each sound, and which hold the same bytes."""

import errno
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stgcn_pyg.data.check.tracklets import Tracklets
from stgcn_pyg.data.decoding import as_rgb, digest_of, opened, read_file
from stgcn_pyg.data.label_files import Fault
from stgcn_pyg.data.workers import map_in_workers
from stgcn_pyg.errors import BadImageError, UnreadableFileError

CHUNK = 64  # images that a worker reads at a time
FORMATS = {".jpg": ("JPEG", "MPO"), ".jpeg": ("JPEG", "MPO"), ".png": ("PNG",)}
"""What Pillow calls the formats that a suffix promises; MPO is JPEG with more images behind."""

NOT_OF_ONE_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors of the system that any file would meet: too many open files, too little memory."""


class ReadImage(NamedTuple):
    """What the reading of an image file found."""

    digest: bytes = b""
    """The digest of its bytes; empty where it does not decode."""
    kind: str = ""
    """The kind of the fault or note; empty where there is none."""
    what: str = ""
    """The fault or note in a few words."""


def read_images(root: Path, frames: Sequence[str], workers: int = 2) -> Iterator[ReadImage]:
    """Reads and decodes images in processes, a few ahead of the one that is asked for."""
    chunks = (list(frames[i : i + CHUNK]) for i in range(0, len(frames), CHUNK))
    yield from chain.from_iterable(map_in_workers(partial(_read_chunk, root), chunks, workers))


def _read_chunk(root: Path, frames: Sequence[str]) -> list[ReadImage]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd metadata
        return [inspect_image(root / frame) for frame in frames]


def inspect_image(path: Path) -> ReadImage:
    """Reads an image file, decodes it as the loaders do, and takes its digest."""
    try:
        content = read_file(path)
        with opened(path, content) as image:
            # At an eighth of its size a JPEG is read to its end all the same, in half the time.
            as_rgb(path, image, height=1, width=1)
            expected = FORMATS.get(path.suffix.lower())
            found = image.format
    except BadImageError as error:
        return ReadImage(kind=error.kind, what=_in_words(error.kind, error.detail))
    except UnreadableFileError as error:
        if error.errno in NOT_OF_ONE_FILE:
            raise
        return ReadImage(kind="cannot be read", what=_in_words("cannot be read", error.reason))
    digest = digest_of(content)
    if expected is None or found in expected:
        return ReadImage(digest)
    return ReadImage(digest, "wrong format", f"{found}, not {expected[0]} as its name says")


def _in_words(kind: str, detail: str) -> str:
    return f"{kind} ({detail})" if detail else kind


def same_images(tracklets: Tracklets, digests: np.ndarray, sound: np.ndarray) -> Iterator[Fault]:
    """Images whose bytes stand under another name too.

    A fault for each image whose labels contradict those of another one with the same bytes. All
    other cases are notes: a tracklet that repeats an image, two tracklets of one identity and
    camera that overlap, as in MARS, and a query with a copy in the gallery.

    Args:
        tracklets: All tracklets.
        digests: The digest of every image, ``[P, 16]`` of uint8.
        sound: Which of the images were read, ``[P]``.
    """
    read = np.flatnonzero(sound)
    owner_of = tracklets.owner[tracklets.first_use[read]]
    # Junk comes last, so that what is compared with the first is compared with a label that counts.
    order = np.argsort(tracklets.is_junk[owner_of], kind="stable")
    read, owner_of = read[order], owner_of[order]
    later, first = pairs_of_equals(digests[read])
    owner, owner_of_first = owner_of[later], owner_of[first]
    wrong, own, copy, shared = tracklets.sort_pairs(owner, owner_of_first)
    for i in np.flatnonzero(wrong):
        what = (
            f"holds the same image as {tracklets.path(read[first[i]])}: "
            f"{tracklets.label(owner[i])} here, {tracklets.label(owner_of_first[i])} there"
        )
        yield Fault(str(tracklets.path(read[later[i]])), what, "same image")
    yield from tracklets.repeats(read[later[own]], owner[own], "repeated frames")
    for some, kind in ((shared, "shared images"), (copy, "query in the gallery")):
        yield from tracklets.overlaps(owner[some], owner_of_first[some], kind)


def pairs_of_equals(digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The places of digests, ``[P, 16]``, that occurred before, and of the first of each."""
    halves = digests.view(np.uint64)
    order = np.lexsort(halves.T)  # stable: equals stay in ascending order
    new = np.ones(len(order), dtype=bool)
    new[1:] = (halves[order[1:]] != halves[order[:-1]]).any(axis=1)
    first = order[np.flatnonzero(new)[np.cumsum(new) - 1]]
    later = order[~new].argsort()
    return order[~new][later], first[~new][later]
