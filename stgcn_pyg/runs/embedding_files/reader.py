"""Reading an extraction."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg import __version__
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.embedding_files.description import (
    digest_of_tracklets,
    num_shards,
    read_description,
    shard_rows,
)
from stgcn_pyg.runs.embedding_files.shards import read_shard
from stgcn_pyg.runs.scoring import RankingTask, task_of_tracklets

# What the description tells under the same names.
TOLD = (
    "run",
    "checkpoint_sha256",
    "dataset",
    "root",
    "split",
    "test_clips",
    "num_frames",
    "embedding",
)


class StoredEmbeddings:
    """All embeddings of an extraction, every shard held against its checksums.

    Args:
        folder: That ``stgcn extract`` wrote.

    Attributes:
        description: The content of its ``embeddings.json``.
        tracklets: A row a tracklet: ``pid``, ``camid``, ``num_frames``, ``first_frame_path``,
            ``is_query``, ``is_gallery`` and ``is_train``; the index is its number.
        embeddings: ``[N, D]`` of float32, in the order of the rows.
        passed_over: What was wrong with pictures for which other frames of their tracklets stand.

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
        for shard in range(num_shards(self.description)):
            found = read_shard(folder, self.description, shard)
            self.embeddings[shard_rows(self.description, shard)] = found.embeddings
            self.passed_over.update(found.passed_over)
            tables.append(found.tracklets)
        self.tracklets = pd.concat(tables)
        if digest_of_tracklets(self.tracklets) != self.description["tracklets_sha256"]:
            raise UserError(
                f"{folder}: its tracklets are not those that embeddings.json tells: run the same "
                "`stgcn extract` again, which writes them anew"
            )

    @property
    def task(self) -> RankingTask:
        """Its queries and gallery, under every protocol that its data set allows.

        Raises:
            UserError: There are no queries, or none has a match.
        """
        if not self.tracklets["is_query"].any():
            raise UserError(
                f"{self.folder}: holds no query, only tracklets to train on: extract with "
                "--parts test or all"
            )
        return task_of_tracklets(
            str(self.folder), tuple(self.description["protocols"]), self.tracklets
        )

    @property
    def about(self) -> dict[str, Any]:
        """What the embeddings are of, by the names of :mod:`stgcn_pyg.runs.about`."""
        told = {name: self.description[name] for name in TOLD if name in self.description}
        return {
            "version": __version__,
            "extraction": str(self.folder),
            "extraction_key": self.description["key"],
            **told,
            "passed_over": len(self.passed_over),
        }

    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """The embeddings of its queries and of its gallery."""
        return (
            self.embeddings[self.tracklets["is_query"]],
            self.embeddings[self.tracklets["is_gallery"]],
        )
