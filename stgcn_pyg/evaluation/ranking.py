"""CMC and mAP, exact, from distances or from features."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from stgcn_pyg.evaluation.distances import Metric, pairwise_distances, to_double
from stgcn_pyg.evaluation.labels import Array, Labels, check_labels, to_numpy
from stgcn_pyg.evaluation.result import (
    AveragePrecision,
    RankingResult,
    SameCamera,
    check_any_match,
    check_options,
    warn_of_unmatched,
)


def evaluate_ranking(
    distances: Array,
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    ap: AveragePrecision = "step",
    max_rank: int = 50,
    same_camera: SameCamera = "person",
    depth: int | None = None,
) -> RankingResult:
    r"""CMC and mAP of a matrix of distances.

    Every query ranks the gallery by distance. Left out of its list are junk (pid -1) and, with
    ``same_camera="person"``, items of the same person in the same camera, or, with
    ``same_camera="all"``, every item of the query's own camera. What remains and shows the
    query's person is a match. With :math:`r_k` the rank of the k-th of M matches,

    .. math::
        \text{AP}_\text{step} = \frac{1}{M} \sum_k \frac{k}{r_k}, \qquad
        \text{AP}_\text{trapezoid} = \frac{1}{M} \sum_k \frac{1}{2}
            \left( \frac{k - 1}{r_k - 1} + \frac{k}{r_k} \right),

    the precision before rank 1 being 1. At equal distance a match ranks *after* what is not a
    match, so a constant embedding gets the worst score and the order of the gallery never counts.

    Args:
        distances: ``[Q, G]``, smaller is more alike.
        query_pids: people of the queries ``[Q]``, integers.
        gallery_pids: people of the gallery ``[G]``; -1 is junk. No other label is special:
            MARS's distractors (pid 0) are non-matches because no query shows them.
        query_camids: cameras of the queries ``[Q]``, integers.
        gallery_camids: cameras of the gallery ``[G]``.
        ap: ``"step"`` (most code) or ``"trapezoid"`` (MARS's official MATLAB code).
        max_rank: length of the CMC; beyond the end of a small gallery it stays constant.
        same_camera: ``"person"`` (as on MARS) or ``"all"`` (the cross-camera protocol).
        depth: cut every list after so many places, *before* anything is left out of it. A match
            that is cut off adds nothing to the AP, which still divides by all M, nor to the CMC.

    Raises:
        ValueError: shapes or lengths that disagree, labels that are not integers, distances that
            are not finite, an unknown option, or no query with a match.

    Warns:
        UserWarning: some queries have no match; mAP and CMC are means over the others.

    Source: Zheng et al., MARS, ECCV 2016, and the code in github.com/liangzheng06/MARS-evaluation.

    Example:
        >>> result = evaluate_ranking([[0.1, 0.2, 0.3]], [7], [7, 5, 7], [1], [2, 2, 3])
        >>> round(result.mAP, 4), result.rank(1)  # matches at ranks 1 and 3: (1/1 + 2/3) / 2
        (0.8333, 1.0)
    """
    matrix = to_numpy(distances)
    if matrix.ndim != 2:
        raise ValueError(f"distances must be [Q, G], got {list(matrix.shape)}")
    labels = check_labels(query_pids, gallery_pids, query_camids, gallery_camids, *matrix.shape)
    bad = [row for row, distance in enumerate(matrix) if not np.isfinite(distance).all()]
    _check_finite("distances", bad)
    result = rank_rows(matrix, labels, ap, max_rank, same_camera, depth)
    warn_of_unmatched(result)
    return result


def evaluate_features(
    query_features: Array,
    gallery_features: Array,
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    metric: Metric = "euclidean",
    ap: AveragePrecision = "step",
    max_rank: int = 50,
    same_camera: SameCamera = "person",
    depth: int | None = None,
    block_size: int = 256,
    device: torch.device | str | None = None,
) -> RankingResult:
    """CMC and mAP of features; the same as :func:`evaluate_ranking` on their distances.

    Distances are computed for ``block_size`` queries at a time and never held whole. The block
    size changes the memory, not the result.

    Args:
        query_features: ``[Q, D]``.
        gallery_features: ``[G, D]``.
        query_pids, gallery_pids, query_camids, gallery_camids: as in :func:`evaluate_ranking`.
        metric: ``"euclidean"`` or ``"cosine"``, as in :func:`pairwise_distances`.
        ap, max_rank, same_camera, depth: as in :func:`evaluate_ranking`.
        block_size: queries at a time.
        device: where distances are computed, in float64; None: where ``query_features`` are.

    Raises:
        ValueError: as :func:`evaluate_ranking`, and for features that are not finite.

    Warns:
        UserWarning: some queries have no match; mAP and CMC are means over the others.

    Example:
        >>> queries, gallery = [[0.0, 1.0]], [[0.0, 0.9], [1.0, 0.0]]
        >>> evaluate_features(queries, gallery, [7], [7, 5], [1], [2, 2]).mAP
        1.0
    """
    queries = to_double(query_features, device)
    gallery = to_double(gallery_features, queries.device)
    labels = check_labels(
        query_pids, gallery_pids, query_camids, gallery_camids, len(queries), len(gallery)
    )
    rows = distance_rows(queries, gallery, metric, block_size)
    result = rank_rows(rows, labels, ap, max_rank, same_camera, depth)
    warn_of_unmatched(result)
    return result


def distance_rows(
    queries: torch.Tensor, gallery: torch.Tensor, metric: Metric, block_size: int
) -> Iterator[np.ndarray]:
    """Each query's distances ``[G]`` in turn, computed ``block_size`` queries at a time."""
    if block_size < 1:
        raise ValueError(f"block_size={block_size}: give at least 1")
    for name, features in (("query_features", queries), ("gallery_features", gallery)):
        # The length, because it may overflow where the values do not.
        lengths = torch.linalg.vector_norm(features, dim=-1)
        _check_finite(name, (~lengths.isfinite()).nonzero().flatten().tolist())
    for block in queries.split(block_size):
        yield from to_numpy(pairwise_distances(block, gallery, metric))


def rank_rows(
    rows: Iterable[np.ndarray],
    labels: Labels,
    ap: AveragePrecision,
    max_rank: int,
    same_camera: SameCamera,
    depth: int | None,
) -> RankingResult:
    """CMC and mAP from one row of distances ``[G]`` a query."""
    check_options(ap, same_camera, max_rank, depth)
    num_queries, num_gallery = len(labels.query_pids), len(labels.gallery_pids)
    average_precision = np.full(num_queries, np.nan)
    first_match_rank = np.full(num_queries, np.nan)
    for query, distances in enumerate(rows):
        matches, left_out = labels.masks(query, same_camera)
        if not matches.any():
            continue
        ranks = match_ranks(distances, matches, ~(matches | left_out))
        precision = precision_at(ranks, ap)
        seen = np.ones(len(ranks), dtype=bool)
        if depth is not None:
            seen = match_ranks(distances, matches, ~matches) <= depth
        average_precision[query] = precision[seen].sum() / len(ranks)
        first_match_rank[query] = ranks[0] if seen[0] else np.inf
    check_any_match(average_precision, num_gallery)
    valid = first_match_rank[~np.isnan(first_match_rank)]
    cmc = (valid[:, None] <= np.arange(1, max_rank + 1)).mean(axis=0)
    return RankingResult(
        average_precision, first_match_rank, cmc, num_gallery, ap, same_camera, depth
    )


def match_ranks(distances: np.ndarray, matches: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The 1-based ranks of the matches among matches and others, ascending: ``[M]``."""
    match_distances = np.sort(distances[matches])
    other_distances = np.sort(distances[others])
    # side="right": an item at the same distance as a match stands before it.
    ahead = np.searchsorted(other_distances, match_distances, side="right")
    return ahead + np.arange(1, len(match_distances) + 1)


def precision_at(ranks: np.ndarray, ap: AveragePrecision) -> np.ndarray:
    """Each match's term of the average precision, from the ranks of all M: ``[M]``."""
    found = np.arange(1, len(ranks) + 1)
    at = found / ranks
    if ap == "step":
        return at
    before = np.where(ranks == 1, 1.0, (found - 1) / np.maximum(ranks - 1, 1))
    return (before + at) / 2


def _check_finite(name: str, bad: list[int]) -> None:
    if bad:
        raise ValueError(
            f"{name}: {len(bad)} rows are not finite, first at {bad[:5]}; "
            "look for NaN or overflow in the model's output"
        )
