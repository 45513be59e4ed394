"""Embeddings on disk: a folder of shards, written one after the other and read as one.

embeddings.json     what they are: data set, checkpoint, sizes, and the key that the shards carry
00000.safetensors   the first shard's embeddings (:mod:`stgcn_pyg.runs.extraction_shards`)
00000.parquet       the first shard's tracklets
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg import __version__
from stgcn_pyg.errors import UserError, needs_extra
from stgcn_pyg.files import PART, errors_of_writing, written_aside
from stgcn_pyg.runs.scoring import RankingTask, task_of_tracklets

with needs_extra("train"):
    from stgcn_pyg.runs.extraction_shards import (
        AGAIN,
        SCHEMA,
        Shard,
        encode_shard,
        holds_same,
        read_shard,
        shard_paths,
    )

NAME = "embeddings.json"
FORMAT = 1
COLUMNS = SCHEMA.names[1:]
PLACES = ("run", "root", "key")  # what may differ in the same extraction
FACTS = (
    *("run", "dataset", "root", "split", "protocols", "parts", "test_clips", "num_frames"),
    *("embedding", "checkpoint_sha256", "width"),
)
# Those that scores say of themselves.
ABOUT = (
    *("run", "checkpoint_sha256", "dataset", "root", "split"),
    *("test_clips", "num_frames", "embedding"),
)
# How they were computed, named only where it is not as usual.
USUAL = {"backend": "torch", "precision": "float32", "exported_sha256": None}

Description = Mapping[str, Any]


def describe(tracklets: pd.DataFrame, shard_size: int, **facts: Any) -> Description:
    """Everything that decides what the shards hold; their key is its digest.

    Args:
        tracklets: All tracklets in the order of the shards, as
            :meth:`.TrackletDataset.tracklets` gives them.
        shard_size: The number of tracklets in a shard; the last holds the rest.
        **facts: A value for each of ``FACTS``, and for those of ``USUAL`` that are not as usual;
            docs/embeddings.md says what they are.
    """
    content = {
        "format": FORMAT,
        "version": __version__,
        **{name: facts[name] for name in FACTS},
        **{name: facts[name] for name in USUAL if name in facts},
        "num_tracklets": len(tracklets),
        "shard_size": shard_size,
        "tracklets_sha256": digest_of_tracklets(tracklets),
    }
    content["protocols"] = list(content["protocols"])
    return content | {"key": _key(content)}


def read_description(folder: Path) -> Description:
    """The content of a folder's ``embeddings.json``; raises a UserError if it is not usable."""
    path = folder / NAME
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{folder}: no extraction (it has no {NAME})") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: damaged: extract into a new folder") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path}: of another version than {FORMAT}: extract into a new folder")
    if content.pop("key", None) != (key := _key(content)):
        raise UserError(f"{path}: altered since it was written: extract into a new folder")
    if not content["num_tracklets"]:
        raise UserError(f"{folder}: holds no tracklet: extract other --parts into a new folder")
    return content | {"key": key}


def shards_of(description: Description) -> list[slice]:
    """The rows of the tracklets that each shard holds."""
    total, size = description["num_tracklets"], description["shard_size"]
    return [slice(first, min(first + size, total)) for first in range(0, total, size)]


def read_shards(folder: Path, description: Description) -> Iterator[Shard]:
    """The shards of an extraction, one after the other, each compared with its checksums.

    Args:
        folder: The folder that ``stgcn extract`` wrote.
        description: What :func:`read_description` gives.

    Raises:
        UserError: As :class:`StoredEmbeddings`; where all fit together, but are not the tracklets
            that were described, after the last shard.
    """
    tables = []
    for number, rows in enumerate(shards_of(description)):
        shard = read_shard(folder, description, number, rows.stop - rows.start)
        tables.append(shard.tracklets)
        yield shard
    if digest_of_tracklets(pd.concat(tables)) != description["tracklets_sha256"]:
        raise UserError(f"{folder}: its tracklets are not those that {NAME} names: {AGAIN}")


def digest_of_tracklets(tracklets: pd.DataFrame) -> str:
    """The SHA-256 of the columns of tracklets that shards hold."""
    rows = tracklets[list(COLUMNS)].to_csv(lineterminator="\n")
    return hashlib.sha256(rows.encode()).hexdigest()


