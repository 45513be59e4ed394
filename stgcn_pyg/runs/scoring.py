"""What embeddings score: who is searched for among whom, and by which protocols."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import (
    BootstrapResult,
    RankingResult,
    Reranking,
    bootstrap,
    chance_for_protocol,
    evaluate_protocol,
    protocol,
    select_gallery,
)
from stgcn_pyg.evaluation.distances import Array


@dataclass(frozen=True, eq=False)
class RankingTask:
    """Who is searched for among whom, and by which protocols that may be scored.

    Attributes:
        title: What it is and where, as messages name it.
        protocols: Names of protocols, the usual one first.
        query_pids, gallery_pids: Identities, integers ``[Q]`` and ``[G]``.
        query_camids, gallery_camids: Cameras, integers ``[Q]`` and ``[G]``.
        gallery_is_query: ``[G]`` booleans: which gallery items are queries as well; None where
            that is not known.
        query_tracklets: The number of each query's tracklet, ``[Q]``.
    """

    title: str
    protocols: tuple[str, ...]
    query_pids: np.ndarray
    gallery_pids: np.ndarray
    query_camids: np.ndarray
    gallery_camids: np.ndarray
    gallery_is_query: np.ndarray | None
    query_tracklets: np.ndarray

    def labels(self) -> dict[str, Any]:
        """The arrays by the names that ``stgcn_pyg.evaluation`` gives them."""
        names = ("query_pids", "gallery_pids", "query_camids", "gallery_camids", "gallery_is_query")
        return {name: getattr(self, name) for name in names}

    def count_matches(self, name: str) -> np.ndarray:
        """How many gallery items show each query's identity in another camera, ``[Q]``.

        Args:
            name: Name of the protocol, which selects the gallery.
        """
        keep = select_gallery(protocol(name), self.gallery_pids, self.gallery_is_query)
        gallery = pd.DataFrame({"pid": self.gallery_pids, "camid": self.gallery_camids})[keep]
        query = pd.DataFrame({"pid": self.query_pids, "camid": self.query_camids})
        same_pid = gallery.value_counts("pid").reindex(query["pid"], fill_value=0)
        same_camera = gallery.value_counts().reindex(pd.MultiIndex.from_frame(query), fill_value=0)
        return same_pid.to_numpy() - same_camera.to_numpy()


class Source(Protocol):
    """Where features to evaluate come from: a trained model, an extraction, or anyone's arrays."""

    method: str
    """What made the features, as tables name their row."""

    @property
    def task(self) -> RankingTask:
        """Queries and gallery that the features are of."""

    @property
    def about(self) -> dict[str, Any]:
        """What the features are of, as :mod:`stgcn_pyg.runs.about` says; ask after ``features``."""

    def features(self) -> tuple[Array, Array]:
        """Features of the queries ``[Q, D]`` and the gallery ``[G, D]``, in the task's order."""


def task_of_tracklets(
    title: str, protocols: tuple[str, ...], tracklets: pd.DataFrame
) -> RankingTask:
    """The task that a table of tracklets holds.

    Args:
        title: As in :class:`RankingTask`.
        protocols: Those that may be used. One under which no query has a match is left out, such
            as ``query-free`` where all tracklets are queries.
        tracklets: A row a tracklet: ``pid``, ``camid``, ``is_query``, ``is_gallery``; the index is
            its number.

    Raises:
        UserError: No query has a match.

    Example:
        >>> table = pd.DataFrame({"pid": [7, 7, 0], "camid": [1, 2, 2]})
        >>> table = table.assign(is_query=[True, False, False], is_gallery=True)
        >>> task = task_of_tracklets("three", ("full-gallery",), table)
        >>> task.count_matches("full-gallery")
        array([1])
    """
    query, gallery = tracklets[tracklets["is_query"]], tracklets[tracklets["is_gallery"]]
    task = RankingTask(
        title,
        protocols,
        # Copies, for pandas' own arrays are read-only, which PyTorch warns of.
        query_pids=query["pid"].to_numpy(copy=True),
        gallery_pids=gallery["pid"].to_numpy(copy=True),
        query_camids=query["camid"].to_numpy(copy=True),
        gallery_camids=gallery["camid"].to_numpy(copy=True),
        gallery_is_query=gallery["is_query"].to_numpy(copy=True),
        query_tracklets=query.index.to_numpy(),
    )
    matched = tuple(name for name in protocols if task.count_matches(name).any())
    if not matched:
        raise UserError(f"{title}: no query has a match in another camera")
    return replace(task, protocols=matched)


def score_features(
    task: RankingTask,
    query_features: Array,
    gallery_features: Array,
    max_rank: int = 50,
    reranking: Reranking | None = None,
) -> dict[str, RankingResult]:
    """CMC and mAP by the name of each of the task's protocols.

    Args:
        task: The labels.
        query_features: ``[Q, D]``.
        gallery_features: ``[G, D]``.
        max_rank: The length of the CMC.
        reranking: Re-rank by shared neighbours, with these parameters.

    Raises:
        UserError: No query has a match, or features and labels do not fit; it is
            ``evaluate_protocol``'s own line.
    """
    return _by_protocol(
        task,
        lambda name: evaluate_protocol(
            protocol(name),
            query_features,
            gallery_features,
            **task.labels(),
            max_rank=max_rank,
            reranking=reranking,
        ),
    )


def score_chance(task: RankingTask, max_rank: int = 50) -> dict[str, RankingResult]:
    """What a random ranking scores, by the name of each of the task's protocols.

    Raises:
        UserError: No query has a match, or the labels do not fit each other.
    """
    return _by_protocol(
        task,
        lambda name: chance_for_protocol(protocol(name), **task.labels(), max_rank=max_rank),
    )


def score_intervals(
    task: RankingTask,
    results: Mapping[str, RankingResult],
    ranks: Sequence[int],
    resamples: int = 10_000,
) -> dict[str, BootstrapResult]:
    """95 % intervals over the test people, by the name of each protocol.

    A protocol under which fewer than two people have a match has none.

    Args:
        task: What was scored.
        results: By the name of the protocol.
        ranks: The k of rank-k.
        resamples: How many to draw.
    """
    intervals = {}
    for name, result in results.items():
        valid = np.isfinite(result.average_precision)
        if len(np.unique(task.query_pids[valid])) > 1:
            intervals[name] = bootstrap(result, task.query_pids, ranks, resamples)
    return intervals


def _by_protocol(
    task: RankingTask, evaluate: Callable[[str], RankingResult]
) -> dict[str, RankingResult]:
    try:
        with warnings.catch_warnings():
            # Every result holds how many queries have no match, and every table says so.
            warnings.filterwarnings("ignore", message=".* queries have no match")
            return {name: evaluate(name) for name in task.protocols}
    except ValueError as error:
        raise UserError(f"{task.title}: {error}") from error
