"""Label Studio's JSON of `videorectangle`: a box at some frames, linear in between."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stgcn_pyg.tracks.boxes import ENTRY_ERRORS, PEOPLE, Boxes, one_name, refuse_entry
from stgcn_pyg.tracks.formats.rows import Rows

SIDES = ("x", "y", "width", "height")
LONGEST = 10_000_000  # frames, which is four days of video: a larger number is a mistake


def read_labelstudio(path: Path, content: Any) -> Boxes:
    """The boxes of an export, or of one annotation's list of results; a camera a task.

    A keyframe whose `enabled` is false is the last before a gap; after the last keyframe that is
    enabled the box stays to the video's end, as Label Studio shows it. If a task was annotated
    several times, the first annotation counts.
    """
    rows = Rows("class", "camera")
    lengths = set()
    where, turned = "", 0
    try:
        tasks = list(_tasks(content))
        for name, (_, results) in zip(one_name([t[0] for t in tasks]), tasks, strict=True):
            for region in results:
                if region.get("type") != "videorectangle":
                    continue
                where = f"region {region.get('id')!r}"
                value = region["value"]
                lengths.add(value.get("framesCount"))
                labels = value.get("labels") or [""]
                turned += any(key.get("rotation") for key in value["sequence"])
                for frame, box in _boxes(value["sequence"], value.get("framesCount")):
                    rows.add(frame, region["id"], list(box / 100), labels[0], name)
    except ENTRY_ERRORS as error:
        refuse_entry(path, where, error)
    assumed = ["boxes between keyframes are linear, and the last one stays if it is enabled"]
    if turned:
        assumed.append(f"{turned} regions are turned, and read as if they were upright")
    return Boxes(
        format="labelstudio",
        table=rows.table(),
        first_frame=1,
        assumed=assumed,
        people=PEOPLE,
        own_words=True,
        relative=True,
        num_frames=lengths.pop() if len(lengths) == 1 else None,
        row="box {}".format,
    )


def _tasks(content: list) -> Iterator[tuple[str, list]]:
    """The name of each task, and its regions."""
    if not content or "annotations" not in content[0]:
        yield "", content
        return
    for task in content:
        made = [one for one in task["annotations"] if not one.get("was_cancelled")]
        yield str(task["id"]), made[0]["result"] if made else []


def _boxes(sequence: list[dict], length: int | None) -> Iterator[tuple[int, np.ndarray]]:
    """The frames in which a region is, and its boxes in per cent.

    Of two keyframes at one frame the last in the file counts.
    """
    by_frame = {int(key["frame"]): key for key in sequence}
    keys = [by_frame[frame] for frame in sorted(by_frame)]
    if keys and max(int(keys[-1]["frame"]), int(length or 0)) > LONGEST:
        raise ValueError(f"more than {LONGEST:,} frames")
    for key, after in zip(keys, [*keys[1:], None], strict=True):
        frame, box = int(key["frame"]), np.array([float(key[side]) for side in SIDES])
        last = frame
        if key.get("enabled", True):
            last = int(after["frame"]) - 1 if after else max(frame, int(length or 0))
        target = box if after is None else np.array([float(after[side]) for side in SIDES])
        span = 1 if after is None else int(after["frame"]) - frame
        for now in range(frame, last + 1):
            yield now, box + (target - box) * ((now - frame) / span)
