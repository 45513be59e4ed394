"""Which tracklets a data set has, wherever its files lie."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

Identity = dict[str, dict[str, Any]]


def identify(tables: Mapping[str, pd.DataFrame], frames: pd.Series) -> Identity:
    """Counts and a digest of tables of tracklets, by their names.

    Two data sets have the same if their tracklets have the same numbers, people, cameras and names
    of frames in the same order. What is in the pictures is not looked at.

    Args:
        tables: Tables of tracklets with the columns of a :class:`.TrackletDataset`.
        frames: The path of every frame, relative to the data set's folder.

    Returns:
        For each table ``tracklets``, ``people``, ``frames`` and ``sha256``.

    Example:
        >>> table = pd.DataFrame({"pid": [4], "camid": [1], "first_frame": [1], "num_frames": [2]})
        >>> one = identify({"train": table}, pd.Series(["x.jpg", "a/1.jpg", "a/2.jpg"]))
        >>> table = table.assign(first_frame=0)
        >>> other = identify({"train": table}, pd.Series(["a/1.jpg", "a/2.jpg"]))
        >>> one == other, one["train"]["tracklets"], one["train"]["frames"]
        (True, 1, 2)
    """
    return {name: _identify(table, frames.to_numpy()) for name, table in tables.items()}


def difference(there: Identity, here: Identity) -> str | None:
    """In what two identities differ first, in words; tables that are in one alone do not count.

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
            return f"{table}: {count:,} {what} there, {here[table][what]:,} here"
    return None


def _identify(table: pd.DataFrame, frames: np.ndarray) -> dict[str, Any]:
    lengths = table["num_frames"].to_numpy()
    ends = lengths.cumsum()
    starts = np.repeat(table["first_frame"].to_numpy() - ends + lengths, lengths)
    names = frames[starts + np.arange(len(starts))]
    labels = (table.index, table["pid"], table["camid"], lengths)
    digest = hashlib.sha256()
    for values in (*(map(str, label) for label in labels), names.tolist()):
        digest.update("\n".join(values).encode("utf-8", "surrogateescape") + b"\n\n")
    return {
        "tracklets": len(table),
        "people": int(table["pid"].nunique()),
        "frames": len(names),
        "sha256": digest.hexdigest(),
    }
