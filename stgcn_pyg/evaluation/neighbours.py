"""The nearest of all items to each item, among pairs that a float32 product leaves in doubt."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stgcn_pyg.evaluation.arrays import Array, check_rows, in_threads, slices, to_tensor
from stgcn_pyg.evaluation.distances import STRIP, Distances, Metric, Tile, check_features


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

    def squares(self, distances: Distances, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """The squared distances of pairs, most of which are neighbours: ``[M]``."""
        count = len(self.index)
        known = (np.arange(count)[:, None] * count + self.index).ravel()
        order = known.argsort()
        wanted = row.astype(np.int64) * count + column
        place = order[np.searchsorted(known, wanted, sorter=order).clip(max=len(known) - 1)]
        squares, new = self.distance.ravel()[place], known[place] != wanted
        squares[new] = distances.of_pairs(row[new], column[new])
        return squares


def distances_among(
    queries: Array, gallery: Array, metric: Metric, device: torch.device | str | None
) -> Distances:
    """Distances among queries and gallery together, as re-ranking takes them."""
    if device is None:
        device = queries.device if isinstance(queries, Tensor) else "cpu"
    sides = to_tensor(queries, "cpu").numpy(), to_tensor(gallery, "cpu").numpy()
    check_features(*sides, metric)
    if not all(map(len, sides)):
        raise ValueError(
            f"{len(sides[0])} queries and {len(sides[1])} gallery items: give one of each at least"
        )
    for name, side in zip(("query_features", "gallery_features"), sides, strict=True):
        check_rows(name, ~np.isfinite(side).all(axis=1), "are not finite", "NaN or overflow")
        if metric == "cosine":
            what = "are zeros and have no cosine"
            check_rows(name, ~side.any(axis=1), what, "dead units")
    items = np.concatenate(sides, dtype=np.result_type(*sides))
    # By a power of two, which rounds nothing: squares then neither overflow nor vanish.
    items = np.ldexp(items, -np.frexp(np.abs(items).max(initial=0))[1], out=items)
    if metric == "cosine":
        items = items.astype(np.float64)
        items /= np.linalg.norm(items, axis=1, keepdims=True)
    if (items == items[0]).all():
        raise ValueError(f"all {len(items)} features are the same: there is nothing to rank by")
    values = torch.from_numpy(items)
    # Products may add up many terms: only pairs near a limit are in doubt.
    return Distances(values, values, device=device, terms=2048)


def nearest_neighbours(distances: Distances, count: int, block_size: int = 1024) -> Neighbours:
    """The ``count`` nearest of all N items to each item, itself among them.

    ``count`` is from 1 to N; the distances of ``block_size`` items to four times as many others
    are held at a time, which changes no result.
    """
    found = _Candidates(distances, max(1, count - 1))
    every = distances.a.tile(slice(0, distances.shape[0]))
    blocks = slices(0, distances.shape[0], block_size)
    pairs = [(rows, rows) for rows in blocks]  # first, for they give limits to the others
    for rows in blocks:
        pairs += [(rows, rest) for rest in slices(rows.stop, distances.shape[0], 4 * block_size)]
    for rows, columns in pairs:
        left, right = (Tile(every.values[s], every.squares[s]) for s in (rows, columns))
        found.add(rows, columns, distances.rough(left, right))
    item, other = found.pairs()
    # Each pair once: its distance is the same both ways.
    low, high = np.minimum(item, other), np.maximum(item, other)
    each, place = np.unique(low * len(found.near) + high, return_inverse=True)
    exact = distances.of_pairs(*np.divmod(each, len(found.near)))[place]
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

    def add(self, rows: slice, columns: slice, rough: Tensor) -> None:
        """Adds the pairs of some items with others, or with each other."""
        if rows == columns:
            k = min(self.near.shape[1], len(rough) - 1)
            self.far[rows] = rough.fill_diagonal_(-torch.inf).amax(dim=1).cpu()
            near = rough.fill_diagonal_(torch.inf).topk(k, largest=False, sorted=False).values
            self.near[rows, :k] = near.cpu()
        values = rough.cpu().numpy()
        low, high = (limit[:, None] for limit in self._limits(rows))
        low_of_column, high_of_column = self._limits(columns)

        def find(part: slice) -> np.ndarray:
            s = values[part]
            mask = (s <= low[part]) | (s >= high[part])
            mask |= s <= low_of_column
            mask |= s >= high_of_column
            return np.flatnonzero(mask) + part.start * values.shape[1]

        place = np.concatenate(in_threads(find, slices(0, len(values), STRIP), values.size))
        row, column = np.divmod(place, values.shape[1])
        place = place[row + rows.start != column + columns.start]
        row, column = (x.astype(np.int32) for x in np.divmod(place, values.shape[1]))
        self._keep(rows, row, columns, column, values.ravel()[place])
        if rows != columns:
            self._keep(columns, column, rows, row, values.ravel()[place])

    def _keep(
        self, items: slice, item: np.ndarray, others: slice, other: np.ndarray, s: np.ndarray
    ) -> None:
        """Keeps the pairs in question for the first of each, and makes their limits tighter."""
        low, high = self._limits(items)
        kept = (s <= low[item]) | (s >= high[item])
        item, other, s = item[kept], other[kept], s[kept]
        self._found.append((item + items.start, other + others.start, s))
        if items == others:
            return
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
