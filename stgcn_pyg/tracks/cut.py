"""Cuts tracklets out of videos: images, and the manifest that lists them.

manifest.csv                                 a row an image, written when all cameras are cut
cut.json                                     what is cut, so that the same command continues
images/CAMERA/000012/000345.jpg              frame 345 of the camera, tracklet 12
"""

import errno
import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from stgcn_pyg.errors import UserError
from stgcn_pyg.files import PART, errors_of_writing, write_json, write_output
from stgcn_pyg.tracks.video import Frame, FrameFolder, Frames

MANIFEST = "manifest.csv"
STATE = "cut.json"
BOX = ("left", "top", "width", "height", "confidence")
END = b"\xff\xd9"  # of a JPEG file
WAITING = 4  # frames that wait to be cut, per thread


@dataclass(frozen=True)
class Camera:
    """A camera to cut tracklets from.

    Attributes:
        name: Its name, which its folder of images takes.
        frames: Its video.
        boxes: Its boxes by tracklet, as :func:`.make_tracklets` gives them.
        starts: Second of the cameras' common clock at which its first frame was taken.
    """

    name: str
    frames: Frames
    boxes: pd.DataFrame
    starts: float = 0.0

    @property
    def last_frame(self) -> int:
        """The last frame that has a box."""
        return int(self.boxes["frame"].max())


class Cut(NamedTuple):
    """What was cut."""

    manifest: pd.DataFrame
    """The rows of the manifest."""
    missing: dict[str, int]
    """Number of frames with boxes that could not be decoded, by camera; most have none."""
    kept: bool = False
    """Whether another manifest was there, such as one with labels, which was kept."""


def cut_tracklets(
    output: Path,
    cameras: Sequence[Camera],
    quality: int = 90,
    workers: int = 2,
    advance: Callable[[int], Any] = lambda frames: None,
) -> Cut:
    """Writes the images of tracklets and, at the end, their manifest, if there is none yet.

    A camera is decoded once, in order. If this is interrupted, the same call continues: an image
    that has its name is whole, and is not made again. The bytes are the same for any number of
    workers.

    Args:
        output: Folder to write, or to continue.
        cameras: The cameras; their numbers in the manifest count from 1 in this order.
        quality: Quality of the JPEG files, 1 to 95.
        workers: Number of threads that compress images.
        advance: Called with the number of frames that were passed since the last call.

    Raises:
        UserError: The folder holds something else or cannot be written, or no frame with a box can
            be decoded.
    """
    _begin(output, cameras, quality)
    rows, missing, first_number = [], {}, 0
    for camid, camera in enumerate(cameras, start=1):
        decoded = _cut_camera(output, camera, first_number, quality, workers, advance)
        rows.append(_rows(camera, camid, first_number, decoded))
        if decoded <= camera.last_frame:
            frame = camera.boxes["frame"]
            missing[camera.name] = int(frame[frame >= decoded].nunique())
        first_number += int(camera.boxes["tracklet"].max()) + 1
    table = pd.concat(rows, ignore_index=True)
    if table.empty:
        raise UserError(f"{output}: no frame with a box could be decoded: look at the videos")
    content = table.to_csv(index=False).encode()
    manifest = output / MANIFEST
    kept = manifest.is_file() and manifest.read_bytes() != content
    if not kept:
        write_output(manifest, content)
    return Cut(table, missing, kept)


def _begin(output: Path, cameras: Sequence[Camera], quality: int) -> None:
    """Begins the folder, or makes sure that the same is continued in it."""
    content = {"quality": quality, "cameras": [camera.name for camera in cameras]}
    for camera in cameras:
        content |= {f"{what} of {camera.name}": fact for what, fact in _facts(camera).items()}
    state = output / STATE
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: is a file: name a folder")
    if state.is_file():
        try:
            there = json.loads(state.read_text())
        except ValueError:
            there = {}
        known = there if isinstance(there, dict) else {}
        differs = [what for what in content if known.get(what) != content[what]]
        if differs:
            raise UserError(
                f"{output}: holds tracklets of another cut ({', '.join(differs)} differ): name "
                "another folder, or pass the same as then"
            )
        return
    if output.exists() and set(os.listdir(output)) - {STATE + PART}:
        raise UserError(f"{output}: holds something else: name a new folder")
    write_json(state, content)


