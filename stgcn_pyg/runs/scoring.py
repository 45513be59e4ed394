"""What embeddings score: queries and gallery, the protocols that rank them, and two baselines."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from stgcn_pyg.data.dataset import NO_LABELS
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import (
    BootstrapResult,
    OpenSetResult,
    RankingResult,
    Reranking,
    VerificationResult,
    bootstrap,
    chance_for_protocol,
    evaluate_protocol,
    identify_protocol,
    protocol,
    select_gallery,
    verify_protocol,
)
from stgcn_pyg.evaluation.arrays import Array


@dataclass(frozen=True, eq=False)
class RankingTask:
    """Queries and gallery, and the protocols under which they may be scored.

    Attributes:
        title: The name of the data in messages.
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
        """How many matches each query has in another camera under a protocol, ``[Q]``."""
        keep = select_gallery(protocol(name), self.gallery_pids, self.gallery_is_query)
        gallery = pd.DataFrame({"pid": self.gallery_pids, "camid": self.gallery_camids})[keep]
        query = pd.DataFrame({"pid": self.query_pids, "camid": self.query_camids})
        same_pid = gallery.value_counts("pid").reindex(query["pid"], fill_value=0)
        same_camera = gallery.value_counts().reindex(pd.MultiIndex.from_frame(query), fill_value=0)
        return same_pid.to_numpy() - same_camera.to_numpy()


class Source(Protocol):
    """Where features to evaluate come from: a trained model, an extraction, or anyone's arrays."""

    method: str
    """The name of the features' row in tables."""

    @property
    def task(self) -> RankingTask:
        """Queries and gallery that the features are of."""

    @property
    def about(self) -> dict[str, Any]:
        """What made the features, by the names of :mod:`.about`; read it after ``features()``."""

    def features(self) -> tuple[Array, Array]:
        """Features of the queries ``[Q, D]`` and the gallery ``[G, D]``, in the task's order."""


def task_of_tracklets(
    title: str, protocols: tuple[str, ...], tracklets: pd.DataFrame
) -> RankingTask:
    """The queries and the gallery of a table of tracklets.

    Args:
        title: The name of the data in messages.
        protocols: Names of protocols. One under which no query has a match is left out, such as
            ``query-free`` where all tracklets are queries.
        tracklets: A row a tracklet: ``pid``, ``camid``, ``is_query``, ``is_gallery``; the index is
            its number.

    Raises:
        UserError: No identity is known, or no query has a match.

    Example:
        >>> table = pd.DataFrame({"pid": [7, 7, 0], "camid": [1, 2, 2]})
        >>> table = table.assign(is_query=[True, False, False], is_gallery=True)
        >>> task = task_of_tracklets("three", ("full-gallery",), table)
        >>> task.count_matches("full-gallery")
        array([1])
    """
    if not protocols:
        raise UserError(f"{title}: {NO_LABELS}")
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
    """CMC and mAP of features ``[Q, D]`` and ``[G, D]``, by the name of each protocol.

    Raises:
        UserError: No query has a match, or features and labels do not fit; the message is
            ``evaluate_protocol``'s.
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
    """What a random ranking scores, by the name of each protocol.

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
    """95 % intervals over the test identities, by the name of each protocol.

    A protocol under which fewer than two identities have a match has none.
    """
    intervals = {}
    for name, result in results.items():
        valid = np.isfinite(result.average_precision)
        if len(np.unique(task.query_pids[valid])) > 1:
            intervals[name] = bootstrap(result, task.query_pids, ranks, resamples)
    return intervals


def score_verification(
    task: RankingTask,
    query_features: Array,
    gallery_features: Array,
    thresholds: Sequence[float] = (),
    resamples: int = 10_000,
) -> dict[str, tuple[VerificationResult, OpenSetResult]]:
    """Verification and the open set, by the name of each protocol.

    Protocols that compare the same pairs share their results.

    Raises:
        UserError: There are no such pairs, or features and labels do not fit.
    """
    found: dict[tuple[str, bool], tuple[VerificationResult, OpenSetResult]] = {}
    features = query_features, gallery_features
    given = task.labels() | {"thresholds": thresholds, "resamples": resamples}
    results = {}
    for name in task.protocols:
        rule = protocol(name)
        pairs = rule.same_camera, rule.keep_queries
        try:
            if pairs not in found:
                found[pairs] = (
                    verify_protocol(rule, *features, **given),
                    identify_protocol(rule, *features, **given),
                )
        except ValueError as error:
            raise UserError(f"{task.title}: {name}: {error}") from error
        verification, open_set = found[pairs]
        results[name] = replace(verification, protocol=name), replace(open_set, protocol=name)
    return results


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


def colour_stripes(clips: Tensor, num_stripes: int = 8, bins: int = 16) -> Tensor:
    """Histograms of hue, saturation and value in horizontal stripes, averaged over the frames.

    Args:
        clips: ``[B, T, 3, H, W]`` of uint8, RGB.
        num_stripes: The number of stripes from top to bottom.
        bins: The bins of each histogram; the last axis holds hue, saturation and value in turn.

    Returns:
        The square roots of the shares, ``[B, num_stripes * 3 * bins]``: their Euclidean distance
        is the Hellinger distance of the histograms, but for a factor.

    Example:
        >>> colour_stripes(torch.zeros(2, 4, 3, 32, 16, dtype=torch.uint8)).shape
        torch.Size([2, 384])
    """
    frames = clips.flatten(0, 1).permute(0, 2, 3, 1).cpu().numpy()  # [B * T, H, W, 3]
    histograms = np.stack([_histograms(frame, num_stripes, bins) for frame in frames])
    shares = torch.from_numpy(histograms).unflatten(0, clips.shape[:2]).mean(dim=1)
    return shares.flatten(1).sqrt()


def _histograms(frame: np.ndarray, num_stripes: int, bins: int) -> np.ndarray:
    """Shares ``[stripes, 3, bins]`` of an RGB image ``[H, W, 3]``."""
    hsv = np.asarray(Image.fromarray(frame).convert("HSV")).astype(np.int64) * bins // 256
    stripe = np.arange(len(hsv))[:, None, None] * num_stripes // len(hsv)
    cell = (stripe * 3 + np.arange(3)) * bins + hsv
    counts = np.bincount(cell.ravel(), minlength=num_stripes * 3 * bins)
    counts = counts.reshape(num_stripes, 3, bins)
    return (counts / counts.sum(axis=2, keepdims=True)).astype(np.float32)
