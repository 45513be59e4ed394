"""Some queries whose distances to the gallery follow from features and are never held whole.

A ranking asks how many items stand nearer than each match. A float32 product answers that for
nearly all items, since its error has a bound; those that stand within the bound of a match are
computed in float64. So the answer is that of float64, at little more than a float32 product's cost.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stgcn_pyg.evaluation.distances import (
    Metric,
    distances_from_products,
    lengths,
    pairwise_distances,
)
from stgcn_pyg.evaluation.labels import Labels
from stgcn_pyg.evaluation.pair_products import pair_products
from stgcn_pyg.evaluation.result import SameCamera
from stgcn_pyg.evaluation.sorted_keys import column, first_key, last_key, sorted_keys

_ITEMS = 2048  # of the gallery at a time
_WIDTH = 384  # channels that a product adds up in float32 before it joins the others
_DOUBT = 1 / 16  # the share of a tile's pairs from which on all of it is computed in float64
_WAITING = 2**20  # doubts at a time
_UNIT = 2.0**-24  # the relative error of a float32 operation
_LEAST, _MOST = 2.0**-110, 2.0**60  # lengths beyond which float32 underflows or overflows


@dataclass(frozen=True, eq=False)
class Features:
    """Features ``[N, D]`` of queries or of a gallery, and their lengths ``[N]``, float64."""

    values: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, values: Tensor) -> "Features":
        """Features with their lengths."""
        return cls(values, lengths(values))

    def rows(self, rows: slice) -> "Features":
        """Some of them."""
        return Features(self.values[rows], self.lengths[rows])


class FeatureDistances:
    """Answers what a ranking asks, from features.

    Args:
        queries: Q features.
        gallery: G features on the same device.
        labels: of these queries and the gallery.
        metric: ``"euclidean"`` or ``"cosine"``.
    """

    def __init__(self, queries: Features, gallery: Features, labels: Labels, metric: Metric):
        self.queries = queries
        self.gallery = gallery
        self.labels = labels.to(queries.values.device)
        self.metric = metric

    def of(self, query: np.ndarray, item: np.ndarray) -> np.ndarray:
        """The distance of each of M pairs by a float64 product; the queries are in order."""
        products = pair_products(self.queries.values, self.gallery.values, query, item)
        of_queries = self.queries.lengths[torch.as_tensor(query, device=products.device)]
        of_items = self.gallery.lengths[torch.as_tensor(item, device=products.device)]
        return distances_from_products(products, of_queries, of_items, self.metric).cpu().numpy()

    def count_others(
        self, query: np.ndarray, reach: np.ndarray, same_camera: SameCamera
    ) -> np.ndarray:
        """As :meth:`Distances.count_others` says."""
        return self._count(query, reach, lambda tile: self.labels.others(same_camera, tile))

    def count_all_but_matches(self, query: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """As :meth:`Distances.count_all_but_matches` says."""
        return self._count(query, reach, self.labels.all_but_matches)

    def _count(
        self, query: np.ndarray, reach: np.ndarray, counted: Callable[[slice], Tensor]
    ) -> np.ndarray:
        reaches = _Reaches(query, reach, self.queries)
        total = np.zeros(len(query), dtype=np.int64)
        overflows = max(self.queries.lengths.max(), self.gallery.lengths.max()) > _MOST
        # In one piece: an array a tile would stand in the way of the next tile's memory.
        doubts, waiting = np.empty((2, _WAITING), dtype=np.int64), 0
        for first in range(0, len(self.gallery.values), _ITEMS):
            tile = slice(first, first + _ITEMS)
            mask = counted(tile)
            if overflows:
                total += self._count_exactly(reaches, tile, mask)
                continue
            sure, doubtful, item = self._count_roughly(reaches, tile, mask)
            if len(doubtful) > min(_DOUBT * mask.numel(), _WAITING):
                total += self._count_exactly(reaches, tile, mask)
                continue
            total += sure
            if waiting + len(doubtful) > _WAITING:
                self._settle(query, reach, doubts[:, :waiting], total)
                waiting = 0
            doubts[:, waiting : waiting + len(doubtful)] = doubtful, item
            waiting += len(doubtful)
        self._settle(query, reach, doubts[:, :waiting], total)
        return total

    def _settle(
        self, query: np.ndarray, reach: np.ndarray, doubts: np.ndarray, total: np.ndarray
    ) -> None:
        """Adds to the total which of the doubts, reaches and items ``[2, N]``, are within reach."""
        doubtful, item = doubts
        within = self._each_once(query[doubtful], item) <= reach[doubtful]
        np.add.at(total, doubtful[within], 1)

    def _count_roughly(
        self, reaches: "_Reaches", tile: slice, mask: Tensor
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Items surely within each reach, ``[M]``; the reaches and the items that are in doubt."""
        values, margin = rough_distances(self.queries, self.gallery.rows(tile), self.metric)
        keys = sorted_keys(values.masked_fill_(~mask, torch.inf))
        value = reaches.squared if self.metric == "euclidean" else reaches.padded
        surely = torch.searchsorted(keys, first_key(value - margin))
        perhaps = torch.searchsorted(keys, last_key(value + margin), right=True)
        surely, perhaps = surely[reaches.valid], perhaps[reaches.valid]
        doubts = perhaps - surely
        doubtful = torch.repeat_interleave(doubts)
        place = torch.arange(len(doubtful), device=keys.device)
        place += (surely - doubts.cumsum(0) + doubts)[doubtful]
        item = column(keys[reaches.row[doubtful], place]) + tile.start
        return surely.cpu().numpy(), doubtful.cpu().numpy(), item.cpu().numpy()

    def _count_exactly(self, reaches: "_Reaches", tile: slice, mask: Tensor) -> np.ndarray:
        values = pairwise_distances(self.queries.values, self.gallery.values[tile], self.metric)
        keys = sorted_keys(values.masked_fill_(~mask, torch.inf))
        within = torch.searchsorted(keys, last_key(reaches.padded), right=True)
        return within[reaches.valid].cpu().numpy()

    def _each_once(self, query: np.ndarray, item: np.ndarray) -> np.ndarray:
        """The distances of pairs that may repeat."""
        pairs = query * len(self.gallery.values) + item
        pairs, place = np.unique(pairs, return_inverse=True)
        return self.of(*np.divmod(pairs, len(self.gallery.values)))[place]


