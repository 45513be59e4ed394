"""A data set as tables of tracklets, and which tracklets it has wherever its files lie."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from stgcn_pyg.data.table_checks import (
    check_numbers,
    checked_frames,
    checked_protocols,
    checked_table,
)
from stgcn_pyg.errors import UserError

NO_LABELS = (
    "no identity is known: training and evaluation need the columns pid and split in the manifest"
)

Identity = dict[str, dict[str, Any]]
Parts = Literal["test", "train", "all"]


@dataclass(frozen=True)
class TrackletDataset:
    """The tracklets of a data set: one row a tracklet, one path a frame.

    The three tables have the columns ``pid`` (the identity, from 0; -1 is junk, in the gallery
    alone), ``camid``, ``num_frames`` and ``first_frame`` (where the tracklet's paths begin in
    ``frames``). The index is the tracklet's number, unique in the data set: a query that also
    stands in the gallery has the same number there.

    Args:
        name: The name that :func:`stgcn_pyg.data.load_dataset` knows it by.
        root: The folder that the paths start from.
        train: The tracklets to train on.
        query: The tracklets to search for.
        gallery: The tracklets to search among, before a protocol leaves any out.
        frames: The path of every frame relative to ``root``, in the order of time.
        protocols: The evaluation protocols that the data set allows, its usual one first. None
            where no identity is known: then every pid is -1, no tracklet is to train on, and all
            are both query and gallery.

    Raises:
        UserError: A table lacks a column, is empty, or holds what no tracklet can have: a pid or
            camid that is no whole number, a number that two tracklets share, frames that do not
            exist, junk to train on. The message names the tracklet.
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
            checked[split] = checked_table(
                self.name, split, table, len(self.frames), bool(checked["protocols"])
            )
        for field, value in checked.items():
            object.__setattr__(self, field, value)
        check_numbers(self.name, self.tables())

    @property
    def labelled(self) -> bool:
        """Whether identities are known."""
        return bool(self.protocols)

    def require_labels(self) -> None:
        """Raises a UserError if no identity is known."""
        if not self.labelled:
            raise UserError(f"{self.name} at {self.root}: {NO_LABELS}")

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by the name of their split."""
        return {"train": self.train, "query": self.query, "gallery": self.gallery}

    def tracklets(self, parts: Parts = "test") -> pd.DataFrame:
        """The tracklets in the order of their numbers, each once, and which tables they are in.

        Args:
            parts: ``"test"`` for those of query and gallery, ``"train"``, or ``"all"``.

        Returns:
            The columns of the tables, ``first_frame_path`` relative to the root, and ``is_query``,
            ``is_gallery`` and ``is_train``; the index is the tracklet's number.
        """
        tracklets = self._tracklets
        if parts != "all":
            tracklets = tracklets[tracklets["is_train"] == (parts == "train")]
        return tracklets.sort_index()

    @cached_property
    def _tracklets(self) -> pd.DataFrame:
        tracklets = pd.concat([self.train, self.query, self.gallery])
        tracklets = tracklets[~tracklets.index.duplicated()]
        return tracklets.assign(
            first_frame_path=self.frames.to_numpy()[tracklets["first_frame"]],
            is_query=tracklets.index.isin(self.query.index),
            is_gallery=tracklets.index.isin(self.gallery.index),
            is_train=tracklets.index.isin(self.train.index),
        )

    def test(self) -> pd.DataFrame:
        """The tracklets of query and gallery, as :meth:`tracklets` gives them."""
        return self.tracklets("test")

    def gallery_is_query(self) -> np.ndarray:
        """Which rows of the gallery are queries as well, ``[len(gallery)]`` of bool."""
        return self.gallery.index.isin(self.query.index)

    def paths(self, tracklet: pd.Series, indices: Sequence[int] | None = None) -> list[Path]:
        """The paths of a tracklet's frames: all of them, or those at ``indices``."""
        if indices is None:
            indices = range(int(tracklet["num_frames"]))
        first = int(tracklet["first_frame"])
        return [self.root / self.frames.iat[first + i] for i in indices]

    def require_images(self) -> None:
        """Raises a UserError that counts the missing files of tracklets and names the first."""
        is_used = np.zeros(len(self.frames), dtype=bool)
        for table in self.tables().values():
            is_used[frames_of(table)[1]] = True
        used = self.frames[is_used]
        folders = [Path(folder) for folder in {frame.rpartition("/")[0] for frame in used}]
        present = {
            (folder / name).as_posix()
            for folder in folders
            if (self.root / folder).is_dir()
            for name in os.listdir(self.root / folder)
        }
        missing = used[~used.isin(present)]
        if len(missing):
            first = missing.iat[0]
            advice = ": write / in place of \\" if "\\" in first else ""
            raise UserError(
                f"{self.name}: {len(missing):,} of {len(used):,} images are missing, "
                f"the first is {self.root / first}{advice}"
            )


