"""Extractions of embeddings as a gallery takes them: piece by piece, with their times."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.extracted_frames import find_frames, require_frames, tracklets_of
from stgcn_pyg.runs.extraction import read_description, read_shards
from stgcn_pyg.search.segments import COLUMNS, Piece

TIMES = ("first_time", "last_time")


class Extraction:
    """What ``stgcn extract`` wrote, of which a shard is in memory at a time.

    Args:
        folder: The folder.
        dataset: Name of the data set in the gallery. If not given, that of the data set itself;
            for a manifest, the name of the folder.
        manifest: The manifest of its tracklets, which their times are read from. If not given, and
            the data set is a manifest, the one that was extracted.

    Attributes:
        folder: The folder.
        dataset: The name.
        description: The content of its ``embeddings.json``.
        source: Where its frames are, as :meth:`.Gallery.add_pieces` takes it.
        notes: What a user should know of it, a line each.

    Raises:
        UserError: It is no extraction, or the manifest is missing or of other tracklets.
    """

    def __init__(self, folder: Path, dataset: str | None = None, manifest: Path | None = None):
        self.folder, self.manifest = folder, manifest
        self.description = read_description(folder)
        of_manifest = self.description["dataset"] == "manifest"
        usual = folder.resolve().name if of_manifest else self.description["dataset"]
        self.dataset: str = dataset or usual
        self.notes: list[str] = []
        self._times: tuple[pd.DataFrame, Path] | None = None
        where = self.description["root"]
        if manifest is not None or of_manifest:
            try:
                _, frames, where = find_frames(self.description, manifest)
                self._times = tracklets_of(frames), where
                if "time" not in frames:
                    self.notes.append(f"{where}: has no column time: no times are known")
            except UserError as error:
                if manifest is not None:
                    raise
                self.notes.append(f"no times are known: {error}")
        self.source: Mapping[str, Any] = {
            "dataset": "manifest" if manifest is not None else self.description["dataset"],
            "root": os.path.abspath(where),
            "split": self.description["split"],
        }

    def __len__(self) -> int:
        return self.description["num_tracklets"]

    def check(self) -> None:
        """Raises a UserError if a shard is missing or damaged, or the times are of others."""
        for _ in self.pieces():
            pass

    def pieces(self) -> Iterator[Piece]:
        """The embeddings and tracklets of each shard, with the columns of a gallery."""
        for shard in read_shards(self.folder, self.description):
            table = shard.tracklets.assign(dataset=self.dataset, tracklet=shard.tracklets.index)
            times: Any = dict.fromkeys(TIMES, np.nan)
            if self._times is not None:
                times = require_frames(self._times[0], shard.tracklets, self._times[1], self.folder)
            yield shard.embeddings, table.assign(**{name: times[name] for name in TIMES})[COLUMNS]
