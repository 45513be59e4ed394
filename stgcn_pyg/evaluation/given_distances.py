"""Some queries whose distances to the whole gallery are given."""

from itertools import pairwise

import numpy as np

from stgcn_pyg.evaluation.labels import Labels
from stgcn_pyg.evaluation.result import SameCamera


class GivenDistances:
    """Answers what a ranking asks, from a matrix of distances.

    Args:
        distances: ``[Q, G]``.
        labels: of these queries and the gallery.
    """

    def __init__(self, distances: np.ndarray, labels: Labels):
        self.distances = distances
        self.labels = labels

    def of(self, query: np.ndarray, item: np.ndarray) -> np.ndarray:
        """The distance of each of M pairs."""
        return self.distances[query, item]

    def count_others(
        self, query: np.ndarray, reach: np.ndarray, same_camera: SameCamera
    ) -> np.ndarray:
        """As :meth:`Distances.count_others` says."""
        return self._count(query, reach, self.labels.others(same_camera))

    def count_all_but_matches(self, query: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """As :meth:`Distances.count_all_but_matches` says."""
        return self._count(query, reach, self.labels.all_but_matches())

    def _count(self, query: np.ndarray, reach: np.ndarray, counted: np.ndarray) -> np.ndarray:
        ordered = np.where(counted, self.distances, self.distances.dtype.type(np.inf))
        ordered.sort(axis=1)
        edges = np.searchsorted(query, np.arange(len(ordered) + 1))
        within = [
            np.searchsorted(row, reach[first:last], side="right")
            for row, (first, last) in zip(ordered, pairwise(edges), strict=True)
        ]
        return np.concatenate(within)