def frames_of(tracklets: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """All frames of a table of tracklets, end to end.

    Returns:
        The place in the table of each frame's tracklet, and the frame's row in the data set's
        ``frames``.

    Example:
        >>> frames_of(pd.DataFrame({"first_frame": [5, 0], "num_frames": [2, 3]}))
        (array([0, 0, 1, 1, 1]), array([5, 6, 0, 1, 2]))
    """
    length = tracklets["num_frames"].to_numpy()
    owner = np.repeat(np.arange(len(length)), length)
    begins = np.cumsum(length) - length
    first = tracklets["first_frame"].to_numpy()
    return owner, np.arange(len(owner)) + (first - begins)[owner]


def identify(tables: Mapping[str, pd.DataFrame], frames: pd.Series) -> Identity:
    """Counts and a digest of tables of tracklets, by their names.

    Two data sets have the same if their tracklets have the same numbers, identities, cameras and
    names of frames in the same order. The content of the images does not count.

    Example:
        >>> table = pd.DataFrame({"pid": [4], "camid": [1], "first_frame": [1], "num_frames": [2]})
        >>> one = identify({"train": table}, pd.Series(["x.jpg", "a/1.jpg", "a/2.jpg"]))
        >>> table = table.assign(first_frame=0)
        >>> other = identify({"train": table}, pd.Series(["a/1.jpg", "a/2.jpg"]))
        >>> one == other, one["train"]["tracklets"], one["train"]["frames"]
        (True, 1, 2)
    """
    found = {}
    for name, table in tables.items():
        names = frames.to_numpy()[frames_of(table)[1]]
        labels = (table.index, table["pid"], table["camid"], table["num_frames"])
        digest = hashlib.sha256()
        for values in (*(map(str, label) for label in labels), names.tolist()):
            digest.update("\n".join(values).encode("utf-8", "surrogateescape") + b"\n\n")
        found[name] = {
            "tracklets": len(table),
            "people": int(table["pid"].nunique()),
            "frames": len(names),
            "sha256": digest.hexdigest(),
        }
    return found


def difference(there: Identity, here: Identity) -> str | None:
    """In what two data sets differ first, in words; tables that are in one alone do not count.

    Example:
        >>> one = {"query": {"tracklets": 3, "people": 2, "frames": 9, "sha256": "a"}}
        >>> difference(one, {"query": one["query"] | {"tracklets": 4}})
        'query: 3 tracklets there, 4 here'
        >>> difference(one, {"query": one["query"] | {"sha256": "b"}})
        'query: as many there as here, but with other labels or frames'
        >>> difference(one, one) is None
        True
    """
    for table in [name for name in there if name in here]:
        for what, count in there[table].items():
            if what not in here[table] or count == here[table][what]:
                continue
            if what == "sha256":
                return f"{table}: as many there as here, but with other labels or frames"
            noun = "identities" if what == "people" else what
            return f"{table}: {count:,} {noun} there, {here[table][what]:,} here"
    return None
