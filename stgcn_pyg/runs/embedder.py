"""A trained network as a function: from frames, or a video and its tracks, to vectors."""

import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from stgcn_pyg.data.decoding import read_image, upright_rgb
from stgcn_pyg.data.sampling import TestClips, clips_at_test
from stgcn_pyg.data.transforms import normalize
from stgcn_pyg.errors import UserError, needs_extra, require_known, whole_number
from stgcn_pyg.evaluation import pairwise_distances
from stgcn_pyg.evaluation.arrays import to_numpy
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.checkpoint import load_with_digest
from stgcn_pyg.tracks import Tracks, read_tracks
from stgcn_pyg.tracks.tracklets import by_pictures, make_tracklets, require_fitting
from stgcn_pyg.tracks.video import open_frames

with needs_extra("train"):
    from stgcn_pyg.runs.devices import device_for, tf32_allowed
    from stgcn_pyg.runs.settings import Accelerator
    from stgcn_pyg.runs.settings_files import flatten, nest, renamed

Picture = str | Path | np.ndarray | Image.Image


class EmbeddedTracklets(NamedTuple):
    """The tracklets of a video with their embeddings."""

    tracklets: pd.DataFrame
    """A row a tracklet: ``track``, ``first_frame``, ``last_frame`` and ``num_frames``."""
    embeddings: np.ndarray
    """``[N, D]`` of float32, in the order of the rows."""


