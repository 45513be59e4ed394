"""Scalabel's JSON, as BDD100K has it: a list of frames with their labels."""

from pathlib import Path
from typing import Any

from stgcn_pyg.tracks.boxes import ENTRY_ERRORS, Boxes, one_name, refuse_entry
from stgcn_pyg.tracks.formats.rows import Rows, corners


def read_scalabel(path: Path, content: Any) -> Boxes:
    """The boxes of a Scalabel file. Its right and bottom are the last column and row of a box."""
    config = content.get("config", {}) if isinstance(content, dict) else {}
    frames = content["frames"] if isinstance(content, dict) else content
    rows = Rows("class", "camera")
    where = ""
    try:
        names = [str(frame.get("videoName", frame.get("video_name", ""))) for frame in frames]
        for frame, camera in zip(frames, one_name(names), strict=True):
            where = f"frame {frame.get('name')!r}"
            for label in frame.get("labels") or ():
                if not label.get("box2d"):
                    continue  # a lane, or a mask
                left, top, width, height = corners(
                    *(label["box2d"][side] for side in ("x1", "y1", "x2", "y2"))
                )
                crowd = (label.get("attributes") or {}).get("crowd")
                reason = "ignore flag" if crowd else ""
                box = (left, top, width + 1, height + 1)
                number = frame.get("frameIndex", frame.get("frame_index"))
                if number is None:
                    raise KeyError("frameIndex")
                rows.add(number, label["id"], box, label["category"], camera, reason=reason)
        size = config.get("imageSize")
        image_size = (int(size["width"]), int(size["height"])) if size else None
    except ENTRY_ERRORS as error:
        refuse_entry(path, where, error)
    return Boxes(
        format="scalabel",
        table=rows.table(),
        first_frame=0,
        assumed=["x2 and y2 are the last column and row of a box", "frames by frameIndex"],
        left_out=rows.left_out(),
        people=("pedestrian", "person", "other person"),
        image_size=image_size,
        row="label {}".format,
    )
