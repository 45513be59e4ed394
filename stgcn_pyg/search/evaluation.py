"""What a search by codes and a reduction lose under the protocols."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from stgcn_pyg import JUNK
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import (
    ComparisonResult,
    RankingResult,
    compare,
    protocol,
    select_gallery,
)
from stgcn_pyg.evaluation.protocols import Protocol
from stgcn_pyg.evaluation.result import REPORTED_RANKS, Scoring
from stgcn_pyg.runs.extraction import StoredEmbeddings
from stgcn_pyg.runs.scoring import RankingTask, score_features
from stgcn_pyg.search.engine import ANY, Filter, Found, Queries
from stgcn_pyg.search.gallery import Gallery
from stgcn_pyg.search.reduction import Reduction


def score_gallery(
    gallery: Gallery,
    dataset: str,
    stored: StoredEmbeddings,
    task: RankingTask,
    ranks: Sequence[int],
    top: int = 100,
    max_rank: int = 50,
) -> tuple[dict[str, RankingResult], dict[str, dict[str, float]]]:
    """CMC and mAP of the lists that a search by codes gives, by the name of each protocol.

    Each query gets the ``top`` nearest of those that its protocol ranks. See :func:`score_lists`.

    Args:
        gallery: The gallery; the extraction's tracklets must be in it.
        dataset: Name that their data set has there.
        stored: The extraction, whose queries are looked for.
        task: Its queries and gallery.
        ranks: The k of the recalls.
        top: Length of the lists.
        max_rank: Length of the CMC.

    Returns:
        The scores; and the recall at each k, by ``recall-k``: of the k nearest by an exact search
        of the gallery, the share whose distances are in the list of the search by codes.

    Raises:
        UserError: The gallery is of another model, or lacks a tracklet.
    """
    gallery.require_same_model(str(stored.folder), stored.description)
    items = stored.tracklets[stored.tracklets["is_gallery"]]
    ids = _ids(gallery, dataset, items, str(stored.folder))
    queries = Queries(stored.features()[0], task.query_pids, task.query_camids)
    scores, recalls = {}, {}
    for name in task.protocols:
        chosen = protocol(name)
        listed = select_gallery(chosen, task.gallery_pids, task.gallery_is_query)
        # Where a protocol cuts its lists, what it leaves out takes places in them.
        where = Filter(same_camera=chosen.same_camera) if chosen.depth is None else ANY
        count = min(top, chosen.depth or top, int(listed.sum()))
        among = ids[listed & ((task.gallery_pids != JUNK) | (chosen.depth is not None))]
        found, exact = (
            gallery.search(queries, count, where, exact=how, among=among) for how in (False, True)
        )
        scores[name] = score_lists(found, ids, task, chosen, max_rank)
        recalls[name] = recall(found, exact, ranks)
    return scores, recalls


def recall(found: Found, exact: Found, ranks: Sequence[int]) -> dict[str, float]:
    """The share of the k nearest that was found, by ``recall-k`` for each k of ``ranks``.

    Tracklets at equal distances count as the same, so that it does not matter which of those at the
    k-th place was found. A k above the length of the lists is left out.

    Example:
        >>> ids, near = np.array([[4, 7]]), np.float32([[0.1, 0.3]])
        >>> recall(Found(ids, np.float32([[0.1, 0.4]])), Found(ids, near), ranks=[1, 2])
        {'recall-1': 1.0, 'recall-2': 0.5}
    """
    recalls = {}
    for k in ranks:
        if k <= exact.distances.shape[1]:
            there = exact.ids[:, :k] >= 0
            farthest = np.where(there, exact.distances[:, :k], -np.inf).max(axis=1, initial=-np.inf)
            hits = (found.distances[:, :k] <= farthest[:, None]) & (found.ids[:, :k] >= 0)
            recalls[f"recall-{k}"] = float(hits.sum() / max(1, there.sum()))
    return recalls


def score_lists(
    found: Found, ids: np.ndarray, task: RankingTask, protocol: Protocol, max_rank: int = 50
) -> RankingResult:
    """CMC and mAP of lists that end somewhere.

    As :func:`.evaluate_ranking`, with matches at equal distance last, but a match that is not in
    the list counts as never found: it adds nothing to the average precision, which is still divided
    by the number of all matches, nor to the CMC.

    Args:
        found: The list of each query, ``[Q, k]``.
        ids: The ids of the task's gallery items, ``[G]``.
        task: Queries and gallery.
        protocol: The protocol.
        max_rank: Length of the CMC.
    """
    order = np.argsort(ids)
    place = order[np.searchsorted(ids, found.ids, sorter=order).clip(max=len(ids) - 1)]
    pids, camids = task.gallery_pids[place], task.gallery_camids[place]
    same_camera = camids == task.query_camids[:, None]
    same = pids == task.query_pids[:, None]
    ignored = (found.ids < 0) | (pids == JUNK)
    ignored |= same_camera & (same if protocol.same_camera == "person" else True)
    matches = task.count_matches(protocol.name)
    scores = np.full((3, len(matches)), np.nan)
    for query in np.flatnonzero(matches):
        keep = ~ignored[query]
        distances, match = found.distances[query, keep], same[query, keep]
        match = match[np.lexsort((match, distances))]
        rank = np.flatnonzero(match) + 1
        number = np.arange(1, len(rank) + 1)
        precision = number / rank
        if protocol.ap == "trapezoid":
            before = np.where(rank == 1, 1.0, (number - 1) / np.maximum(rank - 1, 1))
            precision = (before + precision) / 2
        whole = len(rank) == matches[query]
        scores[:, query] = (
            precision.sum() / matches[query],
            rank[0] if len(rank) else np.inf,
            len(rank) / rank[-1] if whole else 0,
        )
    listed = select_gallery(protocol, task.gallery_pids, task.gallery_is_query)
    scoring = Scoring(protocol.ap, max_rank, protocol.same_camera, protocol.depth, protocol.name)
    return scoring.result(scores, int(listed.sum()))


def loss_of_reduction(
    reduction: Reduction,
    task: RankingTask,
    query_features: np.ndarray,
    gallery_features: np.ndarray,
    resamples: int = 10_000,
) -> Mapping[str, ComparisonResult]:
    """What a reduction changes of mAP and rank-k, by the name of each protocol.

    The difference is that of the reduced embeddings less the whole ones on the same queries, with
    its interval over their identities (:func:`.compare`). A protocol under which fewer than two
    identities have a match has none.

    Args:
        reduction: The reduction.
        task: Queries and gallery.
        query_features, gallery_features: Their embeddings, ``[Q, D]`` and ``[G, D]``.
        resamples: As in :func:`.compare`.
    """
    whole = score_features(task, query_features, gallery_features)
    query, gallery = (
        reduction.apply(side).astype(np.float32) for side in (query_features, gallery_features)
    )
    reduced = score_features(task, query, gallery)
    found = {}
    for name, result in whole.items():
        valid = np.isfinite(result.average_precision)
        if len(np.unique(task.query_pids[valid])) > 1:
            found[name] = compare(result, reduced[name], task.query_pids, REPORTED_RANKS, resamples)
    return found


def _ids(gallery: Gallery, dataset: str, items: pd.DataFrame, source: str) -> np.ndarray:
    """The ids of an extraction's tracklets; raises a UserError if others have their numbers."""
    table = gallery.tracklets()
    table = table[table["dataset"] == dataset].reset_index().set_index("tracklet")
    for lacking in items.index.difference(table.index)[:1]:
        raise UserError(
            f"{gallery.folder}: lacks tracklet {dataset}:{lacking} of {source}: index it first"
        )
    there = table.loc[items.index]
    for name in ("pid", "camid", "num_frames", "first_frame_path"):
        for other in items.index[(there[name] != items[name]).to_numpy()][:1]:
            raise UserError(
                f"{gallery.folder}: tracklet {dataset}:{other} is another one than in {source} "
                f"({name} is {there[name][other]} there, {items[name][other]} here): index it by "
                "another --name, and pass that as --index-name"
            )
    return there["id"].to_numpy()
