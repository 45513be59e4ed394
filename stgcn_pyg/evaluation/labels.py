"""The people and cameras of queries and gallery, checked once, and who counts for whom."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch

from stgcn_pyg import JUNK
from stgcn_pyg.evaluation.distances import Array, slices, to_numpy
from stgcn_pyg.evaluation.result import SameCamera


@dataclass(frozen=True, eq=False)
class Labels:
    """People and cameras of Q queries and G gallery items, arrays or tensors of integers.

    ``listed``, a boolean ``[G]``, is false for items that are not in the gallery at all, as where
    a protocol takes them out: they take no place in any list.
    """

    query_pids: Any
    gallery_pids: Any
    query_camids: Any
    gallery_camids: Any
    listed: Any

    def matches(self) -> tuple[np.ndarray, np.ndarray]:
        """Every query with each of its matches, by query: two integer ``[M]``.

        A match shows the query's person in another camera.
        """
        order = np.argsort(self.gallery_pids, kind="stable")
        sorted_pids = self.gallery_pids[order]
        first = np.searchsorted(sorted_pids, self.query_pids, side="left")
        count = np.searchsorted(sorted_pids, self.query_pids, side="right") - first
        query = np.repeat(np.arange(len(count)), count)
        item = order[np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)]
        other_camera = self.gallery_camids[item] != self.query_camids[query]
        keep = other_camera & self.listed[item]
        return query[keep], item[keep]

    def others(self, same_camera: SameCamera, columns: slice = slice(None)) -> Any:
        """The ranked items that are no match, a boolean ``[Q, columns]``."""
        pids, camids = self.gallery_pids[columns], self.gallery_camids[columns]
        mask = pids != self.query_pids[:, None]
        mask &= self.listed[columns] & (pids != JUNK)
        if same_camera == "all":
            mask &= camids != self.query_camids[:, None]
        return mask

    def all_but_matches(self, columns: slice = slice(None)) -> Any:
        """All items that are no match, those left out of a ranking too, ``[Q, columns]``."""
        pids, camids = self.gallery_pids[columns], self.gallery_camids[columns]
        mask = (pids != self.query_pids[:, None]) | (camids == self.query_camids[:, None])
        return mask & self.listed[columns]

    def blocks(self, size: int) -> Iterator[tuple[slice, "Labels"]]:
        """The same gallery with at most so many queries at a time, and which those are."""
        for rows in slices(0, len(self.query_pids), size):
            pids, camids = self.query_pids[rows], self.query_camids[rows]
            yield rows, replace(self, query_pids=pids, query_camids=camids)

    def gallery_where(self, keep: np.ndarray) -> "Labels":
        """The same queries with the gallery items where ``keep``, a boolean ``[G]``, is true."""
        names = ("gallery_pids", "gallery_camids", "listed")
        return replace(self, **{name: getattr(self, name)[keep] for name in names})

    def to(self, device: torch.device) -> "Labels":
        """The same as tensors on a device."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return Labels(**{name: torch.as_tensor(a, device=device) for name, a in arrays.items()})


def check_labels(
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    rows_of: tuple[Array, Array] | None = None,
) -> Labels:
    """Integer arrays of one entry a row of features or distances.

    Args:
        query_pids, gallery_pids, query_camids, gallery_camids: people and cameras.
        rows_of: What has a row a query, and what has a row a gallery item; None: only labels.

    Raises:
        ValueError: lengths that differ, labels that are not integers, junk among the queries, no
            query or no gallery item at all.
    """
    labels = Labels(
        _integers("query_pids", query_pids),
        _integers("gallery_pids", gallery_pids),
        _integers("query_camids", query_camids),
        _integers("gallery_camids", gallery_camids),
        np.ones(len(to_numpy(gallery_pids)), dtype=bool),
    )
    of_queries, of_gallery = rows_of or (labels.query_pids, labels.gallery_pids)
    _check_lengths("query", of_queries, labels.query_pids, labels.query_camids)
    _check_lengths("gallery", of_gallery, labels.gallery_pids, labels.gallery_camids)
    if not len(labels.query_pids) or not len(labels.gallery_pids):
        raise ValueError(
            f"{len(labels.query_pids)} queries and {len(labels.gallery_pids)} gallery items: "
            "give one of each at least"
        )
    junk = np.flatnonzero(labels.query_pids == JUNK)
    if len(junk):
        raise ValueError(
            f"query_pids: {len(junk)} queries are junk (pid -1), first at {junk[:5].tolist()}; "
            "drop them, only the gallery may hold junk"
        )
    return labels


def _integers(name: str, values: Array) -> np.ndarray:
    array = to_numpy(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            f"{name} must be a 1-D array of integers, "
            f"got {array.dtype} of shape {list(array.shape)}"
        )
    return np.require(array, np.int64, "W")  # torch takes none that cannot be written to


def _check_lengths(side: str, rows_of: Array, pids: np.ndarray, camids: np.ndarray) -> None:
    rows = (np.shape(rows_of) or (1,))[0]
    if not rows == len(pids) == len(camids):
        raise ValueError(
            f"{side}: {rows} rows, {len(pids)} people and {len(camids)} cameras; "
            "give one of each a tracklet"
        )
