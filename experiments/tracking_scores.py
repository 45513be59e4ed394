"""IDF1 and HOTA of linked tracklets, computed by TrackEval."""

from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg.errors import needs_extra

with needs_extra("test"):
    import trackeval


def tracking_scores(frames: pd.DataFrame, truth: pd.Series, linked: pd.Series) -> dict[str, float]:
    """IDF1 and HOTA, all frames of one camera after those of the other as one sequence.

    The boxes themselves are right; only who is in them is scored. Frames without boxes are taken
    as moments at which nobody else is seen.

    Args:
        frames: A row a frame: `tracklet`, and `camid`, `frame`, `left`, `top`, `width` and
            `height` where there are boxes.
        truth: The true identity by the number of the tracklet, a Series.
        linked: The linked identity likewise.
    """
    rows = frames[frames["tracklet"].isin(truth.index)].reset_index(drop=True)
    true, found = (
        np.unique(ids.loc[rows["tracklet"]], return_inverse=True)[1] for ids in (truth, linked)
    )
    has_boxes = "left" in rows
    moments = rows.groupby(["camid", "frame"]) if has_boxes else rows.groupby(rows.index)
    seen = list(moments.indices.values())
    boxes = rows[["left", "top", "width", "height"]].to_numpy() if has_boxes else None
    alone = np.ones((1, 1))
    similarity = [alone if boxes is None else overlaps(boxes[which]) for which in seen]
    data: dict[str, Any] = {
        "num_timesteps": len(seen),
        "num_gt_dets": len(rows),
        "num_tracker_dets": len(rows),
        "num_gt_ids": true.max() + 1,
        "num_tracker_ids": found.max() + 1,
        "gt_ids": [true[which] for which in seen],
        "tracker_ids": [found[which] for which in seen],
        "similarity_scores": similarity,
    }
    identity = trackeval.metrics.Identity({"PRINT_CONFIG": False}).eval_sequence(data)
    hota = trackeval.metrics.HOTA().eval_sequence(data)
    return {"IDF1": float(identity["IDF1"]), "HOTA": float(hota["HOTA"].mean())}


def overlaps(boxes: np.ndarray) -> np.ndarray:
    """The intersection over union of each box with each, `[n, n]`."""
    low, size = boxes[:, :2], boxes[:, 2:]
    high = low + size
    inner = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    inside = np.clip(inner, 0, None).prod(axis=2)
    area = size.prod(axis=1)
    return inside / (area[:, None] + area - inside)
