"""`embeddings.json`: what an extraction is, and the key that its shards carry."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from stgcn_pyg import __version__
from stgcn_pyg.errors import UserError

NAME = "embeddings.json"
FORMAT = 1
COLUMNS = (
    "pid",
    "camid",
    "num_frames",
    "first_frame_path",
    "is_query",
    "is_gallery",
    "is_train",
)
ANEW = "extract into a new folder"
PLACES = ("run", "root", "key")  # what may differ in the same extraction

Description = Mapping[str, Any]


def describe(
    tracklets: pd.DataFrame,
    *,
    run: str,
    dataset: str,
    root: str,
    split: int,
    protocols: tuple[str, ...],
    parts: str,
    test_clips: str,
    num_frames: int,
    embedding: str,
    checkpoint_sha256: str,
    width: int,
    shard_size: int,
) -> Description:
    """Everything that decides what the shards hold; their key is its digest.

    Args:
        tracklets: All tracklets in the order of the shards, as ``label_tracklets`` gives them.
        run: The run's folder or checkpoint, as it was named.
        dataset: The data set's name.
        root: The folder that holds it, as it was named.
        split: Which halves of people it was split in.
        protocols: The evaluation protocols that it allows, its usual one first.
        parts: Which of its tracklets these are: ``"test"``, ``"train"`` or ``"all"``.
        test_clips: Which clips stand for a tracklet.
        num_frames: T, of a clip.
        embedding: The kind of embedding, as :class:`stgcn_pyg.STGCN` names it.
        checkpoint_sha256: Of the checkpoint that embedded them.
        width: D, of an embedding.
        shard_size: How many tracklets a shard holds; the last holds the rest.
    """
    content = {
        "format": FORMAT,
        "version": __version__,
        "run": run,
        "dataset": dataset,
        "root": root,
        "split": split,
        "protocols": list(protocols),
        "parts": parts,
        "test_clips": test_clips,
        "num_frames": num_frames,
        "embedding": embedding,
        "checkpoint_sha256": checkpoint_sha256,
        "width": width,
        "num_tracklets": len(tracklets),
        "shard_size": shard_size,
        "tracklets_sha256": digest_of_tracklets(tracklets),
    }
    return content | {"key": _key(content)}


def read_description(folder: Path) -> Description:
    """The content of a folder's `embeddings.json`.

    Raises:
        UserError: It is missing, damaged, or of another version.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no extraction (it has no {NAME})") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: damaged: {ANEW}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path}: of another version than {FORMAT}: {ANEW}")
    if content.pop("key", None) != (key := _key(content)):
        raise UserError(f"{path}: altered since it was written: {ANEW}")
    return content | {"key": key}


def require_same(folder: Path, there: Description, here: Description) -> None:
    """Raises a UserError that names the first difference, if there is one.

    Where the run and the data set lie may have changed: the digests tell whether they are the
    same. What an older version did not write is not compared.
    """
    for name in here:
        if name in there and name not in PLACES and there[name] != here[name]:
            raise UserError(
                f"{folder}: holds another extraction ({name} is {there.get(name)} there, "
                f"{here[name]} here); choose another folder"
            )


def num_shards(description: Description) -> int:
    """How many shards there are when all are there."""
    return -(-description["num_tracklets"] // description["shard_size"])


def shard_rows(description: Description, shard: int) -> slice:
    """Which of the tracklets a shard holds."""
    first = shard * description["shard_size"]
    return slice(first, min(first + description["shard_size"], description["num_tracklets"]))


def digest_of_tracklets(tracklets: pd.DataFrame) -> str:
    """SHA-256 of what the shards tell of tracklets."""
    rows = tracklets[list(COLUMNS)].to_csv(lineterminator="\n")
    return hashlib.sha256(rows.encode()).hexdigest()


def _key(content: Description) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
