"""What is given to a gallery that lies in a database, checked and in the form that it is kept."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg import JUNK
from stgcn_pyg.errors import UserError
from stgcn_pyg.search.engine import Filter, Queries

MODEL = ("width", "checkpoint_sha256", "embedding", "num_frames", "test_clips")
KEY = ["dataset", "tracklet"]  # by which a tracklet is known
INTEGERS = ("tracklet", "pid", "camid", "num_frames")
TIMES = ("first_time", "last_time")
COLUMNS = ["dataset", *INTEGERS, "first_frame_path", *TIMES]


def checked_rows(
    place: str, width: int, embeddings: np.ndarray, tracklets: pd.DataFrame
) -> tuple[np.ndarray, pd.DataFrame]:
    """Embeddings to add and the columns of their tracklets, in the types that galleries keep.

    Raises:
        UserError: Another width, another number of tracklets, numbers that are not finite, or one
            tracklet twice.
    """
    embeddings = _checked(place, width, embeddings, "embeddings to add")
    if len(embeddings) != len(tracklets):
        raise UserError(
            f"{place}: {len(embeddings)} embeddings of {len(tracklets)} tracklets: give one of each"
        )
    types = dict.fromkeys(INTEGERS, "int64") | dict.fromkeys(TIMES, "float64")
    rows = tracklets[COLUMNS].astype(types).reset_index(drop=True)
    twice = rows.duplicated(KEY)
    if twice.any():
        dataset, number = rows.loc[twice.idxmax(), KEY]
        raise UserError(f"{place}: tracklet {number} of {dataset} is given twice: give it once")
    return embeddings, rows


def checked_queries(place: str, width: int, queries: Queries, where: Filter) -> Queries:
    """Queries of the gallery's width, with the labels that the filter asks for.

    Raises:
        UserError: Another width, numbers that are not finite, or labels that are missing.
    """
    needed = {None: (), "all": ("camids",), "person": ("pids", "camids")}[where.same_camera]
    missing = [name for name in needed if getattr(queries, name) is None]
    if missing:
        raise UserError(
            f"{place}: same_camera={where.same_camera!r} needs the {' and '.join(missing)} of the "
            "queries: give them"
        )
    return queries._replace(embeddings=_checked(place, width, queries.embeddings, "queries"))


def own_labels(where: Filter, queries: Queries, row: int) -> dict[str, int]:
    """The labels of tracklets that are left out for a query; empty if none are.

    Tracklets without an identity (pid -1) are of no query's identity.
    """
    if where.same_camera is None or queries.camids is None:
        return {}
    camera = {"camid": int(queries.camids[row])}
    if where.same_camera == "all" or queries.pids is None:
        return camera
    pid = int(queries.pids[row])
    return {} if pid == JUNK else {"pid": pid, **camera}


def _checked(place: str, width: int, embeddings: np.ndarray, what: str) -> np.ndarray:
    embeddings = np.ascontiguousarray(embeddings, dtype=np.float32)
    if embeddings.ndim != 2 or embeddings.shape[1] != width:
        raise UserError(
            f"{place}: {what} have the shape {list(embeddings.shape)}, its embeddings the width "
            f"{width}: give those of the same checkpoint"
        )
    bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(bad):
        raise UserError(f"{place}: {what} are not finite in row {bad[0]}: extract them again")
    return embeddings


def require_same_model(
    place: str, here: Mapping[str, Any], source: str, there: Mapping[str, Any]
) -> None:
    """Raises a UserError if embeddings are of another model than a gallery's.

    Args:
        place: The gallery.
        here: What is known of its model; what is None or missing is not compared.
        source: Where the embeddings come from.
        there: What is known of theirs.
    """
    for name in MODEL:
        one, other = here.get(name), there.get(name)
        if one != other and None not in (one, other):
            raise UserError(
                f"{source}: of another model than {place} ({name} is {other} there, {one} here): "
                "extract by the gallery's checkpoint and options, or name another gallery"
            )
