"""A gallery's own file, ``gallery.json``: whose embeddings it holds, and in which segments."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from stgcn_pyg import __version__
from stgcn_pyg.errors import UnreadableFileError, UserError, needs_extra
from stgcn_pyg.files import errors_of_writing, written_aside
from stgcn_pyg.search.engine import Engine
from stgcn_pyg.search.reduction import Reduction
from stgcn_pyg.search.segments import AGAIN, FULL, SegmentFacts

with needs_extra("search"):
    from filelock import FileLock, Timeout

NAME = "gallery.json"
LOCK = "gallery.lock"
REDUCTION = "reduction.safetensors"
FORMAT = 1
MODEL = ("width", "checkpoint_sha256", "embedding", "num_frames", "test_clips")

Some = TypeVar("Some", bound=Engine)


def require_same_model(
    gallery: str, here: Mapping[str, Any], source: str, there: Mapping[str, Any]
) -> None:
    """Raises a UserError if embeddings are of another model than a gallery's.

    Args:
        gallery: The place of the gallery.
        here: What is known of its model; what is missing or None is not compared.
        source: Where the embeddings come from.
        there: What is known of theirs.
    """
    for name in MODEL:
        one, other = here.get(name), there.get(name)
        if one != other and None not in (one, other):
            raise UserError(
                f"{source}: is of another model than {gallery} ({name} is {other} there, {one} "
                "here): extract it by the gallery's checkpoint and options"
            )


def of_same_model(gallery: Some, facts: Mapping[str, Any]) -> Some:
    """The gallery; if new embeddings are of another model, closes it and raises a UserError."""
    try:
        gallery.require_same_model("the new embeddings", facts)
    except UserError:
        gallery.close()
        raise
    return gallery


def stored_form(facts: Mapping[str, Any]) -> tuple[int, type]:
    """The width and the type of the embeddings that are kept."""
    if (reduced := facts.get("reduced")) is not None:
        return reduced, np.float16
    return facts["width"], np.float32


def read_reduction(folder: Path, facts: Mapping[str, Any]) -> Reduction | None:
    """What is kept of the embeddings instead of all, if so."""
    if facts.get("reduced") is None:
        return None
    path = folder / REDUCTION
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableFileError.of(path, error) from error
    if hashlib.sha256(content).hexdigest() != facts["reduction_sha256"]:
        raise UserError(f"{path}: damaged: {AGAIN}")
    return Reduction.from_bytes(str(path), content)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other writers out; the system drops the lock when the process ends in any way."""
    lock = FileLock(folder / LOCK)
    with errors_of_writing(folder / LOCK):
        try:
            lock.acquire(timeout=0)
        except Timeout as error:  # an OSError, too
            raise UserError(f"{folder}: another process is writing there: wait for it") from error
    try:
        yield
    finally:
        lock.release()


def commit(folder: Path, facts: Mapping[str, Any], described: list[SegmentFacts]) -> None:
    """Writes ``gallery.json``: from then on the gallery is of these segments."""
    content = {
        "format": FORMAT,
        "version": __version__,
        **facts,
        "segments": [asdict(one) for one in described],
    }
    content |= {"sha256": _digest(content)}
    path = folder / NAME
    with errors_of_writing(path, FULL), written_aside(path) as file:
        file.write((json.dumps(content) + "\n").encode())


def read_gallery(folder: Path) -> tuple[dict[str, Any], list[SegmentFacts]]:
    """What a gallery's ``gallery.json`` says of it, and of its segments."""
    path = folder / NAME
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{folder}: no gallery (it has no {NAME})") from error
    except OSError as error:
        raise UnreadableFileError.of(path, error) from error
    except ValueError as error:
        raise UserError(f"{path}: damaged: {AGAIN}") from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise UserError(f"{path}: of another version than {FORMAT}: {AGAIN}")
    if content.pop("sha256", None) != _digest({"format": FORMAT, **content}):
        raise UserError(f"{path}: altered since it was written: {AGAIN}")
    described = [SegmentFacts(**facts) for facts in content.pop("segments")]
    del content["version"]  # that of the last writer
    return content, described


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
