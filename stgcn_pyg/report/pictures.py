"""Pictures within the page, as many as there is room for."""

import io
from base64 import b64encode

import numpy as np
from matplotlib import colormaps
from PIL import Image

from stgcn_pyg.explain.figures.activation_maps import enlarged
from stgcn_pyg.explain.figures.style import SCALE

QUALITY = 82  # of JPEG
HEIGHT = 192  # pixels, beyond which frames are made smaller


class Album:
    """Makes pictures into data URIs until so many bytes are used.

    Args:
        room: Bytes of the page that they may take.

    Attributes:
        left_out: How many pictures there was no room for.

    Example:
        >>> album = Album(room=1000)
        >>> album.add(np.zeros((8, 8, 3), np.uint8))[:23]
        'data:image/jpeg;base64,'
    """

    def __init__(self, room: int):
        self.room = room
        self.left_out = 0

    @property
    def full(self) -> bool:
        """Whether a picture has been left out."""
        return self.left_out > 0

    def add(self, picture: np.ndarray) -> str | None:
        """The data URI of ``[H, W, 3]`` of uint8, or None where there is no room."""
        buffer = io.BytesIO()
        image = Image.fromarray(picture)
        if image.height > HEIGHT:
            image = image.resize((max(1, image.width * HEIGHT // image.height), HEIGHT))
        image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
        uri = "data:image/jpeg;base64," + b64encode(buffer.getvalue()).decode()
        if self.full or len(uri) > self.room:  # smaller ones do not slip in behind
            self.left_out += 1
            return None
        self.room -= len(uri)
        return uri


def strip(frames: np.ndarray) -> np.ndarray:
    """Frames ``[T, H, W, 3]`` beside each other, ``[H, T * W, 3]``."""
    return np.concatenate(list(frames), axis=1)


def overlaid(frames: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Frames in grey with activation maps over them, on one scale from 0 to their largest value.

    Args:
        frames: ``[T, H, W, 3]`` of uint8.
        maps: ``[T, h, w]``, not negative.

    Returns:
        ``[T, H, W, 3]`` of uint8.

    Example:
        >>> overlaid(np.full((1, 2, 2, 3), 90, np.uint8), np.zeros((1, 1, 1)))[0, 0, 0].tolist()
        [67, 67, 68]
    """
    large = enlarged(maps, *frames.shape[1:3])
    share = large / max(float(large.max()), np.finfo(float).tiny)
    colours = 255 * colormaps[SCALE](share)[..., :3]
    grey = frames.mean(axis=3, keepdims=True)
    weight = 0.25 + 0.55 * share[..., None]
    return (grey * (1 - weight) + colours * weight).astype(np.uint8)


def heat_map(weights: np.ndarray, cell: int = 10) -> np.ndarray:
    """Weights of a graph, ``[N, N]``, in colours; the loops, which would leave no contrast, grey.

    Args:
        weights: Not negative.
        cell: The side of an entry, in pixels.

    Returns:
        ``[N * cell, N * cell, 3]`` of uint8.
    """
    loops = np.eye(len(weights), dtype=bool)
    between = np.where(loops, 0, weights)
    largest = max(float(between.max(initial=0)), np.finfo(float).tiny)
    colours = (255 * colormaps[SCALE](between / largest)[..., :3]).astype(np.uint8)
    colours[loops] = 140
    return colours.repeat(cell, axis=0).repeat(cell, axis=1)
