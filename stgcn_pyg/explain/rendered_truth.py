"""Where the person is in the frames of the rendered benchmark, and what of it is occluded."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError
from stgcn_pyg.synthetic import MASK_SHAPE

FILE = "ground_truth.parquet"


class RenderedTruth:
    """The ground truth of a rendered data set, by the path of a frame.

    Args:
        root: Folder of the data set.

    Raises:
        UserError: It has no ground truth.
    """

    def __init__(self, root: Path):
        columns = ["path", "hidden", "body_mask", "seen_mask"]
        try:
            self._table = pd.read_parquet(root / FILE, columns=columns).set_index("path")
        except (OSError, ValueError, KeyError) as error:
            raise UserError(
                f"{root / FILE}: cannot be read; this needs the ground truth that only a data set "
                "of `stgcn synth` has"
            ) from error

    def masks(self, frames: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Two masks of frames, ``[F, 16, 8]`` of bool: the whole body, and what is seen of it.

        Args:
            frames: Paths of F frames, relative to the root.
        """
        rows = self._table.loc[list(frames)]
        body, seen = (_unpacked(rows[name]) for name in ("body_mask", "seen_mask"))
        return body, seen & body

    def hidden(self, frames: Sequence[str]) -> np.ndarray:
        """The share of the body that is occluded in each frame, ``[F]``; NaN without a body."""
        return self._table["hidden"].loc[list(frames)].to_numpy()


def has_truth(root: Path) -> bool:
    """Whether a data set is a rendered one."""
    return (root / FILE).is_file()


def mean_hidden(truth: RenderedTruth, tracklets: pd.DataFrame, paths: pd.Series) -> np.ndarray:
    """The mean share of the body that is occluded in each tracklet, ``[N]``.

    The mean is over the tracklet's frames that show a body; it is NaN if none has.

    Args:
        truth: The ground truth of the tracklets' data set.
        tracklets: N rows of the data set's tables.
        paths: The paths of all frames of the data set.
    """
    means = []
    for first, count in zip(tracklets["first_frame"], tracklets["num_frames"], strict=True):
        hidden = truth.hidden(paths.iloc[first : first + count])
        hidden = hidden[~np.isnan(hidden)]
        means.append(hidden.mean() if len(hidden) else np.nan)
    return np.array(means)


def on_grid(masks: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The share of each cell of another grid that masks ``[F, m, n]`` fill."""
    down, across = _overlaps(masks.shape[1], rows), _overlaps(masks.shape[2], columns)
    return np.einsum("rm,fmn,cn->frc", down, masks.astype(np.float64), across)


def _overlaps(cells: int, bins: int) -> np.ndarray:
    """The share of each of ``bins`` equal parts of a line that each of ``cells`` parts takes."""
    cell_edges, bin_edges = np.arange(cells + 1) / cells, np.arange(bins + 1) / bins
    ends = np.minimum(bin_edges[1:, None], cell_edges[1:])
    begins = np.maximum(bin_edges[:-1, None], cell_edges[:-1])
    return np.maximum(ends - begins, 0) * bins


def covered_patches(
    body: np.ndarray, seen: np.ndarray, num_patches: int, threshold: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """Which horizontal patches are covered and which are not, two ``[F, P]`` of bool.

    A patch is covered if at least the share ``threshold`` of its body is occluded; a patch without
    any body is neither. ``body`` and ``seen`` are as :meth:`RenderedTruth.masks` gives them.
    """
    whole = on_grid(body, num_patches, 1)[..., 0]
    left = on_grid(seen, num_patches, 1)[..., 0]
    has_body = whole > 0
    hidden = 1 - np.divide(left, whole, out=np.ones_like(whole), where=has_body)
    covered = has_body & (hidden >= threshold - 1e-9)
    return covered, has_body & ~covered


def _unpacked(masks: pd.Series) -> np.ndarray:
    flat = np.frombuffer(b"".join(masks), np.uint8)
    return np.unpackbits(flat).reshape(-1, *MASK_SHAPE).astype(bool)
