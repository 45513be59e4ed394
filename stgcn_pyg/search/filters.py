"""Which tracklets a filter passes, for all queries and for each."""

import numpy as np
import pandas as pd

from stgcn_pyg import JUNK
from stgcn_pyg.errors import UserError, require_known
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
    embeddings = np.asarray(queries.embeddings, dtype=np.float32)
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
        values = getattr(queries, name)
        if values is None or np.shape(values) != (len(embeddings),):
            raise UserError(f"same_camera={where.same_camera!r}: pass {name} of all queries")
        labels[name] = np.asarray(values)
    return Queries(embeddings, **labels)


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
