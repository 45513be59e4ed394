"""CMC and mAP, exact, from distances or from features."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from stgcn_pyg.evaluation.distances import Metric, check_features, to_tensor
from stgcn_pyg.evaluation.feature_distances import FeatureDistances, Features
from stgcn_pyg.evaluation.given_distances import GivenDistances
from stgcn_pyg.evaluation.labels import Array, Labels, check_labels, to_numpy
from stgcn_pyg.evaluation.query_scores import QueryScores, score_queries, summarise
from stgcn_pyg.evaluation.result import (
    AveragePrecision,
    RankingResult,
    SameCamera,
    check_finite,
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
    matrix = matrix if matrix.dtype.kind == "f" else matrix.astype(np.float64)
    result = rank_distances(matrix, labels, ap, max_rank, same_camera, depth)
    warn_of_unmatched(result)
    return result


def rank_distances(
    matrix: np.ndarray,
    labels: Labels,
    ap: AveragePrecision,
    max_rank: int,
    same_camera: SameCamera,
    depth: int | None,
) -> RankingResult:
    """:func:`evaluate_ranking` of an array of a float type and of labels that are checked."""
    check_options(ap, same_camera, max_rank, depth)
    parts = blocks(len(matrix), 64)
    finite = [np.isfinite(matrix[rows]).all(axis=1) for rows in parts]
    check_finite("distances", np.concatenate(finite))

    def score(rows: slice) -> QueryScores:
        some = labels.block(rows)
        return score_queries(GivenDistances(matrix[rows], some), some, ap, same_camera, depth)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # NumPy lets go of the interpreter
        scores = list(pool.map(score, parts))
    return summarise(scores, labels, ap, max_rank, same_camera, depth)


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
    block_size: int = 512,
    device: torch.device | str | None = None,
) -> RankingResult:
    """CMC and mAP of features; the same as :func:`evaluate_ranking` on their distances.

    Distances are computed for ``block_size`` queries and a part of the gallery at a time, so that
    memory grows with the matches of a query, but not with the gallery. What is compared is the
    float64 distance of
    :func:`pairwise_distances`, of which only the matches' and few others are computed: a float32
    product decides the rest within the bound of its error. The block size changes the memory and
    the time, not the result.

    Args:
        query_features: ``[Q, D]``.
        gallery_features: ``[G, D]``.
        query_pids, gallery_pids, query_camids, gallery_camids: as in :func:`evaluate_ranking`.
        metric: ``"euclidean"`` or ``"cosine"``, as in :func:`pairwise_distances`.
        ap, max_rank, same_camera, depth: as in :func:`evaluate_ranking`.
        block_size: queries at a time.
        device: where distances are computed; None: where ``query_features`` are.

    Raises:
        ValueError: as :func:`evaluate_ranking`, and for features that are not finite.

    Warns:
        UserWarning: some queries have no match; mAP and CMC are means over the others.

    Example:
        >>> queries, gallery = [[0.0, 1.0]], [[0.0, 0.9], [1.0, 0.0]]
        >>> evaluate_features(queries, gallery, [7], [7, 5], [1], [2, 2]).mAP
        1.0
    """
    queries = to_tensor(query_features, device)
    gallery = to_tensor(gallery_features, queries.device)
    labels = check_labels(
        query_pids, gallery_pids, query_camids, gallery_camids, len(queries), len(gallery)
    )
    result = rank_features(
        queries, gallery, labels, metric, ap, max_rank, same_camera, depth, block_size
    )
    warn_of_unmatched(result)
    return result


def rank_features(
    queries: torch.Tensor,
    gallery: torch.Tensor,
    labels: Labels,
    metric: Metric,
    ap: AveragePrecision,
    max_rank: int,
    same_camera: SameCamera,
    depth: int | None,
    block_size: int,
) -> RankingResult:
    """:func:`evaluate_features` of tensors and of labels that may take items out of the gallery."""
    check_options(ap, same_camera, max_rank, depth)
    check_features(queries, gallery, metric)
    if block_size < 1:
        raise ValueError(f"block_size={block_size}: give at least 1")
    of_queries, of_gallery = Features.of(queries), Features.of(gallery)
    # The length, because it may overflow where the values do not.
    check_finite("query_features", of_queries.lengths.isfinite().cpu().numpy())
    check_finite("gallery_features", of_gallery.lengths.isfinite().cpu().numpy())
    scores = []
    for rows in blocks(len(queries), block_size):
        some = labels.block(rows)
        distances = FeatureDistances(of_queries.rows(rows), of_gallery, some, metric)
        scores.append(score_queries(distances, some, ap, same_camera, depth))
    return summarise(scores, labels, ap, max_rank, same_camera, depth)


def blocks(num_queries: int, block_size: int) -> list[slice]:
    """Slices of at most ``block_size`` queries that together are all."""
    return [slice(first, first + block_size) for first in range(0, num_queries, block_size)]
