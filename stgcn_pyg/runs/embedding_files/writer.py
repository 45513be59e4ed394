"""Writing an extraction, from where it is."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError
from stgcn_pyg.files import PART
from stgcn_pyg.runs.embedding_files.description import (
    COLUMNS,
    NAME,
    Description,
    num_shards,
    read_description,
    require_same,
    shard_rows,
)
from stgcn_pyg.runs.embedding_files.shards import (
    are_same,
    encode_shard,
    paths,
    read_shard,
    write_aside,
)


class EmbeddingWriter:
    """Makes an extraction's folder, or finds the same extraction in it.

    Args:
        folder: Where it is or will be.
        description: What :func:`describe` gives.
        tracklets: Those that it describes.
        still_bad: Says whether pictures that were passed over would be so again: it takes the
            rows of a shard and what was wrong with its pictures. Without it, they would not.

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
        still_bad: Callable[[pd.DataFrame, Sequence[str]], bool] | None = None,
    ):
        self.folder = folder
        self.description = description
        self.tracklets = tracklets
        self.still_bad = still_bad
        path = folder / NAME
        if path.is_file():
            there = read_description(folder)
            require_same(folder, there, description)
            self.description = there
            return
        if folder.exists() and not _is_empty(folder):
            raise UserError(
                f"{folder}: holds something that is no extraction; choose another folder"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: cannot be made ({error.strerror})") from error
        write_aside(path, (json.dumps(description, indent=2) + "\n").encode())

    def missing(self) -> list[int]:
        """The shards that are not there, not whole, or not what the same command would write."""
        return [shard for shard in range(num_shards(self.description)) if not self._is_there(shard)]

    def rows(self, shard: int) -> pd.DataFrame:
        """A shard's tracklets."""
        return self.tracklets.iloc[shard_rows(self.description, shard)]

    def write(self, shard: int, embeddings: np.ndarray, passed_over: Sequence[str] = ()) -> None:
        """Writes a shard's embeddings ``[n, D]``, in the order of its rows, with their labels.

        Args:
            shard: Its number.
            embeddings: Theirs.
            passed_over: What was wrong with pictures for which other frames stand.

        Raises:
            UserError: The disk is full or the like; the shard then counts as missing.
        """
        contents = encode_shard(self.description, shard, self.rows(shard), embeddings, passed_over)
        for path, content in zip(paths(self.folder, shard), contents, strict=True):
            write_aside(path, content)  # it is there when the second is

    def _is_there(self, shard: int) -> bool:
        """Whether it holds what it would hold if it were written now."""
        try:
            found = read_shard(self.folder, self.description, shard)
        except UserError:
            return False
        rows = self.rows(shard)
        if not found.tracklets.equals(rows[list(COLUMNS)].astype(found.tracklets.dtypes)):
            return False
        faults = found.passed_over
        contents = encode_shard(self.description, shard, rows, found.embeddings, faults)
        if not are_same(paths(self.folder, shard), contents):
            return False
        return not faults or (self.still_bad is not None and self.still_bad(rows, faults))


def _is_empty(folder: Path) -> bool:
    """Whether there is nothing, or only what a writer left that was killed at once."""
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= {NAME + PART}
