"""k-reciprocal re-ranking, exact and sparse."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array

from stgcn_pyg.evaluation.distances import Distances, Metric, slices
from stgcn_pyg.evaluation.labels import Array, to_numpy
from stgcn_pyg.evaluation.neighbours import Neighbours, nearest_neighbours


class Reranking(NamedTuple):
    """The parameters of :func:`rerank`; the usual ones if not given."""

    k1: int = 20
    k2: int = 6
    lambda_value: float = 0.3

    def check(self) -> None:
        """Looks whether they are in their ranges.

        Raises:
            ValueError: One is not.

        Example:
            >>> Reranking(k1=2, k2=6).check()
            Traceback (most recent call last):
            ValueError: k2=6: give 1 to k1=2
        """
        _check_parameters(*self, metric="euclidean", block_size=1)


def rerank(
    query_features: Array,
    gallery_features: Array,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
    metric: Metric = "euclidean",
    block_size: int = 1024,
    device: torch.device | str | None = None,
) -> torch.Tensor:
    r"""Distances of queries to gallery, re-ranked by the neighbours that they share.

    With d the squared distance among all items, queries and gallery together, divided in each row
    by the largest of the row, and N(i, k) the item i and its k nearest others,

    .. math::
        R(i, k) &= \{ j \in N(i, k) : i \in N(j, k) \} \\
        R^*(i) &= R(i, k_1) \cup \bigcup \big\{ R(j, \tfrac{k_1}{2}) : j \in R(i, k_1), \
            |R(i, k_1) \cap R(j, \tfrac{k_1}{2})| > \tfrac{2}{3} |R(j, \tfrac{k_1}{2})| \big\} \\
        W_{ij} &= \frac{e^{-d_{ij}}}{\sum_{l \in R^*(i)} e^{-d_{il}}} \text{ where } j \in R^*(i),
            \text{ else } 0, \qquad V_i = \text{mean of } W_j \text{ over } j \in N(i, k_2 - 1) \\
        d^*_{ij} &= (1 - \lambda) \left( 1 - \frac{\sum_l \min(V_{il}, V_{jl})}
            {\sum_l \max(V_{il}, V_{jl})} \right) + \lambda \, d_{ij}.

    The neighbours are exact: an item comes first in its own list, the others follow by their
    distance in float64, at equal distance the lower index first, the queries before the gallery.
    An odd k1 is halved to the nearest even number, as ``np.around`` has it. N x N distances are
    never held; besides the features and the result, memory grows with N alone.

    Args:
        query_features: ``[Q, D]``, array or tensor of any float type.
        gallery_features: ``[G, D]``.
        k1: how many neighbours may be reciprocal. Lists end where the items do: with k1 of Q + G
            or more, every item is a neighbour of every other.
        k2: over how many items, itself among them, an item's V is averaged; 1 leaves it as it is.
        lambda_value: how much of the original distance is kept: 1 keeps it alone.
        metric: ``"euclidean"``, or ``"cosine"``: of the features divided by their lengths, where
            the squared distance is twice the cosine distance.
        block_size: items whose distances to all others are held at a time. It changes no result.
        device: where the matrix products run; None: where the query features are. The sparse part
            runs on the host.

    Returns:
        Distances ``[Q, G]``, float32, in [0, 1], on the host.

    Raises:
        ValueError: features that are not ``[Q, D]`` and ``[G, D]``, are not finite, are all the
            same, or are zeros and have no cosine; parameters out of their range.

    Source: Zhong et al., Re-ranking Person Re-identification with k-reciprocal Encoding,
    CVPR 2017, and the code in github.com/zhunzhong07/person-re-ranking.

    Example:
        >>> queries, gallery = [[0.0, 0.0]], [[0.0, 1.0], [1.0, 0.0], [9.0, 9.0], [8.0, 9.0]]
        >>> rerank(queries, gallery, k1=2, k2=1)
        tensor([[0.0060, 0.0060, 1.0000, 0.9685]])
    """
    if device is None and isinstance(query_features, torch.Tensor):
        device = query_features.device
    queries, gallery = to_numpy(query_features), to_numpy(gallery_features)
    rows = rerank_rows(queries, gallery, k1, k2, lambda_value, metric, block_size, device)
    distances = np.empty((len(queries), len(gallery)), dtype=np.float32)
    for query, row in enumerate(rows):
        distances[query] = row
    return torch.from_numpy(distances)


def rerank_rows(
    query_features: Array,
    gallery_features: Array,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
    metric: Metric = "euclidean",
    block_size: int = 1024,
    device: torch.device | str | None = None,
) -> Iterator[np.ndarray]:
    """The rows of :func:`rerank` in turn, a float32 array ``[G]`` a query.

    Args:
        query_features, gallery_features, k1, k2, lambda_value, metric, block_size, device: as in
            :func:`rerank`, and checked at once, not at the first row.

    Raises:
        ValueError: as :func:`rerank`.

    Example:
        >>> [row] = rerank_rows([[0.0]], [[1.0], [2.0], [4.0]], k1=1, k2=1)
        >>> row.argsort().tolist()
        [0, 1, 2]
    """
    _check_parameters(k1, k2, lambda_value, metric, block_size)
    if device is None:
        device = query_features.device if isinstance(query_features, torch.Tensor) else "cpu"
    queries, gallery = to_numpy(query_features), to_numpy(gallery_features)
    items = torch.from_numpy(_joined(queries, gallery, metric))
    return _rows(
        Distances(items, items, device=device, terms=2048),
        len(queries),
        k1,
        k2,
        lambda_value,
        block_size,
    )


def _rows(
    distances: Distances,
    num_queries: int,
    k1: int,
    k2: int,
    lambda_value: float,
    block_size: int,
) -> Iterator[np.ndarray]:
    num_items = distances.shape[0]
    neighbours = nearest_neighbours(distances, min(k1 + 1, num_items), block_size)
    vectors = _vectors(distances, neighbours, k1, k2)
    similar = _shared_weights(vectors[:num_queries], vectors[num_queries:])
    for rows in slices(0, num_queries, block_size):
        original = np.empty((rows.stop - rows.start, num_items - num_queries), dtype=np.float32)
        for columns in slices(num_queries, num_items, block_size):
            place = slice(columns.start - num_queries, columns.stop - num_queries)
            original[:, place] = distances.block(rows, columns, neighbours.farthest)
        for own in original:
            # V's rows add up to 1, so that their minima and maxima add up to 2.
            shared = next(similar)
            jaccard = 1 - shared / (2 - shared)
            yield ((1 - lambda_value) * jaccard + lambda_value * own).astype(np.float32)


def _vectors(distances: Distances, neighbours: Neighbours, k1: int, k2: int) -> csr_array:
    """V: ``[N, N]``, sparse."""
    reciprocal = _expanded(neighbours.index, k1)
    row, column = reciprocal.nonzero()
    # No row is empty: every item is its own reciprocal neighbour.
    weight = np.exp(-_squares(distances, neighbours, row, column) / neighbours.farthest[row])
    first = reciprocal.indptr[:-1]
    weight /= np.add.reduceat(weight, first)[row]
    weights = csr_array((weight, column, reciprocal.indptr), shape=reciprocal.shape)
    averaged = neighbours.index[:, :k2]
    vectors = (_links(averaged, len(averaged)) @ weights) / averaged.shape[1]
    vectors.sort_indices()
    return vectors


def _squares(
    distances: Distances, neighbours: Neighbours, row: np.ndarray, column: np.ndarray
) -> np.ndarray:
    """The squared distances of pairs of items, most of which are neighbours."""
    items = len(neighbours.index)
    known = (np.arange(items)[:, None] * items + neighbours.index).ravel()
    order = known.argsort()
    wanted = row.astype(np.int64) * items + column
    place = order[np.searchsorted(known, wanted, sorter=order).clip(max=len(known) - 1)]
    squares = neighbours.distance.ravel()[place]
    new = known[place] != wanted
    squares[new] = distances.of_pairs(row[new], column[new])
    return squares


def _expanded(index: np.ndarray, k1: int) -> csr_array:
    """R*: an entry for each j in each item's expanded set of reciprocal neighbours."""
    whole = _reciprocal(index)
    half = _reciprocal(index[:, : round(k1 / 2) + 1])
    shared = (whole @ half.T).multiply(whole).tocsr()  # how many of half[j] are in whole[i]
    shared.data = (3 * shared.data > 2 * half.sum(axis=1)[shared.indices]).astype(np.int64)
    shared.eliminate_zeros()
    expanded = (whole + shared @ half).tocsr()
    expanded.sort_indices()
    return expanded


