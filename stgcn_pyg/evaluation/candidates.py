"""Which gallery items are candidates of a query: junk and what its own camera saw are not."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch

from stgcn_pyg import JUNK
from stgcn_pyg.evaluation.arrays import Array, slices, to_integers
from stgcn_pyg.evaluation.result import SameCamera


@dataclass(frozen=True, eq=False)
class Labels:
    """Identities and cameras of Q queries and G gallery items, arrays or tensors of integers.

    ``listed``, a boolean ``[G]``, is false for items that a protocol takes out of the gallery: they
    take no place in any list.
    """

    query_pids: Any
    gallery_pids: Any
    query_camids: Any
    gallery_camids: Any
    listed: Any

    @property
    def num_listed(self) -> int:
        """How many items the gallery holds."""
        return int(self.listed.sum())

    def matches(self) -> tuple[np.ndarray, np.ndarray]:
        """Every query with each of its matches, by query: two integer ``[M]``.

        A match is of the query's identity, seen by another camera.
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

    def others(self, same_camera: SameCamera | None, columns: slice = slice(None)) -> Any:
        """The ranked items that are no match, a boolean ``[Q, columns]``.

        With None in place of a rule for the query's camera: all items that are no match, those
        that a ranking leaves out too.
        """
        pids, camids = self.gallery_pids[columns], self.gallery_camids[columns]
        mask = pids != self.query_pids[:, None]
        if same_camera is None:
            mask |= camids == self.query_camids[:, None]
            return mask & self.listed[columns]
        mask &= self.listed[columns] & (pids != JUNK)
        if same_camera == "all":
            mask &= camids != self.query_camids[:, None]
        return mask

    def blocks(self, size: int) -> Iterator[tuple[slice, "Labels"]]:
        """Parts of at most so many queries, with the whole gallery, and which queries those are."""
        for rows in slices(0, len(self.query_pids), size):
            pids, camids = self.query_pids[rows], self.query_camids[rows]
            yield rows, replace(self, query_pids=pids, query_camids=camids)

    def of_gallery(self, keep: np.ndarray) -> "Labels":
        """The same queries with some of the gallery: those where a boolean ``[G]`` is true."""
        names = ("gallery_pids", "gallery_camids", "listed")
        return replace(self, **{name: getattr(self, name)[keep] for name in names})

    def to(self, device: torch.device) -> "Labels":
        """The same labels as tensors on a device."""
        return Labels(
            *(torch.as_tensor(getattr(self, field.name), device=device) for field in fields(self))
        )


def check_labels(
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    rows_of: tuple[Array, Array] | None = None,
) -> Labels:
    """The labels as integer arrays.

    Args:
        rows_of: What has a row a query, and what has a row a gallery item; None: only labels.

    Raises:
        ValueError: Lengths that differ, labels that are not integers, junk among the queries, no
            query or no gallery item at all.
    """
    of_queries, of_gallery = rows_of or (None, None)
    queries, query_cameras = _side("query", query_pids, query_camids, of_queries)
    gallery, gallery_cameras = _side("gallery", gallery_pids, gallery_camids, of_gallery)
    if not len(queries) or not len(gallery):
        raise ValueError(
            f"{len(queries)} queries and {len(gallery)} gallery items: give one of each at least"
        )
    _refuse_junk("query_pids", queries, "queries", "drop them, only the gallery may hold junk")
    listed = np.ones(len(gallery), dtype=bool)
    return Labels(queries, gallery, query_cameras, gallery_cameras, listed)


def check_tracklets(pids: Array, camids: Array, features: Array) -> Labels:
    """The labels of N tracklets, each of which is compared with the others.

    Raises:
        ValueError: Lengths that differ, labels that are not integers, junk, no tracklet at all.
    """
    people, cameras = _side("", pids, camids, features)
    if not len(people):
        raise ValueError("no tracklet: give some of at least two identities")
    _refuse_junk("pids", people, "tracklets", "drop them")
    return Labels(people, people, cameras, cameras, np.ones(len(people), dtype=bool))


def _side(side: str, pids: Array, camids: Array, rows_of: Array | None) -> Any:
    """The identities and the cameras of queries, of a gallery, or, with "" as side, of all."""
    prefix = side and f"{side}_"
    pids, camids = to_integers(f"{prefix}pids", pids), to_integers(f"{prefix}camids", camids)
    counts = {"identities": len(pids), "cameras": len(camids)}
    if rows_of is not None:
        counts = {"rows": (np.shape(rows_of) or (1,))[0]} | counts
    if len(set(counts.values())) > 1:
        *first, last = (f"{count} {what}" for what, count in counts.items())
        given = f"{', '.join(first)} and {last}"
        raise ValueError(f"{side and f'{side}: '}{given}; give one of each a tracklet")
    return pids, camids


def _refuse_junk(name: str, pids: np.ndarray, what: str, advice: str) -> None:
    junk = np.flatnonzero(pids == JUNK)
    if len(junk):
        raise ValueError(
            f"{name}: {len(junk)} {what} are junk (pid -1), first at {junk[:5].tolist()}; {advice}"
        )
