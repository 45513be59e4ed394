"""The exact nearest neighbours among N items, without a matrix of everything to everything."""

from dataclasses import dataclass

import numpy as np
import torch

from stgcn_pyg.evaluation.distances import Distances, in_threads, slices

_STRIP = 64  # rows of a block that a thread looks through at a time


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest of N items to each of them, and how far away the farthest is.

    Attributes:
        index: ``[N, k]``: the item itself, then by distance, at equal distance the lower index.
        distance: ``[N, k]`` float64, squared.
        farthest: ``[N]`` float64, squared: the largest distance to any item.
    """

    index: np.ndarray
    distance: np.ndarray
    farthest: np.ndarray


def nearest_neighbours(distances: Distances, count: int, block_size: int = 1024) -> Neighbours:
    """The ``count`` nearest of all N items to each item, itself among them.

    Args:
        distances: Among the items.
        count: How many neighbours to keep, from 1 to N.
        block_size: Items whose distances to as many others are held at a time. It changes no
            result.
    """
    found = _Candidates(distances, max(1, count - 1))
    every = distances.right(slice(0, distances.shape[0]))
    blocks = slices(0, distances.shape[0], block_size)
    for rows in blocks:  # of each item with its own block first, for a limit to the others
        found.add_within(rows, distances.rough(every.part(rows), every.part(rows)))
    for rows in blocks:
        for columns in slices(rows.stop, distances.shape[0], 4 * block_size):
            found.add(rows, columns, distances.rough(every.part(rows), every.part(columns)))
    item, other = found.pairs()
    # Each pair once: its distance is the same both ways.
    pairs, place = np.unique(
        np.minimum(item, other) * len(found.near) + np.maximum(item, other), return_inverse=True
    )
    exact = distances.of_pairs(*np.divmod(pairs, len(found.near)))[place]
    order = np.lexsort((other, exact, item))
    other, exact = other[order], exact[order]
    ends = np.bincount(item).cumsum()
    items = np.arange(len(ends))
    nearest = (np.append(0, ends[:-1]) + np.arange(count - 1)[:, None]).T
    return Neighbours(
        np.column_stack([items, other[nearest]]),
        np.column_stack([np.zeros(len(items)), exact[nearest]]),
        exact[ends - 1],
    )


class _Candidates:
    """The pairs that may be among the nearest k of an item, or its farthest.

    Attributes:
        near: ``[N, k]`` float32, the smallest rough s that were met, in any order.
        far: ``[N]`` float32, the largest.
    """

    def __init__(self, distances: Distances, k: int):
        num_items = distances.shape[0]
        self.near = np.full((num_items, k), np.inf, dtype=np.float32)
        self.far = np.full(num_items, -np.inf, dtype=np.float32)
        self._slack = 2.1 * distances.bounds.cpu().numpy()
        self._found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add_within(self, rows: slice, rough: torch.Tensor) -> None:
        """Takes in the pairs among some items."""
        if len(rough) < 2:
            return
        k = min(self.near.shape[1], len(rough) - 1)
        self.far[rows] = rough.fill_diagonal_(-torch.inf).amax(dim=1).cpu()
        near = rough.fill_diagonal_(torch.inf).topk(k, largest=False, sorted=False).values
        self.near[rows, :k] = near.cpu()
        row, column, s = self._within(rough.cpu().numpy(), rows)
        different = row != column
        self._found.append((row[different], column[different], s[different]))

    def add(self, rows: slice, columns: slice, rough: torch.Tensor) -> None:
        """Takes in the pairs of some items with others."""
        row, column, s = self._within(rough.cpu().numpy(), rows, columns)
        for item, other, some in ((row, column, rows), (column, row, columns)):
            low, high = self._limits(some)
            keep = (s <= low[item - some.start]) | (s >= high[item - some.start])
            self._found.append((item[keep], other[keep], s[keep]))
            self._tighten(some, item[keep] - some.start, s[keep])

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Each pair in question: two integer arrays, in no order."""
        item, other, s = (np.concatenate(parts) for parts in zip(*self._found, strict=True))
        low, high = self._limits(slice(None))
        keep = (s <= low[item]) | (s >= high[item])
        return item[keep].astype(np.int64), other[keep].astype(np.int64)

    def _limits(self, items: slice) -> tuple[np.ndarray, np.ndarray]:
        """Rough s above which none is among an item's nearest, below which none is its farthest."""
        slack = self._slack[items]
        low, high = self.near[items].max(axis=1) + slack, self.far[items] - slack
        return low.astype(np.float32), high.astype(np.float32)

    def _within(
        self, rough: np.ndarray, rows: slice, columns: slice | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The items of a block in question for each other, and their rough s.

        Without columns the block is of some items among themselves, and only the rows ask.
        """
        low, high = (limit[:, None] for limit in self._limits(rows))
        low_of_column, high_of_column = (None, None) if columns is None else self._limits(columns)

        def find(part: slice) -> np.ndarray:
            s = rough[part]
            mask = (s <= low[part]) | (s >= high[part])
            if columns is not None:
                mask |= s <= low_of_column
                mask |= s >= high_of_column
            return np.flatnonzero(mask) + part.start * rough.shape[1]

        place = np.concatenate(in_threads(find, slices(0, len(rough), _STRIP)))
        row, column = np.divmod(place, rough.shape[1])
        first = rows.start if columns is None else columns.start
        row, column = (row + rows.start).astype(np.int32), (column + first).astype(np.int32)
        return row, column, rough.ravel()[place]

    def _tighten(self, items: slice, item: np.ndarray, s: np.ndarray) -> None:
        """Takes new s into account."""
        far, near = self.far[items], self.near[items]
        np.maximum.at(far, item, s)
        order = np.lexsort((s, item))
        item, s = item[order], s[order]
        rank = np.arange(len(item)) - np.searchsorted(item, item)
        first = rank < near.shape[1]
        new = np.full_like(near, np.inf)
        new[item[first], rank[first]] = s[first]
        both = np.concatenate([near, new], axis=1)
        both.partition(near.shape[1] - 1, axis=1)
        self.near[items] = both[:, : near.shape[1]]