def _reciprocal(index: np.ndarray) -> csr_array:
    """R: an entry for each pair of items that have each other in their lists."""
    links = _links(index, len(index))
    return links.multiply(links.T).tocsr()


def _links(index: np.ndarray, num_items: int) -> csr_array:
    """Ones from each item to those of its list."""
    starts = np.arange(0, index.size + 1, index.shape[1])
    ones = np.ones(index.size, dtype=np.int64)
    columns = np.sort(index, axis=1).ravel()
    return csr_array((ones, columns, starts), shape=(num_items, num_items))


def _shared_weights(queries: csr_array, gallery: csr_array) -> Iterator[np.ndarray]:
    """For each query, the sum of the smaller of its and each gallery item's weights: ``[G]``."""
    holders = gallery.tocsc()  # of each weight, the gallery items that have it
    for query in range(queries.shape[0]):
        own = slice(queries.indptr[query], queries.indptr[query + 1])
        starts = holders.indptr[queries.indices[own]]
        lengths = holders.indptr[queries.indices[own] + 1] - starts
        before = np.cumsum(lengths) - lengths
        place = np.repeat(starts - before, lengths) + np.arange(lengths.sum())
        smaller = np.minimum(np.repeat(queries.data[own], lengths), holders.data[place])
        yield np.bincount(holders.indices[place], smaller, minlength=gallery.shape[0])