class _Reaches:
    """M reaches, ``[M]`` with their rows, and padded to ``[Q, most]``."""

    def __init__(self, query: np.ndarray, reach: np.ndarray, queries: Features):
        device = queries.values.device
        count = np.bincount(query, minlength=len(queries.values))
        valid = np.arange(count.max(initial=0)) < count[:, None]
        padded = np.zeros(valid.shape)
        padded[valid] = reach
        self.row = torch.as_tensor(query, device=device)
        self.valid = torch.as_tensor(valid, device=device)
        self.padded = torch.as_tensor(padded, device=device)
        self.squared = self.padded.square()


def rough_distances(queries: Features, gallery: Features, metric: Metric) -> tuple[Tensor, Tensor]:
    r"""Squared Euclidean or cosine distances in float32, and how far they can be off.

    A sum of n products in float32, in any order, is off by at most
    :math:`n u \lVert q \rVert \lVert g \rVert` with :math:`u = 2^{-24}`. Sums over ``_WIDTH``
    channels at a time keep n small; a few more u cover what is done with the sum.

    Returns:
        Values ``[Q, G]``, not negative, and the bound on their error ``[Q, 1]``, float64.
    """
    width = queries.values.size(1)
    error = _UNIT * (min(width, _WIDTH) + -(-width // _WIDTH) + 24)
    if metric == "cosine":
        values = 1 - _products(_of_unit_length(queries), _of_unit_length(gallery))
        return values.clamp_(min=0), values.new_full((len(values), 1), error, dtype=torch.float64)
    q, g = queries.lengths.square()[:, None], gallery.lengths.square()
    values = _products(queries.values, gallery.values).mul_(-2).add_(q.float()).add_(g.float())
    return values.clamp_(min=0), error * (q + g.max()) + _LEAST


def _of_unit_length(features: Features) -> Tensor:
    return (features.values / features.lengths.clamp(min=_LEAST)[:, None]).float()


def _products(a: Tensor, b: Tensor) -> Tensor:
    """Inner products ``[A, B]``, float32, of which at most ``_WIDTH`` terms are added in a row."""
    parts = zip(a.split(_WIDTH, dim=1), b.split(_WIDTH, dim=1), strict=True)
    with _plain_float32(a.device):
        total, part = torch.zeros(2, len(a), len(b), device=a.device)
        for a_part, b_part in parts:
            total += torch.mm(a_part.float(), b_part.float().T, out=part)
    return total


@contextmanager
def _plain_float32(device: torch.device) -> Iterator[None]:
    """Products in float32 as it is, whatever faster formats the caller has allowed."""
    every: Any = torch.backends
    backends = (every.cuda.matmul, every.mkldnn.matmul)
    allowed = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "ieee"
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for backend, precision in zip(backends, allowed, strict=True):
            backend.fp32_precision = precision
