"""A data set as tables of tracklets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stgcn_pyg.data.table_checks import (
    COLUMNS,
    check_numbers,
    checked_frames,
    checked_protocols,
    checked_table,
)
from stgcn_pyg.errors import UserError

__all__ = ["COLUMNS", "TrackletDataset"]


@dataclass(frozen=True)
class TrackletDataset:
    """The tracklets of a data set: one row a tracklet, one path a frame.

    The three tables have the columns ``pid`` (the person, from 0; -1 is junk, in the gallery
    alone), ``camid``, ``num_frames`` and ``first_frame`` (where the tracklet's paths begin in
    ``frames``). The index is the tracklet's number, unique in the data set: a query that also
    stands in the gallery has the same number there.

    Args:
        name: The name that :func:`stgcn_pyg.data.load_dataset` knows it by.
        root: The folder that the paths start from.
        train: Tracklets to train on.
        query: Tracklets to search for.
        gallery: Tracklets to search among, before any protocol leaves some out.
        frames: The path of every frame relative to ``root``, in the order of time.
        protocols: The evaluation protocols that the data set allows, its usual one first.

    Raises:
        UserError: A table lacks a column, is empty, or holds what no tracklet can have: a person
            or camera that is no whole number, a number that two tracklets share, frames that do
            not exist, junk to train on. The message names the tracklet.
    """

    name: str
    root: Path
    train: pd.DataFrame
    query: pd.DataFrame
    gallery: pd.DataFrame
    frames: pd.Series
    protocols: tuple[str, ...]

    def __post_init__(self) -> None:
        # What changes no meaning is put right: a root or protocol as text, whole floats.
        checked: dict[str, object] = {
            "root": Path(self.root),
            "frames": checked_frames(self.name, self.frames),
            "protocols": checked_protocols(self.name, self.protocols),
        }
        for split, table in self.tables().items():
            checked[split] = checked_table(self.name, split, table, len(self.frames))
        for field, value in checked.items():
            object.__setattr__(self, field, value)
        check_numbers(self.name, self.tables())

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by the name of their split."""
        return {"train": self.train, "query": self.query, "gallery": self.gallery}

    def test(self) -> pd.DataFrame:
        """All tracklets of query and gallery, each once."""
        both = pd.concat([self.query, self.gallery])
        return both[~both.index.duplicated()].sort_index()

    def gallery_is_query(self) -> np.ndarray:
        """Which rows of the gallery are queries as well, ``[len(gallery)]`` of bool."""
        return self.gallery.index.isin(self.query.index)

    def paths(self, tracklet: pd.Series, indices: Sequence[int] | None = None) -> list[Path]:
        """The paths of a tracklet's frames: all of them, or those at ``indices``."""
        if indices is None:
            indices = range(int(tracklet["num_frames"]))
        first = int(tracklet["first_frame"])
        return [self.root / self.frames.iat[first + i] for i in indices]

    def require_pictures(self) -> None:
        """Looks whether every frame of a tracklet is on disk.

        Raises:
            UserError: Some are not; it counts them and names the first.
        """
        used = self.frames[self._is_used()]
        folders = {Path(folder) for folder in {frame.rpartition("/")[0] for frame in used}}
        present = _files_below(self.root, folders)
        missing = used[~used.isin(present)]
        if len(missing):
            first = missing.iat[0]
            advice = ": write / in place of \\" if "\\" in first else ""
            raise UserError(
                f"{self.name}: {len(missing):,} of {len(used):,} pictures are missing, "
                f"the first is {self.root / first}{advice}"
            )

    def _is_used(self) -> np.ndarray:
        """Which frames some tracklet has, ``[len(frames)]`` of bool."""
        begun = np.zeros(len(self.frames) + 1, dtype=np.int64)  # tracklets that begin, less ends
        for table in self.tables().values():
            first = table["first_frame"].to_numpy()
            np.add.at(begun, first, 1)
            np.add.at(begun, first + table["num_frames"].to_numpy(), -1)
        return np.cumsum(begun)[:-1] > 0


def _files_below(root: Path, folders: set[Path]) -> set[str]:
    return {
        (folder / entry.name).as_posix()
        for folder in folders
        if (root / folder).is_dir()
        for entry in (root / folder).iterdir()
    }
