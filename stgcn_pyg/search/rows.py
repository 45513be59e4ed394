"""What is given to a gallery, checked and in the form that a database keeps it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from stgcn_pyg import JUNK
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation.arrays import Array
from stgcn_pyg.search.engine import Filter, Queries
from stgcn_pyg.search.exact import require_usable
from stgcn_pyg.search.filters import as_float32, check_queries
from stgcn_pyg.search.segments import COLUMNS, as_table

KEY = ["dataset", "tracklet"]  # by which a tracklet is known
TIMES = ["first_time", "last_time"]
WHOLE = ["tracklet", "pid", "camid", "num_frames"]
TYPES = dict.fromkeys(WHOLE, "int64") | dict.fromkeys(TIMES, "float64")


def checked_rows(
    place: str, width: int, embeddings: Array, tracklets: pd.DataFrame
) -> tuple[np.ndarray, pd.DataFrame]:
    """Embeddings to add and the columns of their tracklets, in the types that galleries keep.

    Raises:
        UserError: Another width, another number of tracklets, a column that is missing, a label of
            another type, or one tracklet twice.
    """
    embeddings = as_float32(f"{place}: embeddings", embeddings)
    if embeddings.shape != (len(tracklets), width):
        raise UserError(
            f"{place}: embeddings of shape {list(embeddings.shape)}: those of {len(tracklets)} "
            f"tracklets must be [{len(tracklets)}, {width}] here"
        )
    for name in COLUMNS:
        if (count := list(tracklets.columns).count(name)) != 1:
            raise UserError(f"{place}: the tracklets have {count} columns {name}: give one")
        kind = pd.api.types.infer_dtype(tracklets[name].astype(object), skipna=True)
        if name in WHOLE and kind not in ("integer", "floating", "mixed-integer-float", "empty"):
            raise UserError(f"{place}: {name} of the tracklets is no whole number: number them")
        if name == "dataset" and kind not in ("string", "empty"):
            raise UserError(f"{place}: dataset of the tracklets is no text: give them a name")
    rows = as_table(tracklets[COLUMNS].assign(id=0)).to_pandas()[COLUMNS].astype({"dataset": str})
    twice = rows.duplicated(KEY)
    if twice.any():
        raise UserError(f"{place}: {twice_given(*rows.loc[twice.idxmax(), KEY])}")
    return embeddings, rows


def plain_sources(sources: Mapping[str, Mapping[str, Any]] | None) -> dict[str, Any]:
    """Where the frames of data sets are, with paths as text and NumPy's numbers as Python's.

    Example:
        >>> plain_sources({"mars": {"root": Path("data/mars"), "split": np.int64(0)}})
        {'mars': {'root': 'data/mars', 'split': 0}}
    """

    def plain(value: Any) -> Any:
        if isinstance(value, np.generic):
            return value.item()
        return str(value) if isinstance(value, Path) else value

    return {
        dataset: {name: plain(value) for name, value in facts.items()}
        for dataset, facts in (sources or {}).items()
    }


def twice_given(dataset: str, number: int) -> str:
    """What is wrong where a tracklet is to be added twice."""
    return (
        f"tracklet {number} of {dataset} is given twice: give the tracklets of a data set "
        "different numbers, or data sets different names"
    )


def checked_queries(place: str, width: int, queries: Queries, where: Filter) -> Queries:
    """Queries of the gallery's width, with the labels that the filter needs.

    Raises:
        UserError: Another width, numbers that are not finite, or labels that are missing.
    """
    checked = check_queries(queries, width, where)
    require_usable(f"queries to {place}", checked.embeddings)
    return checked


def checked_ids(ids: ArrayLike) -> np.ndarray:
    """Ids as an array ``[N]`` of int64.

    Raises:
        UserError: They are something else, such as a mask or a single number.

    Example:
        >>> checked_ids([4, 7])
        array([4, 7])
    """
    given = np.asarray(ids)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise UserError(
            f"ids: of type {given.dtype} and shape {list(given.shape)}: pass a list of whole "
            "numbers, such as the index of tracklets()"
        )
    return given.astype(np.int64)


def own_labels(where: Filter, queries: Queries, row: int) -> dict[str, int]:
    """The labels of tracklets that are left out for a query; empty if none are.

    Tracklets without an identity (pid -1) are of no query's identity.

    Example:
        >>> queries = Queries(np.zeros((2, 8)), pids=np.array([4, -1]), camids=np.array([1, 1]))
        >>> own_labels(Filter(same_camera="person"), queries, 0)
        {'pid': 4, 'camid': 1}
        >>> own_labels(Filter(same_camera="person"), queries, 1)
        {}
    """
    if where.same_camera is None:
        return {}
    assert queries.camids is not None
    camera = {"camid": int(queries.camids[row])}
    if where.same_camera == "all":
        return camera
    assert queries.pids is not None
    pid = int(queries.pids[row])
    return {} if pid == JUNK else {"pid": pid, **camera}