def _facts(camera: Camera) -> dict[str, str]:
    """Digests of what is cut from a camera; files stand there by size and time of change."""
    frames, path = camera.frames, camera.frames.path
    times = None if frames.times is None else (frames.times + camera.starts).tolist()
    images = frames.images.values() if isinstance(frames, FrameFolder) else ()
    files = [(file.name, file.stat()) for file in images] or [("", path.stat())]
    states = [(name, state.st_size, state.st_mtime_ns) for name, state in files]
    facts = {
        "video": json.dumps([frames.count, frames.size, states]),
        "times": json.dumps(times),
        "boxes": camera.boxes.to_csv(index=False),
    }
    return {what: hashlib.sha256(fact.encode()).hexdigest() for what, fact in facts.items()}


def _cut_camera(
    output: Path,
    camera: Camera,
    first_number: int,
    quality: int,
    workers: int,
    advance: Callable[[int], Any],
) -> int:
    """Cuts a camera's boxes, and returns how many frames were decoded."""
    by_frame = camera.boxes.sort_values("frame", kind="stable")
    number = by_frame["frame"].to_numpy()
    edges = by_frame[["x0", "y0", "x1", "y1"]].to_numpy().tolist()
    paths = [output / path for path in _paths(camera.name, by_frame, first_number)]
    decoded = 0
    with errors_of_writing(output), ThreadPoolExecutor(workers) as pool:
        folders = dict.fromkeys(path.parent for path in paths)
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        there = {path for folder in folders for path in folder.iterdir()}
        waiting: deque[Future] = deque()
        for index, frame in enumerate(camera.frames):
            rows = range(*np.searchsorted(number, [index, index + 1]).tolist())
            todo = [(paths[row], edges[row]) for row in rows if paths[row] not in there]
            if todo:
                waiting.append(pool.submit(_write_boxes, frame, todo, quality))
            while len(waiting) > WAITING * workers:
                waiting.popleft().result()
            decoded = index + 1
            advance(1)
            if index == camera.last_frame:
                break
        for task in waiting:
            task.result()
    return decoded


def _paths(camera: str, boxes: pd.DataFrame, first_number: int) -> list[str]:
    """The path of each box's image from the manifest's folder."""
    numbers = (boxes["tracklet"] + first_number).tolist()
    return [
        f"images/{camera}/{tracklet:06d}/{frame:06d}.jpg"
        for tracklet, frame in zip(numbers, boxes["frame"].tolist(), strict=True)
    ]


def _write_boxes(frame: Frame, boxes: Sequence[tuple[Path, list[int]]], quality: int) -> None:
    pixels = frame.rgb()
    for path, (x0, y0, x1, y1) in boxes:
        part = path.with_name(path.name + PART)
        try:
            with part.open("w+b") as file:
                # Pillow lets other threads run while it writes to a file, but does not notice where
                # the last bytes had no room.
                Image.fromarray(pixels[y0:y1, x0:x1]).save(file, "JPEG", quality=quality)
                file.seek(-len(END), os.SEEK_END)
                if file.read() != END:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _rows(camera: Camera, camid: int, first_number: int, decoded: int) -> pd.DataFrame:
    """The manifest's rows of a camera, of the frames that were decoded."""
    boxes = camera.boxes[camera.boxes["frame"] < decoded]
    times = camera.frames.times
    found = {
        "path": _paths(camera.name, boxes, first_number),
        "camid": camid,
        "tracklet": boxes["tracklet"].to_numpy() + first_number,
        "frame": boxes["frame"].to_numpy(),
        "time": np.nan,
        "camera": camera.name,
        "track": boxes["track"].astype(str).to_numpy(),
        **{name: boxes[name].to_numpy() for name in BOX},
    }
    if times is not None:
        found["time"] = np.round(times[boxes["frame"].to_numpy()] + camera.starts, 6)
    return pd.DataFrame(found)
