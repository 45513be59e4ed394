"""Tracklets out of a camera's tracks: where tracks are split, and which pixels are cut."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError, finite_number, whole_number
from stgcn_pyg.tracks.table import Tracks
from stgcn_pyg.tracks.video import FrameFolder, Frames

OUTSIDE = 0.5  # share of boxes beyond the picture from which on the tracks are not of this video
CLIPPED = 0.1  # share of boxes that reach beyond the picture, from which on that is odd
CORNERS = (
    "width and height of every box look like its right and lower edge (see --preview); write "
    "width and height into the file of tracks"
)


def make_tracklets(
    table: pd.DataFrame,
    size: tuple[int, int],
    *,
    max_gap: int = 30,
    every: int = 1,
    min_frames: int = 1,
    margin: float = 0.0,
) -> pd.DataFrame:
    """The boxes of one camera by tracklet: a track, split where it was lost for long.

    Args:
        table: Boxes of the camera, as :class:`.Tracks` holds them.
        size: Width and height of the video, in pixels.
        max_gap: Largest number of frames without a box between two boxes of a tracklet.
        every: Distance, in frames of the video, between two frames of a tracklet that are kept: of
            each stretch of so many frames, counted from the tracklet's first, the first box.
        min_frames: Smallest number of kept frames of a tracklet; shorter ones are left out.
        margin: Share of the box's width and height that is added on each side.

    Returns:
        The table's columns and ``tracklet``, numbered from 0 by first frame, and the pixels to cut,
        ``x0``, ``y0``, ``x1`` and ``y1`` (half open, within the picture), ordered by tracklet and
        frame. Boxes of no pixel are left out.

    Raises:
        UserError: A number is below 0, or ``every`` or ``min_frames`` is 0.

    Example:
        >>> table = pd.DataFrame({"frame": [0, 1, 90], "track": "7", "left": 2.0, "top": 0.0,
        ...                       "width": 10.0, "height": 20.0})
        >>> make_tracklets(table, (640, 480))[["tracklet", "frame", "x0", "x1"]].values.tolist()
        [[0, 0, 2, 12], [0, 1, 2, 12], [1, 90, 2, 12]]
    """
    whole_number("max_gap", max_gap, least=0)
    whole_number("every", every)
    whole_number("min_frames", min_frames)
    finite_number("margin", margin)
    beside, above = (table[side] * margin for side in ("width", "height"))
    left, top = table["left"], table["top"]
    edges = {
        "x0": (left - beside, size[0]),
        "y0": (top - above, size[1]),
        "x1": (left + table["width"] + beside, size[0]),
        "y1": (top + table["height"] + above, size[1]),
    }
    rounded = {
        name: np.floor(edge + 0.5).clip(0, end).astype(np.int64)
        for name, (edge, end) in edges.items()
    }
    boxes = table.assign(**rounded)
    boxes = boxes[(boxes["x1"] > boxes["x0"]) & (boxes["y1"] > boxes["y0"])]
    boxes = boxes.sort_values(["track", "frame"], kind="stable")
    track = boxes["track"].astype(str).to_numpy()
    frame = boxes["frame"].to_numpy()
    begins = np.ones(len(boxes), bool)
    begins[1:] = (track[1:] != track[:-1]) | (np.diff(frame) - 1 > max_gap)
    tracklet = np.cumsum(begins) - 1
    stretch = (frame - frame[begins][tracklet]) // every
    kept = begins.copy()
    kept[1:] |= stretch[1:] != stretch[:-1]
    boxes, tracklet = boxes[kept], tracklet[kept]
    enough = np.bincount(tracklet)[tracklet] >= min_frames if len(boxes) else kept
    boxes, tracklet = boxes[enough], tracklet[enough]
    # Numbered by first frame; of two that begin together, by the order of their tracks' names.
    first = boxes.groupby(tracklet)["frame"].first()
    order = first.sort_values(kind="stable").index
    number = pd.Series(np.arange(len(order)), order)
    boxes = boxes.assign(tracklet=number.reindex(tracklet).to_numpy(np.int64))
    return boxes.sort_values(["tracklet", "frame"], kind="stable").reset_index(drop=True)


def by_pictures(where: str, tracks: Tracks, frames: Frames) -> Tracks:
    """The tracks with their frames counted as a folder's pictures are, if they name these.

    Args:
        where: Name of the camera or video, with which messages begin.
        tracks: The tracks; others than of pictures' names are given back as they are.
        frames: The video.

    Raises:
        UserError: A picture is not in the folder.
    """
    if tracks.pictures is None or not isinstance(frames, FrameFolder):
        return tracks
    first, form = tracks.pictures
    if not all(re.fullmatch(form, image.stem) for image in frames.images.values()):
        return tracks
    number = tracks.table["frame"] + first
    place = pd.Index(frames.images).get_indexer(number)
    if (place < 0).any():
        raise UserError(
            f"{where}: the tracks are of picture {number[place < 0].iat[0]}, which is not there: "
            "pass the folder that was tracked (or --first-frame, if they count in another way)"
        )
    before = f"frame {first} is the video's first"
    assumed = [sentence for sentence in tracks.assumed if sentence != before]
    assumed.append(f"frame {min(frames.images)} is {next(iter(frames.images.values())).name}")
    table = tracks.table.assign(frame=place)
    return replace(tracks, table=table, assumed=tuple(assumed), pictures=None)


def require_fitting(where: str, tracks: Tracks, frames: Frames) -> list[str]:
    """Holds tracks against their video, before anything is cut.

    Args:
        where: Name of the camera or video, with which messages begin.
        tracks: The tracks.
        frames: The video.

    Returns:
        What is odd but can be right, a sentence each.

    Raises:
        UserError: There are no boxes, the tracks begin before the video or end behind it, are of
            pictures of another size, or most of their boxes lie beyond the picture.
    """
    table = tracks.table
    if table.empty:
        raise UserError(f"{where}: its tracks hold no box: see what was dropped, and why")
    first, last = int(table["frame"].min()), int(table["frame"].max())
    if first < 0:
        raise UserError(
            f"{where}: the tracks begin at frame {first}, before the video's frame 0: pass the "
            "number that they give to the video's first frame as --first-frame"
        )
    if last >= frames.count:
        raise UserError(
            f"{where}: the tracks end at frame {last:,} (counted from 0), but the video has "
            f"{frames.count:,} frames: is it truncated, or another one? (--first-frame and "
            "--stride say how the tracks count)"
        )
    size = tracks.image_size
    if size is not None and tuple(size) != frames.size:
        raise UserError(
            f"{where}: is of {frames.size[0]} x {frames.size[1]} pixels, the tracks of "
            f"{size[0]} x {size[1]}: pass the video that was tracked"
        )
    width, height = frames.size
    middle = table["left"] + table["width"] / 2, table["top"] + table["height"] / 2
    outside = ~(middle[0].between(0, width) & middle[1].between(0, height))
    if outside.mean() > OUTSIDE:
        advice = CORNERS if _may_be_corners(table, width, height) else "pass the video they are of"
        raise UserError(
            f"{where}: {outside.sum():,} of {len(table):,} boxes have their middle beyond its "
            f"{width} x {height} pixels: {advice}"
        )
    return _odd(where, tracks, frames, last)


def _odd(where: str, tracks: Tracks, frames: Frames, last: int) -> list[str]:
    said, told = [], tracks.num_frames
    if told is not None and told != frames.count:
        said.append(f"{where}: has {frames.count:,} frames, the tracks are of a video of {told:,}")
    for stride in (2, 3, 4, 5, 10):
        whole = (last + 1) * stride
        if last > 10 and abs(whole - frames.count) < 2 * stride:
            said.append(
                f"{where}: the tracks end at frame {last:,} of {frames.count:,}, near one in "
                f"{stride}: if the tracker read every {stride}th frame, pass --stride {stride}"
            )
    number = np.unique(tracks.table["frame"])
    step = int(np.gcd.reduce(np.diff(number))) if len(number) > 2 else 1
    if step > 1:
        said.append(f"{where}: the tracks have boxes in every {step}th frame only")
    if _may_be_corners(tracks.table, *frames.size):
        said.append(f"{where}: many boxes reach beyond the picture: {CORNERS}")
    return said


def _may_be_corners(table: pd.DataFrame, width: int, height: int) -> bool:
    """Whether boxes would fit the picture if width and height were the right and lower edge."""
    right, bottom = table["width"], table["height"]
    fits = (right > table["left"]) & (bottom > table["top"]) & (right <= width) & (bottom <= height)
    beyond = (table["left"] + right > width) | (table["top"] + bottom > height)
    return bool(fits.all() and beyond.mean() > CLIPPED)
