"""Ranked lists to look at: who comes first for a query, and which queries to look at."""

from typing import Literal

import numpy as np
import pandas as pd

from stgcn_pyg.evaluation import Protocol, select_gallery
from stgcn_pyg.evaluation.labels import JUNK

Rule = Literal["worst", "best", "random", "change"]


def ranked_list(
    protocol: Protocol,
    distances: np.ndarray,
    query_pid: int,
    query_camid: int,
    gallery_pids: np.ndarray,
    gallery_camids: np.ndarray,
    gallery_is_query: np.ndarray | None = None,
    top: int = 10,
) -> pd.DataFrame:
    """The gallery as one query sees it, the nearest first, down to the k-th that is ranked.

    What the protocol leaves out of a list stands at its place, without a rank. As in
    :func:`.evaluate_ranking`, of equal distances the match comes last.

    Args:
        protocol: Says what is in the gallery and what is ranked.
        distances: Of the query to the whole gallery, ``[G]``.
        query_pid: The query's person.
        query_camid: Its camera.
        gallery_pids: People of the gallery, ``[G]``; -1 is junk.
        gallery_camids: Their cameras, ``[G]``.
        gallery_is_query: As in :func:`.select_gallery`.
        top: k.

    Returns:
        A row an item: ``item``, its row in the gallery; ``kind``: ``"right"``, ``"wrong"``,
        ``"same-camera"`` or ``"junk"``; ``rank`` from 1, missing where the item is not ranked; and
        ``distance``.

    Raises:
        ValueError: ``top`` is below 1, or the protocol needs ``gallery_is_query``.

    Example:
        >>> from stgcn_pyg.evaluation import MARS_OFFICIAL
        >>> ranked_list(MARS_OFFICIAL, np.array([0.3, 0.0, 0.2, 0.1]), 7, 1,
        ...             np.array([7, 7, 5, -1]), np.array([2, 1, 2, 3]))
           item         kind  rank  distance
        0     1  same-camera  <NA>       0.0
        1     3         junk  <NA>       0.1
        2     2        wrong     1       0.2
        3     0        right     2       0.3
    """
    if top < 1:
        raise ValueError(f"top={top}: a list needs one rank at least")
    kind = kinds(protocol, query_pid, query_camid, gallery_pids, gallery_camids)
    # At equal distance what is no match comes first.
    order = np.lexsort((kind == "right", distances))
    order = order[select_gallery(protocol, gallery_pids, gallery_is_query)[order]]
    order = order[: protocol.depth]
    ranked = np.isin(kind[order], ("right", "wrong"))
    rank = ranked.cumsum()
    shown = rank - ranked < top
    places = pd.Series(rank, dtype="Int64").where(ranked)
    table = pd.DataFrame(
        {"item": order, "kind": kind[order], "rank": places, "distance": distances[order]}
    )
    return table[shown]


def kinds(
    protocol: Protocol,
    query_pid: int,
    query_camid: int,
    gallery_pids: np.ndarray,
    gallery_camids: np.ndarray,
) -> np.ndarray:
    """What each of the gallery is to a query.

    The arguments are those of :func:`ranked_list`.

    Returns:
        ``"right"``, ``"wrong"``, ``"same-camera"`` or ``"junk"``, ``[G]`` of object. The last two
        are not ranked.

    Example:
        >>> from stgcn_pyg.evaluation import MARS_OFFICIAL
        >>> kinds(MARS_OFFICIAL, 7, 1, np.array([7, 7, 5, -1]), np.array([2, 1, 1, 3]))
        array(['right', 'same-camera', 'wrong', 'junk'], dtype=object)
    """
    own_camera = gallery_camids == query_camid
    same_person = gallery_pids == query_pid
    kind = np.where(same_person, "right", "wrong").astype(object)
    kind[own_camera & (same_person | (protocol.same_camera == "all"))] = "same-camera"
    kind[gallery_pids == JUNK] = "junk"
    return kind


def choose_queries(
    average_precision: np.ndarray,
    rule: Rule,
    count: int,
    other: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Queries to look at, by what they score; those without a match are passed over.

    Args:
        average_precision: ``[Q]``, NaN where a query has no match.
        rule: ``"worst"``, ``"best"``, ``"random"``, or ``"change"``: where another model's average
            precision differs most.
        count: How many at most. Of equal ones the first are taken.
        other: The average precision of the other model, ``[Q]``, for ``"change"``.
        seed: Of ``"random"``.

    Returns:
        Rows of queries, the most telling first; random ones ascend.

    Raises:
        ValueError: An unknown rule, or ``"change"`` without another model of the same queries.

    Example:
        >>> choose_queries(np.array([0.5, np.nan, 0.1, 1.0]), "worst", count=2)
        array([2, 0])
    """
    valid = np.flatnonzero(~np.isnan(average_precision))
    if rule == "random":
        rng = np.random.default_rng(seed)
        return np.sort(rng.choice(valid, min(count, len(valid)), replace=False))
    if rule == "change":
        if other is None or other.shape != average_precision.shape:
            raise ValueError('rule "change" needs the other model\'s score of the same queries')
        key = -np.abs(other - average_precision)
    elif rule in ("worst", "best"):
        key = average_precision if rule == "worst" else -average_precision
    else:
        raise ValueError(f"rule {rule!r} is unknown: give worst, best, random or change")
    return valid[np.argsort(key[valid], kind="stable")][:count]
