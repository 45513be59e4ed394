"""Which tracklets a filter passes, for all queries and for each."""

import numpy as np
import pandas as pd

from stgcn_pyg import JUNK
from stgcn_pyg.errors import UserError, require_known
from stgcn_pyg.evaluation.arrays import Array, to_numpy
from stgcn_pyg.evaluation.result import SameCamera
from stgcn_pyg.search.engine import Filter, Queries


def passing(tracklets: pd.DataFrame, where: Filter) -> np.ndarray:
    """The tracklets that a filter passes, whatever the query: a boolean ``[n]``.

    Example:
        >>> tracklets = pd.DataFrame({"camid": [1, 2, 2], "last_time": [5.0, 8.0, np.nan]})
        >>> passing(tracklets, Filter(camids=[2])).tolist()
        [False, True, True]
        >>> passing(tracklets, Filter(after=5)).tolist()
        [True, True, False]
    """
    mask = np.ones(len(tracklets), dtype=bool)
    for column, values in (
        ("camid", where.camids),
        ("pid", where.pids),
        ("dataset", where.datasets),
    ):
        if values is not None:
            mask &= tracklets[column].isin(list(values)).to_numpy()
    if where.after is not None:  # a comparison with NaN is false
        mask &= (tracklets["last_time"] >= where.after).to_numpy()
    if where.before is not None:
        mask &= (tracklets["first_time"] <= where.before).to_numpy()
    return mask


def check_queries(queries: Queries, width: int, where: Filter) -> Queries:
    """The queries as arrays that fit a gallery of this width and a filter.

    Raises:
        UserError: They have another shape or width, or lack labels that the filter needs.
    """
    embeddings = as_float32("queries", queries.embeddings)
    if embeddings.ndim != 2 or embeddings.shape[1] != width:
        raise UserError(
            f"queries: embeddings of shape {list(embeddings.shape)}; the gallery's have the width "
            f"{width}: pass [queries, {width}] of the same model"
        )
    needed = {None: (), "person": ("pids", "camids"), "all": ("camids",)}
    if where.same_camera is not None:
        require_known(same_camera=(where.same_camera, SameCamera))
    labels = {}
    for name in needed[where.same_camera]:
        values = to_numpy(getattr(queries, name))
        if values.shape != (len(embeddings),):
            raise UserError(f"same_camera={where.same_camera!r}: pass {name} of all queries")
        if values.dtype.kind not in "iuf" or (values % 1 != 0).any():  # not NaN either
            raise UserError(f"{name} of the queries: pass whole numbers, as the gallery has")
        labels[name] = values.astype(np.int64)
    return Queries(embeddings, **labels)


def as_float32(name: str, embeddings: Array) -> np.ndarray:
    """Embeddings as an array of float32; raises a UserError where they are no real numbers."""
    array = to_numpy(embeddings)
    if array.dtype.kind not in "fiu":
        raise UserError(f"{name}: of type {array.dtype}: pass real numbers")
    return np.ascontiguousarray(array, dtype=np.float32)


def left_out(queries: Queries, tracklets: pd.DataFrame, where: Filter) -> np.ndarray | None:
    """The tracklets that a filter leaves out for each query: ``[Q, n]``, or None if there are none.

    Tracklets without an identity (pid -1) are of no query's identity.

    Example:
        >>> tracklets = pd.DataFrame({"pid": [4, 4, 7], "camid": [1, 2, 1]})
        >>> queries = Queries(np.zeros((1, 8)), pids=np.array([4]), camids=np.array([1]))
        >>> left_out(queries, tracklets, Filter(same_camera="person")).tolist()
        [[True, False, False]]
        >>> left_out(queries, tracklets, Filter(same_camera="all")).tolist()
        [[True, False, True]]
    """
    if where.same_camera is None:
        return None
    assert queries.camids is not None
    mask = tracklets["camid"].to_numpy() == queries.camids[:, None]
    if where.same_camera == "person":
        assert queries.pids is not None
        pids = tracklets["pid"].to_numpy()
        mask &= (pids == queries.pids[:, None]) & (pids != JUNK)
    return mask
