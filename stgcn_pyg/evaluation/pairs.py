"""Pairs of a query and a gallery item, counted by distance and by the identities they are of."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol as Interface

import numpy as np
import torch

from stgcn_pyg.evaluation.arrays import Array, check_rows, slices, to_numpy, to_tensor
from stgcn_pyg.evaluation.candidates import Labels
from stgcn_pyg.evaluation.distances import Distances, Metric
from stgcn_pyg.evaluation.result import SameCamera

TILE = 1024  # queries and gallery items whose distances are held at a time
MOST_BINS = 1024  # of distances, in which resamples are counted
_STRIP = 64  # queries that are checked at a time


class PairSource(Interface):
    """Distances of Q queries to G gallery items, computed or read when asked for."""

    def of(self, query: np.ndarray, item: np.ndarray) -> np.ndarray:
        """The distances of M pairs, ``[M]``."""
        ...

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """The distances of some queries to some gallery items."""
        ...


class GivenPairs:
    """A matrix of distances ``[Q, G]``; a ValueError where it is not finite."""

    def __init__(self, distances: Array):
        self.matrix = to_numpy(distances)
        if self.matrix.ndim != 2:
            raise ValueError(f"distances must be [Q, G], got {list(self.matrix.shape)}")
        if self.matrix.dtype.kind != "f":
            self.matrix = self.matrix.astype(np.float64)
        parts = slices(0, len(self.matrix), _STRIP)
        bad = [~np.isfinite(self.matrix[rows]).all(axis=1) for rows in parts]
        check_rows("distances", np.concatenate(bad or [[]]), "are not finite", "NaN or overflow")

    def of(self, query: np.ndarray, item: np.ndarray) -> np.ndarray:
        return self.matrix[query, item]

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        return self.matrix[rows, columns]


class FeaturePairs:
    """The distances of :func:`pairwise_distances` between features, with its errors."""

    def __init__(
        self,
        queries: Array,
        gallery: Array,
        metric: Metric,
        device: torch.device | str | None = None,
        names: tuple[str, str] = ("query_features", "gallery_features"),
    ):
        left = to_tensor(queries, device)
        right = left if gallery is queries else to_tensor(gallery, left.device)
        self.distances = Distances(left, right, metric, names=names)

    def of(self, query: np.ndarray, item: np.ndarray) -> np.ndarray:
        return self.distances.in_full(self.distances.of(query, item))

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        return self.distances.in_full(self.distances.block(rows, columns))


def other_pairs(
    source: PairSource, labels: Labels, same_camera: SameCamera
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The pairs of two identities that a ranking compares, some at a time.

    Yields:
        Query, gallery item and distance of each pair: three arrays ``[M]``.
    """
    for rows, some in labels.blocks(TILE):
        for columns in slices(0, len(labels.gallery_pids), TILE):
            query, item = np.nonzero(some.others(same_camera, columns))
            distance = source.block(rows, columns)[query, item]
            yield query + rows.start, item + columns.start, distance


@dataclass(frozen=True, eq=False)
class Identities:
    """The P identities of the queries, by which resamples are drawn.

    Attributes:
        pids: The identities, ``[P]``, ascending.
        of_query: The place of each query's identity among them, ``[Q]``.
        of_item: The same of each gallery item, ``[G]``; P where no query has its identity.
    """

    pids: np.ndarray
    of_query: np.ndarray
    of_item: np.ndarray

    @classmethod
    def of(cls, labels: Labels) -> "Identities":
        """Those of labels."""
        pids, of_query = np.unique(labels.query_pids, return_inverse=True)
        place = np.minimum(np.searchsorted(pids, labels.gallery_pids), len(pids) - 1)
        of_item = np.where(pids[place] == labels.gallery_pids, place, len(pids))
        return cls(pids, of_query, of_item)

    def __len__(self) -> int:
        return len(self.pids)

    def count(self, identity: np.ndarray, bins: np.ndarray, num_bins: int) -> np.ndarray:
        """Pairs by identity and bin, ``[P, num_bins]`` float64; identity P is left out."""
        flat = identity * num_bins + bins
        counts = np.bincount(flat, minlength=(len(self) + 1) * num_bins)
        return counts.reshape(-1, num_bins)[: len(self)].astype(float)


def check_genuine(
    pairs: np.ndarray, identities: Identities, among: str = " among the queries"
) -> None:
    """Raises a ValueError where there is no genuine pair, or nothing to resample."""
    if not len(pairs) or len(identities) < 2:
        raise ValueError(
            f"{len(pairs)} genuine pairs, {len(identities)} identities{among}: give at least one "
            "pair of one identity in two cameras, and two identities to resample"
        )


def round_down(threshold: float, dtype: np.dtype) -> np.floating:
    """The largest number of a type of distances that is not above a threshold."""
    rounded = dtype.type(threshold)
    return np.nextafter(rounded, dtype.type(-np.inf)) if float(rounded) > threshold else rounded


def spread(values: np.ndarray) -> np.ndarray:
    """Some of many ascending values: evenly spread, and denser towards both ends."""
    last = len(values) - 1
    even = np.linspace(0, last, MOST_BINS // 2)
    dense = np.geomspace(1, last, MOST_BINS // 4)
    places = np.concatenate([even, dense - 1, last - dense + 1, [last]])
    return values[np.unique(places.round().astype(int))]
