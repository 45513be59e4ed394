"""The people and cameras of queries and gallery, checked once, and who counts for whom."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from stgcn_pyg.evaluation.result import SameCamera

JUNK = -1

Array = npt.ArrayLike | torch.Tensor


@dataclass(frozen=True, eq=False)
class Labels:
    """Four integer arrays: ``query_*`` of length Q, ``gallery_*`` of length G."""

    query_pids: np.ndarray
    gallery_pids: np.ndarray
    query_camids: np.ndarray
    gallery_camids: np.ndarray

    def masks(self, query: int, same_camera: SameCamera) -> tuple[np.ndarray, np.ndarray]:
        """The query's matches and the items left out of its ranking, two boolean ``[G]``."""
        same_person = self.gallery_pids == self.query_pids[query]
        left_out = self.gallery_camids == self.query_camids[query]
        if same_camera == "person":
            left_out &= same_person
        left_out |= self.gallery_pids == JUNK
        return same_person & ~left_out, left_out

    def keep_gallery(self, keep: np.ndarray) -> "Labels":
        """The same queries against the gallery items where ``keep``, a boolean ``[G]``, is true."""
        return replace(
            self, gallery_pids=self.gallery_pids[keep], gallery_camids=self.gallery_camids[keep]
        )


def to_numpy(array: Array) -> np.ndarray:
    """The array on the host, without a copy where it can be had without one."""
    if not isinstance(array, torch.Tensor):
        return np.asarray(array)
    array = array.detach().cpu()
    return array.float().numpy() if array.dtype == torch.bfloat16 else array.numpy()


def check_labels(
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    num_queries: int | None = None,
    num_gallery: int | None = None,
) -> Labels:
    """Integer arrays of one entry a row of features or distances.

    Args:
        query_pids, gallery_pids, query_camids, gallery_camids: people and cameras.
        num_queries, num_gallery: rows that the labels are for; None: as many as there are people.

    Raises:
        ValueError: lengths that differ, labels that are not integers, junk among the queries.
    """
    labels = Labels(
        _integers("query_pids", query_pids),
        _integers("gallery_pids", gallery_pids),
        _integers("query_camids", query_camids),
        _integers("gallery_camids", gallery_camids),
    )
    _check_lengths("query", num_queries, labels.query_pids, labels.query_camids)
    _check_lengths("gallery", num_gallery, labels.gallery_pids, labels.gallery_camids)
    junk = np.flatnonzero(labels.query_pids == JUNK)
    if len(junk):
        raise ValueError(
            f"query_pids: {len(junk)} queries are junk (pid -1), first at {junk[:5].tolist()}; "
            "drop them, only the gallery may hold junk"
        )
    return labels


def _integers(name: str, values: Array) -> np.ndarray:
    array = to_numpy(values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must be a 1-D array of integers, "
            f"got {array.dtype} of shape {list(array.shape)}"
        )
    return array.astype(np.int64, copy=False)


def _check_lengths(side: str, rows: int | None, pids: np.ndarray, camids: np.ndarray) -> None:
    rows = len(pids) if rows is None else rows
    if not rows == len(pids) == len(camids):
        raise ValueError(
            f"{side}: {rows} rows, {len(pids)} people and {len(camids)} cameras; "
            "give one of each a tracklet"
        )
