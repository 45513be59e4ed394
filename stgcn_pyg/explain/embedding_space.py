"""The embedding as a whole: t-SNE, how far matches lie apart, and which queries it fails."""

import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from stgcn_pyg.evaluation import (
    Protocol,
    RankingResult,
    evaluate_features,
    pairwise_distances,
    select_gallery,
)
from stgcn_pyg.explain.ranked_lists import kinds
from stgcn_pyg.runs.scoring import RankingTask

QUERIES = 256  # queries whose distances to the gallery are in memory at a time
WORTH_THREADS = 2000  # number of points from which on t-SNE takes more than one thread


def tsne(embeddings: np.ndarray, perplexity: float = 30.0, seed: int = 0) -> np.ndarray:
    """Points in the plane whose neighbours are those of the embeddings, by scikit-learn's t-SNE.

    Args:
        embeddings: ``[N, D]``, N at least 3.
        perplexity: About how many neighbours count; at most a third of N is taken.
        seed: Random seed of the optimisation.

    Returns:
        ``[N, 2]``. Distances between clusters mean nothing.

    Raises:
        ValueError: There are fewer than 3 embeddings.

    Example:
        >>> tsne(np.eye(12), perplexity=3).shape
        (12, 2)
    """
    if len(embeddings) < 3:
        raise ValueError(f"t-SNE needs 3 embeddings at least, got {len(embeddings)}")
    perplexity = min(perplexity, max(1.0, (len(embeddings) - 1) / 3))
    estimator = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    # With few points, threads that wait for each other on busy cores take minutes.
    with threadpool_limits(1 if len(embeddings) < WORTH_THREADS else None):
        return estimator.fit_transform(np.asarray(embeddings, np.float32))


def distance_histogram(
    task: RankingTask,
    protocol: Protocol,
    query_features: torch.Tensor,
    gallery_features: torch.Tensor,
    bins: int = 60,
) -> pd.DataFrame:
    """A histogram of the distances of query and gallery, of matching and of other pairs.

    Args:
        task: Labels of query and gallery.
        protocol: The protocol that decides which pairs are ranked; only these count.
        query_features: Embeddings of the queries, ``[Q, D]``.
        gallery_features: Embeddings of the gallery, ``[G, D]``.
        bins: Number of bins of equal width from 0 to the largest distance.

    Returns:
        A row a bin: ``from`` and ``to``, its ends (the last bin includes ``to``), ``matching``
        and ``other``, numbers of pairs.
    """
    passes = _ranked_pairs(task, protocol, query_features, gallery_features)
    largest = max((float(d.max()) for d, _ in passes if len(d)), default=0.0) or 1.0
    edges = np.linspace(0, largest, bins + 1)
    counts = np.zeros((2, bins), dtype=np.int64)
    for distances, match in _ranked_pairs(task, protocol, query_features, gallery_features):
        counts[0] += np.histogram(distances[match], edges)[0]
        counts[1] += np.histogram(distances[~match], edges)[0]
    return pd.DataFrame(
        {"from": edges[:-1], "to": edges[1:], "matching": counts[0], "other": counts[1]}
    )


def _ranked_pairs(
    task: RankingTask,
    protocol: Protocol,
    query_features: torch.Tensor,
    gallery_features: torch.Tensor,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Distances of ranked pairs, and which of them match, for some queries at a time."""
    listed = select_gallery(protocol, task.gallery_pids, task.gallery_is_query)
    for first in range(0, len(query_features), QUERIES):
        rows = slice(first, first + QUERIES)
        queries = task.query_pids[rows, None], task.query_camids[rows, None]
        kind = kinds(protocol, *queries, task.gallery_pids, task.gallery_camids)
        ranked = listed & (kind < 2)
        distances = pairwise_distances(query_features[rows], gallery_features).cpu().numpy()
        yield distances[ranked], kind[ranked] == 0


def scores_by_camera_pair(
    task: RankingTask,
    protocol: Protocol,
    query_features: torch.Tensor,
    gallery_features: torch.Tensor,
) -> pd.DataFrame:
    """What queries of one camera score when only another camera's gallery is searched.

    Args:
        task: Labels of query and gallery.
        protocol: The protocol that decides what is in the gallery and how AP is computed.
        query_features: Embeddings of the queries, ``[Q, D]``.
        gallery_features: Embeddings of the gallery, ``[G, D]``.

    Returns:
        A row a pair of different cameras with a match: ``query_camid``, ``gallery_camid``,
        ``queries`` (with a match there), ``mAP`` and ``rank_1``, fractions.
    """
    listed = select_gallery(protocol, task.gallery_pids, task.gallery_is_query)
    rows = []
    for camera in np.unique(task.query_camids):
        query = task.query_camids == camera
        for other in np.unique(task.gallery_camids[task.gallery_camids != camera]):
            gallery = listed & (task.gallery_camids == other)
            if not np.isin(task.query_pids[query], task.gallery_pids[gallery]).any():
                continue
            with warnings.catch_warnings():
                # The column "queries" says how many have a match.
                warnings.filterwarnings("ignore", message=".* queries have no match")
                result = evaluate_features(
                    query_features[query],
                    gallery_features[gallery],
                    task.query_pids[query],
                    task.gallery_pids[gallery],
                    task.query_camids[query],
                    task.gallery_camids[gallery],
                    ap=protocol.ap,
                    max_rank=1,
                )
            rows.append((camera, other, result.num_valid_queries, result.mAP, result.rank(1)))
    columns = ["query_camid", "gallery_camid", "queries", "mAP", "rank_1"]
    return pd.DataFrame(rows, columns=columns)


def scores_by_quartile(result: RankingResult, values: np.ndarray) -> pd.DataFrame:
    """What queries score by quarters of some measure of them, such as their length.

    Args:
        result: Scores of all queries.
        values: A measure of each query, ``[Q]``; queries where it is NaN, or that have no match,
            are left out.

    Returns:
        A row a quarter, or fewer where many values are equal: ``from`` and ``to``, the smallest and
        the largest value; ``queries``; ``mAP`` and ``rank_1``, fractions.

    Raises:
        ValueError: Not one value a query.

    Example:
        >>> from stgcn_pyg.evaluation import evaluate_ranking
        >>> result = evaluate_ranking([[0.1, 0.2], [0.1, 0.2]], [7, 5], [7, 5], [1, 1], [2, 2])
        >>> scores_by_quartile(result, np.array([10, 20]))
           from  to  queries  mAP  rank_1
        0    10  10        1  1.0     1.0
        1    20  20        1  0.5     0.0
    """
    if values.shape != result.average_precision.shape:
        raise ValueError(
            f"values must be [{result.num_queries}], one a query, got {list(values.shape)}"
        )
    table = pd.DataFrame(
        {"value": values, "ap": result.average_precision, "first": result.first_match_rank}
    ).dropna()
    table["hit"] = table["first"] <= 1
    quarter = pd.qcut(table["value"], 4, labels=False, duplicates="drop")
    if quarter.isna().all():  # all values are equal
        quarter = pd.Series(0, index=table.index)
    groups = table.groupby(quarter)
    return pd.DataFrame(
        {
            "from": groups["value"].min(),
            "to": groups["value"].max(),
            "queries": groups.size(),
            "mAP": groups["ap"].mean(),
            "rank_1": groups["hit"].mean(),
        }
    ).reset_index(drop=True)