def _joined(queries: np.ndarray, gallery: np.ndarray, metric: Metric) -> np.ndarray:
    """Queries and gallery, checked: ``[Q + G, D]``, of a size near 1."""
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise ValueError(
            "query_features and gallery_features must be [Q, D] and [G, D], "
            f"got {list(queries.shape)} and {list(gallery.shape)}"
        )
    if not (len(queries) and len(gallery)):
        raise ValueError(
            f"{len(queries)} queries and {len(gallery)} gallery items: give one of each at least"
        )
    for name, features in (("query_features", queries), ("gallery_features", gallery)):
        bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
        _check_rows(name, bad, "are not finite", "NaN or overflow")
        if metric == "cosine":
            bad = np.flatnonzero(~features.any(axis=1))
            _check_rows(name, bad, "are zeros and have no cosine", "dead units")
    features = np.concatenate([queries, gallery], dtype=np.result_type(queries, gallery, "f4"))
    # By a power of two, which rounds nothing: squares then neither overflow nor vanish.
    features = np.ldexp(features, -np.frexp(np.abs(features).max())[1], out=features)
    if metric == "cosine":
        features = features.astype(np.float64)
        features /= np.linalg.norm(features, axis=1, keepdims=True)
    if (features == features[0]).all():
        raise ValueError(f"all {len(features)} features are the same: there is nothing to rank by")
    return features


def _check_rows(name: str, rows: np.ndarray, what: str, cause: str) -> None:
    if len(rows):
        raise ValueError(
            f"{name}: {len(rows)} rows {what}, first at {rows[:5].tolist()}; "
            f"look for {cause} in the model's output"
        )


def _check_parameters(k1: int, k2: int, lambda_value: float, metric: str, block_size: int) -> None:
    if k1 < 1:
        raise ValueError(f"k1={k1}: give at least 1")
    if not 1 <= k2 <= k1:
        raise ValueError(f"k2={k2}: give 1 to k1={k1}")
    if not 0 <= lambda_value <= 1:
        raise ValueError(f"lambda_value={lambda_value}: give 0 to 1")
    if metric not in ("euclidean", "cosine"):
        raise ValueError(f"metric={metric!r} is unknown: give 'euclidean' or 'cosine'")
    if block_size < 1:
        raise ValueError(f"block_size={block_size}: give at least 1")
