"""The frames of a camera, in order and each with its time: a video, or a folder of images."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from stgcn_pyg.data.decoding import as_rgb, opened, read_file
from stgcn_pyg.errors import UserError, needs_extra
from stgcn_pyg.tracks.formats.sequence_info import read_sequence_info

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
UNEVEN = 0.25  # of the usual time between two frames: what a variable frame rate goes beyond


class Frames(ABC):
    """The frames of a camera, numbered from 0.

    Attributes:
        path: The video, or the folder of images.
        count: Number of frames that there should be; a truncated video gives fewer.
        size: Width and height of the frames, as they are seen, in pixels.
        times: Seconds from the first frame to each, ``[count]``; None where no rate is known.
        notes: What a user should know of them, a sentence each.
    """

    path: Path
    count: int
    size: tuple[int, int]
    times: np.ndarray | None
    notes: tuple[str, ...]

    @abstractmethod
    def __iter__(self) -> Iterator["Frame"]:
        """The frames in order; a UserError at one that is of another size."""

    def _require_size(self, frame: object, size: tuple[int, int]) -> None:
        if size != self.size:
            raise UserError(
                f"{frame}: is of {size[0]} x {size[1]} pixels, the first frame of {self.size[0]} x "
                f"{self.size[1]}: pass frames of one size"
            )


@dataclass(frozen=True)
class Frame:
    """One frame of a video or folder, which is converted to RGB only if it is asked for."""

    decoded: Any
    turns: int = 0

    def rgb(self) -> np.ndarray:
        """The frame, upright, ``[H, W, 3]`` of uint8."""
        if isinstance(self.decoded, np.ndarray):
            return self.decoded
        return np.rot90(self.decoded.to_ndarray(format="rgb24"), self.turns)


def open_frames(path: str | Path, fps: float | None = None) -> Frames:
    """Opens a video, or a folder whose images are named by numbers.

    Args:
        path: The video file or the folder.
        fps: Frames a second, where the video's own time stamps are wrong or a folder has none:
            there, images a second. A folder takes it from the ``seqinfo.ini`` of MOTChallenge in it
            or above it, if any.

    Raises:
        UserError: There is no such file, no video stream in it, or the numbers of the images have
            no one step.
    """
    path = Path(path)
    if fps is not None and not fps > 0:
        raise UserError(f"{path}: fps={fps}: pass a number above 0")
    if path.is_dir():
        return FrameFolder(path, fps)
    if not path.exists():
        raise UserError(f"{path}: no such video or folder of frames")
    return VideoFile(path, fps)


class VideoFile(Frames):
    """A video file, decoded by PyAV (extra ``video``), as :class:`Frames`.

    Its packets are read once at the beginning, without decoding: they give the number of frames
    and their times. A video that is stored turned is turned upright, as OpenCV and thus most
    trackers do.
    """

    def __init__(self, path: Path, fps: float | None = None):
        with needs_extra("video"):
            import av
        self.path = path
        self._av = av
        try:
            with av.open(str(path)) as container:
                # FFmpeg shows a text file as a video of its letters.
                if container.format.name == "tty":
                    raise UserError(f"{path}: is text, not a video: pass a video before the tracks")
                if not container.streams.video:
                    raise UserError(f"{path}: holds no video")
                stream = container.streams.video[0]
                promised, base = stream.frames, stream.time_base or Fraction(1)
                stamps = list(self._stamps(container, stream))
            first = next(iter(self._decoded()), None)
        except av.error.FFmpegError as error:
            raise UserError(
                f"{path}: cannot be read as a video ({error.strerror}): pass a video, or a folder "
                "of frames"
            ) from error
        if first is None:
            raise UserError(f"{path}: not one frame can be decoded")
        self.count = max(len(stamps), promised)
        self._turns = round(first.rotation / 90) % 4
        self.size = self._size(first)
        self.times, uneven = _seconds(stamps, base, fps, self.count)
        self.notes = (f"{path}: its frame rate varies; times are the video's own",) * uneven

    def __iter__(self) -> Iterator[Frame]:
        """The frames in order, as far as they can be decoded."""
        for number, frame in enumerate(self._decoded()):
            self._require_size(f"{self.path}: frame {number}", self._size(frame))
            yield Frame(frame, self._turns)

    def _size(self, frame: Any) -> tuple[int, int]:
        """Width and height of a decoded frame, upright."""
        width, height = frame.width, frame.height
        return (height, width) if self._turns % 2 else (width, height)

    def _stamps(self, container: Any, stream: Any) -> Iterator[int | None]:
        """The time stamp of each frame that is shown, in the order of the file."""
        try:
            for packet in container.demux(stream):
                # Packets that an edit list cuts off are decoded, and not shown.
                if packet.size and not packet.is_discard:
                    yield packet.pts
        except self._av.error.FFmpegError:
            return  # truncated

    def _decoded(self) -> Iterator:
        with self._av.open(str(self.path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            try:
                yield from container.decode(stream)
            except self._av.error.FFmpegError:
                return  # damaged from here on; whoever counts sees that frames are missing


def _seconds(
    stamps: list[int | None], base: Fraction, fps: float | None, count: int
) -> tuple[np.ndarray | None, bool]:
    """Seconds of each frame from the first, NaN where unknown; and whether the rate varies."""
    known = [stamp for stamp in stamps if stamp is not None]
    if fps is not None or len(set(known)) < len(stamps):
        return (None if fps is None else np.arange(count) / fps), False
    ticks = np.sort(np.array(known, np.int64))
    seconds = np.full(count, np.nan)
    seconds[: len(ticks)] = (ticks - ticks[:1]) * float(base)
    steps = np.diff(seconds[: len(ticks)])
    usual = np.median(steps) if len(steps) else 0
    return seconds, bool((np.abs(steps - usual) > UNEVEN * usual).any())


class FrameFolder(Frames):
    """Images of a folder whose names end in numbers of one step, as :class:`Frames`.

    Attributes:
        images: The images in order, by the numbers in their names.
    """

    def __init__(self, path: Path, fps: float | None = None):
        self.path = path
        self.images = _numbered(path)
        self.count = len(self.images)
        rate = fps or read_sequence_info([path, path.parent]).frame_rate
        self.times = None if rate is None else np.arange(self.count) / rate
        self.notes = ()
        if rate is None:
            self.notes = (f"{path}: has no frame rate, so no times are written: pass --fps",)
        if max(self.images) - min(self.images) >= self.count:
            self.notes += (f"{path}: its images have numbers apart, and are counted one by one",)
        height, width = self._read(next(iter(self.images.values()))).shape[:2]
        self.size = (width, height)

    def __iter__(self) -> Iterator[Frame]:
        """The images in the order of their numbers."""
        for image in self.images.values():
            pixels = self._read(image)
            height, width = pixels.shape[:2]
            self._require_size(image, (width, height))
            yield Frame(pixels)

    def _read(self, image: Path) -> np.ndarray:
        with opened(image, read_file(image)) as pixels:
            return np.asarray(as_rgb(image, pixels, pixels.height, pixels.width))


def _numbered(folder: Path) -> dict[int, Path]:
    """The images of a folder by their numbers; a UserError where one is missing or twice there.

    The numbers may go up by more than one, as WILDTRACK's do by 5.
    """
    images = [path for path in folder.iterdir() if path.suffix.lower() in IMAGES]
    if not images:
        raise UserError(f"{folder}: holds no images ({', '.join(IMAGES)})")
    numbers: dict[int, Path] = {}
    for path in sorted(images):
        found = re.search(r"(\d+)$", path.stem)
        if found is None:
            raise UserError(f"{path}: its name does not end in a number: name frames by numbers")
        number = int(found[1])
        if number in numbers:
            raise UserError(f"{path}: has the same number as {numbers[number].name}: remove one")
        numbers[number] = path
    ordered = sorted(numbers)
    step = min((after - before for before, after in pairwise(ordered)), default=1)
    for before, after in pairwise(ordered):
        if after != before + step:
            raise UserError(
                f"{folder}: frame {before + step} is missing between {numbers[before].name} and "
                f"{numbers[after].name}: number the frames without gaps, or pass the video"
            )
    return {number: numbers[number] for number in ordered}
