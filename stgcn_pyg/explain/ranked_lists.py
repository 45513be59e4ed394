"""Ranked lists: which tracklets come first for a query, and which queries to look at."""

from typing import Literal

import numpy as np
import pandas as pd

from stgcn_pyg.evaluation import Protocol, select_gallery
from stgcn_pyg.evaluation.candidates import JUNK

Rule = Literal["worst", "best", "random", "change"]
KINDS = ("right", "wrong", "same-camera", "junk")  # what a gallery item is to a query
NO_IDENTITIES = Protocol("no identities", "Every other tracklet is ranked, and nothing is scored.")


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
    """The ranked list of one query: the gallery, the nearest first, down to a number of ranks.

    Items that the protocol excludes are listed where their distance puts them, without a rank. As
    in :func:`.evaluate_ranking`, of equal distances the match comes last.

    Args:
        protocol: The protocol that decides what is in the gallery and what is ranked.
        distances: Distances of the query to the whole gallery, ``[G]``.
        query_pid: Identity of the query.
        query_camid: Camera of the query.
        gallery_pids: Identities of the gallery, ``[G]``; -1 is junk.
        gallery_camids: Cameras of the gallery, ``[G]``.
        gallery_is_query: Which gallery items are queries, too; see :func:`.select_gallery`.
        top: Number of ranked items.

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
    order = np.lexsort((kind == 0, distances))
    order = order[select_gallery(protocol, gallery_pids, gallery_is_query)[order]]
    order = order[: protocol.depth]
    ranked = kind[order] < 2
    rank = ranked.cumsum()
    shown = rank - ranked < top
    places = pd.Series(rank, dtype="Int64").where(ranked)
    names = np.array(KINDS, dtype=object)[kind[order]]
    table = pd.DataFrame(
        {"item": order, "kind": names, "rank": places, "distance": distances[order]}
    )
    return table[shown]


def nearest_list(distances: np.ndarray, own: int, top: int = 10) -> pd.DataFrame:
    """The ranked list of a query where no identity is known: the nearest other tracklets.

    Args:
        distances: Distances of the query to the whole gallery, ``[G]``.
        own: The query's own row in the gallery, which is left out.
        top: Number of ranked items.

    Returns:
        The columns of :func:`ranked_list`, with the kind ``"unknown"``.

    Example:
        >>> nearest_list(np.array([0.0, 0.4, 0.1]), own=0)
           item     kind  rank  distance
        0     2  unknown     1       0.1
        1     1  unknown     2       0.4
    """
    order = np.argsort(distances, kind="stable")
    order = order[order != own][:top]
    rank = np.arange(1, len(order) + 1)
    return pd.DataFrame(
        {"item": order, "kind": "unknown", "rank": rank, "distance": distances[order]}
    )


def kinds(
    protocol: Protocol,
    query_pids: np.ndarray | int,
    query_camids: np.ndarray | int,
    gallery_pids: np.ndarray,
    gallery_camids: np.ndarray,
) -> np.ndarray:
    """What gallery items are to queries, as places in :data:`KINDS`; the last two are not ranked.

    Labels of one query give ``[G]`` of int8; those of several, ``[Q, 1]``, give ``[Q, G]``.
    """
    own_camera = gallery_camids == query_camids
    same_identity = gallery_pids == query_pids
    kind = np.where(same_identity, np.int8(0), np.int8(1))
    kind[own_camera & (same_identity | (protocol.same_camera == "all"))] = 2
    kind[..., gallery_pids == JUNK] = 3
    return kind


def choose_queries(
    average_precision: np.ndarray,
    rule: Rule,
    count: int,
    other: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Queries to look at, chosen by their scores; those without a match are skipped.

    Args:
        average_precision: Average precision of each query, ``[Q]``; NaN where it has no match.
        rule: ``"worst"``, ``"best"``, ``"random"``, or ``"change"``: where another model's average
            precision differs most.
        count: The largest number of queries. Of queries with equal scores the first are taken.
        other: The average precision of the other model, ``[Q]``, for ``"change"``.
        seed: Random seed of ``"random"``.

    Returns:
        Rows of queries, in the order of the rule; random ones ascend.

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