class Embedder:
    """A trained network that gives tracklets vectors: near for one person, far for two.

    Args:
        run: Folder of a run, a checkpoint, or a network.
        height: Height that frames are resized to; the run's own if not given.
        width: Width that frames are resized to, likewise.
        test_clips: Clips of a tracklet whose embeddings are averaged, as in
            :class:`.TrackletDataModule`; the run's own choice if not given.
        clips_per_batch: Number of clips to embed at once.
        accelerator: Where to embed; auto means a CUDA GPU if there is one.

    Attributes:
        checkpoint_sha256: SHA-256 of the checkpoint; None for a network.

    Raises:
        UserError: There is no such checkpoint, a network comes without height and width, or an
            argument is of no use.

    Example:
        >>> from stgcn_pyg import STGCN
        >>> model = STGCN(4, num_frames=2, backbone="resnet18", weights=None)
        >>> embedder = Embedder(model, height=64, width=32)
        >>> frames = [np.zeros((90, 40, 3), np.uint8), np.ones((88, 41, 3), np.uint8)]
        >>> vector = embedder.embed(frames)
        >>> vector.shape, float(embedder.compare(vector, vector))
        ((1536,), 0.0)
    """

    def __init__(
        self,
        run: str | Path | STGCN,
        *,
        height: int | None = None,
        width: int | None = None,
        test_clips: TestClips | None = None,
        clips_per_batch: int = 32,
        accelerator: Accelerator = "auto",
    ):
        data: dict[str, Any] = {}
        self._arithmetic: Callable[[], AbstractContextManager[None]] = nullcontext
        self.checkpoint_sha256: str | None = None
        if isinstance(run, STGCN):
            model = run
            if height is None or width is None:
                raise UserError("height and width: pass those that the network was trained with")
        else:
            model, config, self.checkpoint_sha256 = load_with_digest(Path(run))
            settings = nest(renamed(flatten(config)))
            data = settings.get("data", {})
            # As `stgcn extract` embeds.
            self._arithmetic = partial(tf32_allowed, settings.get("tf32", True))
        self.device = device_for(accelerator)
        self.model = model.to(self.device).eval()
        height = data.get("height", 256) if height is None else height
        width = data.get("width", 128) if width is None else width
        self.height, self.width = whole_number("height", height), whole_number("width", width)
        rows, columns = self.model.backbone.map_size(self.height, self.width)
        patches = max(getattr(branch, "num_patches", 1) for branch in model.branches.values())
        if rows < patches:
            raise UserError(
                f"height={self.height} gives feature maps of {rows} x {columns}, too few rows for "
                f"{patches} patches: pass at least {-(-self.height // rows) * patches}"
            )
        if test_clips is None:
            test_clips = data.get("test_clips", "all")
        self.test_clips: TestClips = test_clips
        require_known(test_clips=(self.test_clips, TestClips))
        self.clips_per_batch = whole_number("clips_per_batch", clips_per_batch)

    def embed(self, frames: Iterable[Picture]) -> np.ndarray:
        """The vector of one tracklet.

        Args:
            frames: Its frames in the order of time, each cut to the person: paths of images,
                arrays ``[H, W, 3]`` of uint8 (RGB), or Pillow's images, of any sizes.

        Returns:
            ``[D]`` of float32: the mean over the clips, of paths the vector of `stgcn extract`.
            A JPEG file of at least twice the network's height and width is decoded at a half of its
            size or less, so that the same image as an array has a slightly different vector.

        Raises:
            UserError: There is no frame, or one cannot be read or is of another kind.
        """
        try:
            given = iter(() if isinstance(frames, str | Path) else frames)
        except TypeError:
            given = iter(())
        resized = [self._resized(place, frame) for place, frame in enumerate(given)]
        if not resized:
            raise UserError("frames: pass a list of the tracklet's frames, at least one")
        return self._embed(np.stack(resized))

    def embed_video(
        self,
        video: str | Path,
        tracks: str | Path | Tracks,
        *,
        format: str = "auto",
        camera: str | None = None,
        fps: float | None = None,
        max_gap: int = 30,
        every: int = 1,
        min_frames: int = 1,
        margin: float = 0.0,
    ) -> EmbeddedTracklets:
        """The vectors of a video's tracklets, without files in between.

        The video is decoded once; the pixels of a tracklet are kept until its last frame.

        Args:
            video: Video file, or folder of numbered frames.
            tracks: A tracker's file, as :func:`.read_tracks` reads it, or what that gave.
            format: Format of the file of tracks.
            camera: Name of the camera that the video is of, where the tracks are of several.
            fps: Frames a second, where the video's own times are wrong.
            max_gap: As in :func:`.make_tracklets`, also ``every``, ``min_frames`` and ``margin``.
            every: Distance between two frames of a tracklet that are kept.
            min_frames: Smallest number of kept frames of a tracklet.
            margin: Share of a box's size that is added on each side.

        Raises:
            UserError: Video or tracks cannot be read, or do not fit each other, or the tracks are
                of several cameras and ``camera`` names none of them.

        Warns:
            UserWarning: The video is truncated: what could be decoded is embedded. Or the tracks
                may count frames in another way than the video, as `stgcn tracklets` says it.
        """
        frames = open_frames(video, fps)
        read = tracks
        if not isinstance(read, Tracks):
            read = read_tracks(read, format, camera=camera or "", image_size=frames.size)
        read = by_pictures(str(video), _of_one_camera(str(video), read, camera), frames)
        for note in require_fitting(str(video), read, frames):
            warnings.warn(note, stacklevel=2)
        boxes = make_tracklets(
            read.table,
            frames.size,
            max_gap=max_gap,
            every=every,
            min_frames=min_frames,
            margin=margin,
        )
        if boxes.empty:
            raise UserError(f"{video}: no tracklet has min_frames={min_frames} frames")
        ends = boxes.groupby("tracklet")["frame"].last()
        by_frame = dict(iter(boxes.groupby("frame")))
        cut: dict[int, list[np.ndarray]] = {number: [] for number in ends.index}
        vectors: dict[int, np.ndarray] = {}
        decoded = 0
        for number, frame in enumerate(frames):
            decoded = number + 1
            if number in by_frame:
                pixels = frame.rgb()
                for box in by_frame[number].itertuples():
                    person = pixels[box.y0 : box.y1, box.x0 : box.x1]
                    cut[box.tracklet].append(self._resized(number, person))
                    if ends[box.tracklet] == number:
                        vectors[box.tracklet] = self._embed(np.stack(cut.pop(box.tracklet)))
            if number >= ends.max():
                break
        if missing := sum(number >= decoded for number in by_frame):
            warnings.warn(
                f"{video}: {missing:,} frame{'s' * (missing > 1)} with boxes could not be decoded "
                "(the video is truncated or damaged): the tracklets end before that",
                stacklevel=2,
            )
        # Those that a truncated video has ended early.
        vectors |= {number: self._embed(np.stack(some)) for number, some in cut.items() if some}
        seen = boxes[boxes["frame"] < decoded].groupby("tracklet")
        table = seen.agg(
            track=("track", "first"),
            first_frame=("frame", "first"),
            last_frame=("frame", "last"),
            num_frames=("frame", "size"),
        )
        if table.empty:
            raise UserError(f"{video}: no frame with a box could be decoded: look at the video")
        return EmbeddedTracklets(table, np.stack([vectors[number] for number in table.index]))

    @staticmethod
    def compare(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The Euclidean distances of vectors: small for one person, large for two.

        Args:
            a: A vector ``[D]``, or several ``[A, D]``.
            b: A vector ``[D]``, or several ``[B, D]``.

        Returns:
            A distance of no dimension for two vectors, ``[A]`` or ``[B]`` for one and several,
            ``[A, B]`` otherwise.
        """
        a, b = to_numpy(a), to_numpy(b)
        distances = pairwise_distances(np.atleast_2d(a), np.atleast_2d(b)).numpy()
        return distances.reshape(a.shape[:-1] + b.shape[:-1])

    def _resized(self, place: int, frame: Picture) -> np.ndarray:
        if isinstance(frame, str | Path):
            return read_image(Path(frame), self.height, self.width)
        if isinstance(frame, np.ndarray):
            if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
                raise UserError(
                    f"frames: number {place} is {frame.dtype} of shape {list(frame.shape)}: pass "
                    "[height, width, 3] of uint8, RGB"
                )
            frame = Image.fromarray(frame)
        if not isinstance(frame, Image.Image):
            raise UserError(
                f"frames: number {place} is a {type(frame).__name__}: pass a path, an array or an "
                "image of Pillow"
            )
        if 0 in frame.size:
            raise UserError(
                f"frames: number {place} is {frame.width} x {frame.height}: pass a whole image"
            )
        try:
            rgb = upright_rgb(f"frames: number {place}", frame)
        except (UserError, MemoryError):
            raise
        except Exception as error:  # Pillow raises a dozen types on damaged files
            raise UserError(
                f"frames: number {place} cannot be decoded ({error}): pass a whole image"
            ) from error
        return np.asarray(rgb.resize((self.width, self.height), Image.Resampling.BILINEAR))

    @torch.inference_mode()
    def _embed(self, frames: np.ndarray) -> np.ndarray:
        """The vector of one tracklet's resized frames ``[n, H, W, 3]``."""
        clips = clips_at_test(self.test_clips, len(frames), self.model.num_frames)
        found: list[Tensor] = []
        for start in range(0, len(clips), self.clips_per_batch):
            some = torch.from_numpy(frames[clips[start : start + self.clips_per_batch]])
            pixels = some.to(self.device).permute(0, 1, 4, 2, 3).float() / 255
            normalized = normalize(pixels, self.model.mean, self.model.std)
            with self._arithmetic():
                found.append(self.model(normalized).embedding.float().cpu())
        return torch.cat(found).sum(dim=0).div(len(clips)).numpy()


def _of_one_camera(video: str, tracks: Tracks, camera: str | None) -> Tracks:
    """The tracks of the named camera where there are several, as :func:`.read_tracks` picks it."""
    table = tracks.table
    names = sorted(table["camera"].unique())
    if len(names) < 2:
        return tracks
    if camera in names:
        return replace(tracks, table=table[table["camera"] == camera])
    known = ", ".join(name or "(no name)" for name in names)
    raise UserError(
        f"{video}: its tracks are of several cameras ({known}): name the one that the video is of "
        "by camera (`stgcn search`: --tracks-camera)"
    )
