"""Which frames of a tracklet make a clip, in training and at test.

A tracklet of ``n`` frames gives clips of ``T``; one of fewer than T frames repeats its last frame.
All functions take the number of frames of the tracklet and the clip's length T, and return
ascending indices of frames: ``[T]`` for a training clip, ``[clips, T]`` at test.
"""

from typing import Literal

import numpy as np

TrainFrames = Literal["restricted", "random", "even", "strided"]
OnBadFrame = Literal["stop", "skip"]
TestClips = Literal["all", "consecutive", "first", "even"]


def training_clip(
    kind: TrainFrames, num_frames: int, clip_length: int, stride: int, rng: np.random.Generator
) -> np.ndarray:
    """The frames of a training clip, drawn as the function of that kind draws them.

    Example:
        >>> training_clip("even", 8, 4, 8, np.random.default_rng(0))
        array([1, 3, 5, 7])
    """
    if kind == "random":
        return random_frames(num_frames, clip_length, rng)
    if kind == "even":
        return even_frames(num_frames, clip_length)
    if kind == "strided":
        return strided_frames(num_frames, clip_length, stride, rng)
    return restricted_random(num_frames, clip_length, rng)


def clips_at_test(kind: TestClips, num_frames: int, clip_length: int) -> np.ndarray:
    """The clips of a tracklet at test.

    ``"all"`` are :func:`spread_clips`, ``"first"`` is the first of them, ``"consecutive"`` are
    :func:`consecutive_clips`, and ``"even"`` is one clip, of :func:`even_frames`.

    Example:
        >>> clips_at_test("first", 8, 3)
        array([[0, 2, 5]])
    """
    if kind == "consecutive":
        return consecutive_clips(num_frames, clip_length)
    if kind == "even":
        return even_frames(num_frames, clip_length)[None]
    clips = spread_clips(num_frames, clip_length)
    return clips[:1] if kind == "first" else clips


def restricted_random(num_frames: int, clip_length: int, rng: np.random.Generator) -> np.ndarray:
    """Restricted random sampling (Li et al., CVPR 2018): one frame from each of T equal chunks.

    Example:
        >>> restricted_random(3, 5, np.random.default_rng(0))
        array([0, 1, 2, 2, 2])
    """
    first, last = _chunks(num_frames, clip_length)
    return rng.integers(first, last)


def random_frames(num_frames: int, clip_length: int, rng: np.random.Generator) -> np.ndarray:
    """Any T different frames in the order of time, every choice as likely."""
    if num_frames < clip_length:
        return _whole(num_frames, clip_length)
    return np.sort(rng.choice(num_frames, clip_length, replace=False, shuffle=False))


def even_frames(num_frames: int, clip_length: int) -> np.ndarray:
    """The middle frames of T equal parts: frame ``(2 t + 1) n / (2 T)``, rounded down.

    Example:
        >>> even_frames(5, 4)
        array([0, 1, 3, 4])
    """
    if num_frames < clip_length:
        return _whole(num_frames, clip_length)
    return (2 * np.arange(clip_length) + 1) * num_frames // (2 * clip_length)


def strided_frames(
    num_frames: int, clip_length: int, stride: int, rng: np.random.Generator
) -> np.ndarray:
    """T frames at a fixed stride from a random start, as AP3D (Gu et al., ECCV 2020) trains.

    A tracklet of fewer than T ``stride`` frames gives :func:`random_frames`.
    """
    if num_frames < clip_length * stride:
        return random_frames(num_frames, clip_length, rng)
    offsets = stride * np.arange(clip_length)
    return rng.integers(num_frames - offsets[-1]) + offsets


def spread_clips(num_frames: int, clip_length: int) -> np.ndarray:
    """Clips that spread over the tracklet as in training and together hold every frame.

    The tracklet is cut into T equal chunks; clip c takes frame c of each, or the last frame of a
    chunk that is shorter.

    Example:
        >>> spread_clips(8, 3)
        array([[0, 2, 5],
               [1, 3, 6],
               [1, 4, 7]])
    """
    first, last = _chunks(num_frames, clip_length)
    offset = np.arange((last - first).max())[:, None]
    return np.minimum(first + offset, last - 1)


def consecutive_clips(num_frames: int, clip_length: int) -> np.ndarray:
    """Clips of T frames in a row, end to end; the last repeats the tracklet's last frame.

    Example:
        >>> consecutive_clips(5, 3)
        array([[0, 1, 2],
               [3, 4, 4]])
    """
    starts = np.arange(0, num_frames, clip_length)[:, None]
    return np.minimum(starts + np.arange(clip_length), num_frames - 1)


def _chunks(num_frames: int, clip_length: int) -> tuple[np.ndarray, np.ndarray]:
    """The first frame of each of T chunks, and the one after its last."""
    if num_frames < clip_length:
        first = _whole(num_frames, clip_length)
        return first, first + 1
    edges = np.arange(clip_length + 1) * num_frames // clip_length
    return edges[:-1], edges[1:]


def _whole(num_frames: int, clip_length: int) -> np.ndarray:
    """Every frame, and the last one again up to T."""
    return np.minimum(np.arange(clip_length), num_frames - 1)
