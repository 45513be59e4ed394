"""k-reciprocal re-ranking, exact and sparse."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array

from stgcn_pyg.evaluation.arrays import Array, slices
from stgcn_pyg.evaluation.distances import Distances, Metric
from stgcn_pyg.evaluation.neighbours import Neighbours, distances_among, nearest_neighbours


class Reranking(NamedTuple):
    """The parameters of :func:`rerank`; the defaults are those of the paper."""

    k1: int = 20
    k2: int = 6
    lambda_value: float = 0.3

    def check(self) -> None:
        """Raises a ValueError where a parameter is out of its range.

        Example:
            >>> Reranking(k1=2, k2=6).check()
            Traceback (most recent call last):
            ValueError: k2=6: give 1 to k1=2
        """
        if self.k1 < 1:
            raise ValueError(f"k1={self.k1}: give at least 1")
        if not 1 <= self.k2 <= self.k1:
            raise ValueError(f"k2={self.k2}: give 1 to k1={self.k1}")
        if not 0 <= self.lambda_value <= 1:
            raise ValueError(f"lambda_value={self.lambda_value}: give 0 to 1")


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
        query_features: Features ``[Q, D]``, array or tensor of any float type.
        gallery_features: Features ``[G, D]``.
        k1: The number of neighbours that may be reciprocal. With k1 of Q + G or more, every item
            is a neighbour of every other.
        k2: The number of items, itself among them, over which an item's V is averaged; 1: none.
        lambda_value: The weight of the original distance, in [0, 1].
        metric: ``"euclidean"``, or ``"cosine"``: of the features divided by their lengths, where
            the squared distance is twice the cosine distance.
        block_size: Items whose distances to all others are held at a time. It changes no result.
        device: Where the matrix products run; None: where the query features are. The sparse part
            runs on the host.

    Returns:
        Distances ``[Q, G]``, float32, in [0, 1], on the host.

    Raises:
        ValueError: Features that are not ``[Q, D]`` and ``[G, D]``, are not finite, are all the
            same, or are zeros and have no cosine; parameters out of their range.

    Source: Zhong et al., Re-ranking Person Re-identification with k-reciprocal Encoding,
    CVPR 2017, and the code in github.com/zhunzhong07/person-re-ranking.

    Example:
        >>> queries, gallery = [[0.0, 0.0]], [[0.0, 1.0], [1.0, 0.0], [9.0, 9.0], [8.0, 9.0]]
        >>> rerank(queries, gallery, k1=2, k2=1)
        tensor([[0.0060, 0.0060, 1.0000, 0.9685]])
    """
    parameters = k1, k2, lambda_value, metric, block_size, device
    rows = rerank_rows(query_features, gallery_features, *parameters)
    num_queries, num_gallery = np.shape(query_features)[0], np.shape(gallery_features)[0]
    return torch.from_numpy(np.fromiter(rows, (np.float32, num_gallery), num_queries))


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
    """The rows of :func:`rerank`, one query at a time: float32 arrays ``[G]``.

    Args:
        query_features, gallery_features, k1, k2, lambda_value, metric, block_size, device: As in
            :func:`rerank`, and checked at once, not at the first row.

    Raises:
        ValueError: As :func:`rerank`.

    Example:
        >>> [row] = rerank_rows([[0.0]], [[1.0], [2.0], [4.0]], k1=1, k2=1)
        >>> row.argsort().tolist()
        [0, 1, 2]
    """
    Reranking(k1, k2, lambda_value).check()
    if block_size < 1:
        raise ValueError(f"block_size={block_size}: give at least 1")
    distances = distances_among(query_features, gallery_features, metric, device)
    num_queries, num_items = np.shape(query_features)[0], distances.shape[0]

    def rows() -> Iterator[np.ndarray]:
        neighbours = nearest_neighbours(distances, min(k1 + 1, num_items), block_size)
        vectors = _vectors(distances, neighbours, k1, k2)
        similar = _shared_weights(vectors[:num_queries], vectors[num_queries:])
        gallery = slices(num_queries, num_items, block_size)
        for some in slices(0, num_queries, block_size):
            blocks = [distances.block(some, columns, neighbours.farthest) for columns in gallery]
            for parts in zip(*blocks, strict=True):
                # V's rows add up to 1, so that their minima and maxima add up to 2.
                shared = next(similar)
                jaccard = 1 - shared / (2 - shared)
                original = lambda_value * np.concatenate(parts)
                yield ((1 - lambda_value) * jaccard + original).astype(np.float32)

    return rows()


def _vectors(distances: Distances, neighbours: Neighbours, k1: int, k2: int) -> csr_array:
    """V: ``[N, N]``, sparse."""
    reciprocal = _expanded(neighbours.index, k1)
    row, column = reciprocal.nonzero()
    # No row is empty: every item is its own reciprocal neighbour.
    weight = np.exp(-neighbours.squares(distances, row, column) / neighbours.farthest[row])
    weight /= np.add.reduceat(weight, reciprocal.indptr[:-1])[row]
    weights = csr_array((weight, column, reciprocal.indptr), shape=reciprocal.shape)
    averaged = neighbours.index[:, :k2]
    vectors = (_links(averaged) @ weights) / averaged.shape[1]
    vectors.sort_indices()
    return vectors


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
    links = _links(index)
    return links.multiply(links.T).tocsr()


def _links(index: np.ndarray) -> csr_array:
    """Ones from each item to those of its list."""
    starts = np.arange(0, index.size + 1, index.shape[1])
    ones = np.ones(index.size, dtype=np.int64)
    columns = np.sort(index, axis=1).ravel()
    return csr_array((ones, columns, starts), shape=(len(index), len(index)))


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