def _key(content: Description) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class EmbeddingWriter:
    """Makes an extraction's folder, or continues the same extraction in it.

    Args:
        folder: The folder.
        description: What :func:`describe` gives.
        tracklets: The tracklets that it describes.
        still_bad: Whether images that were skipped are still bad, by the rows of a shard and what
            was wrong with its images.

    Attributes:
        description: The one in the folder, whose key the shards carry.

    Raises:
        UserError: The folder holds another extraction or something else, or cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        description: Description,
        tracklets: pd.DataFrame,
        still_bad: Callable[[pd.DataFrame, Sequence[str]], bool],
    ):
        self.folder = folder
        self.description = description
        self.tracklets = tracklets
        self.still_bad = still_bad
        path = folder / NAME
        if path.is_file():
            self.description = read_description(folder)
            self._require_same(description)
            return
        # A writer that was killed at once may have left a part of the description.
        if folder.exists() and not (folder.is_dir() and set(os.listdir(folder)) <= {NAME + PART}):
            raise UserError(
                f"{folder}: holds something that is no extraction; choose another folder"
            )
        with errors_of_writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        _write_aside(path, (json.dumps(description, indent=2) + "\n").encode())

    def _require_same(self, here: Description) -> None:
        # The places of the run and the data set may have changed: their digests are compared. What
        # an older version did not write is not compared.
        old, new = USUAL | dict(self.description), USUAL | dict(here)
        for name, there in old.items():
            if name in new and name not in PLACES and there != new[name]:
                raise UserError(
                    f"{self.folder}: holds another extraction ({name} is {there} there, "
                    f"{new[name]} here); choose another folder"
                )

    def missing(self) -> list[int]:
        """The shards that are missing, damaged, or not what the same command would write."""
        shards = enumerate(shards_of(self.description))
        return [number for number, rows in shards if not self._is_there(number, rows)]

    def write(self, number: int, embeddings: np.ndarray, passed_over: Sequence[str] = ()) -> None:
        """Writes a shard of embeddings ``[n, D]``; if it cannot, the shard counts as missing.

        ``passed_over`` says what was wrong with the images that other frames replaced.
        """
        rows = self.tracklets.iloc[shards_of(self.description)[number]]
        shard = Shard(rows, embeddings, passed_over)
        contents = encode_shard(self.description["key"], number, shard)
        for path, content in zip(shard_paths(self.folder, number), contents, strict=True):
            _write_aside(path, content)  # the shard is complete when the second file is

    def _is_there(self, number: int, rows: slice) -> bool:
        """Whether a shard holds what it would hold if it were written now."""
        tracklets, key = self.tracklets.iloc[rows], self.description["key"]
        try:
            found = read_shard(self.folder, self.description, number, len(tracklets))
        except UserError:
            return False
        if not found.tracklets.equals(tracklets[list(COLUMNS)].astype(found.tracklets.dtypes)):
            return False
        contents = encode_shard(key, number, found._replace(tracklets=tracklets))
        if not holds_same(shard_paths(self.folder, number), contents):
            return False
        return not found.passed_over or self.still_bad(tracklets, found.passed_over)


class StoredEmbeddings:
    """All embeddings of an extraction, every shard compared with its checksums.

    Args:
        folder: The folder that ``stgcn extract`` wrote.

    Attributes:
        description: The content of its ``embeddings.json``.
        tracklets: A row a tracklet: ``pid``, ``camid``, ``num_frames``, ``first_frame_path``,
            ``is_query``, ``is_gallery`` and ``is_train``; the index is its number.
        embeddings: ``[N, D]`` of float32, in the order of the rows.
        passed_over: What was wrong with images that other frames of their tracklets replaced.

    Raises:
        UserError: A shard is missing, damaged, of another extraction, or of another width.
    """

    method = "trained"

    def __init__(self, folder: Path):
        self.folder = folder
        self.description = read_description(folder)
        shape = (self.description["num_tracklets"], self.description["width"])
        self.embeddings = np.empty(shape, dtype=np.float32)
        self.passed_over: set[str] = set()
        tables = []
        shards = read_shards(folder, self.description)
        for shard, rows in zip(shards, shards_of(self.description), strict=True):
            self.embeddings[rows] = shard.embeddings
            self.passed_over.update(shard.passed_over)
            tables.append(shard.tracklets)
        self.tracklets = pd.concat(tables)

    @property
    def task(self) -> RankingTask:
        """Its queries and gallery; raises a UserError if no query has a match."""
        if not self.tracklets["is_query"].any():
            raise UserError(
                f"{self.folder}: holds no query, only tracklets to train on: extract with "
                "--parts test or all"
            )
        protocols = tuple(self.description["protocols"])
        return task_of_tracklets(str(self.folder), protocols, self.tracklets)

    @property
    def about(self) -> dict[str, Any]:
        """What the embeddings are of, by the names of :mod:`stgcn_pyg.runs.about`."""
        return {
            "version": __version__,
            "extraction": str(self.folder),
            "extraction_key": self.description["key"],
            **{n: self.description[n] for n in (*ABOUT, *USUAL) if n in self.description},
            "passed_over": len(self.passed_over),
        }

    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """The embeddings of its queries and of its gallery."""
        tables = self.tracklets
        return self.embeddings[tables["is_query"]], self.embeddings[tables["is_gallery"]]


def _write_aside(path: Path, content: bytes) -> None:
    advice = ": mend that and run the same command again, which goes on here"
    with errors_of_writing(path, advice), written_aside(path) as file:
        file.write(content)
