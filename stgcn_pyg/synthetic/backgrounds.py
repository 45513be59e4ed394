"""The scene behind the person, one for each camera."""

from colorsys import hsv_to_rgb
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from stgcn_pyg.synthetic.cameras import Camera, recorded_image
from stgcn_pyg.synthetic.clothes import Colour
from stgcn_pyg.synthetic.exact import Stream, generator

HEIGHT, WIDTH = 320, 960
PIXELS_PER_METRE = 110
GROUND = 270
"""The row that the person stands on."""


@lru_cache(maxsize=16)
def random_background(seed: int, camera: Camera, clutter: float) -> np.ndarray:
    """(3, 320, 960) float32: the scene behind one camera, in the colours that it records.

    Wall and floor change along the way, as they do in a street: which camera it is shows in them
    no more than where in front of it somebody walks. The left and right ends meet. `clutter` is 0
    for a plain wall and floor and 1 for a crowded street.
    """
    rng = generator(seed, Stream.BACKGROUND, camera.number)
    image = np.empty((3, HEIGHT, WIDTH), np.float32)
    horizon = round(rng.uniform(0.5, 0.78) * GROUND)
    contrast = 0.3 + 0.7 * clutter
    sections = 1 + round(14 * clutter)
    _draw_sections(image, rng, (0, horizon), sections, 0.8 * contrast)
    _draw_sections(image, rng, (horizon, HEIGHT), sections, 0.6 * contrast)
    for _ in range(round(70 * clutter)):
        _draw_thing(image, rng, horizon, contrast)
    tiles = round(14 * clutter)
    for number in range(tiles):
        row = round(horizon + (HEIGHT - horizon) * (number / tiles) ** 1.6)
        _fill(image, 0, row, WIDTH, 1, _colour(rng, 0.4))
    light = np.linspace(1.08, 0.9, HEIGHT, dtype=np.float32)[:, None]
    image = _blurred(image) * light * (1 + np.float32(0.02 + 0.05 * clutter) * _blotches(rng))
    return recorded_image(camera, np.clip(image, 0, 1))


def _colour(rng: np.random.RandomState, contrast: float) -> Colour:
    """A colour that strays from mid grey by at most `contrast`."""
    value = 0.5 + contrast * rng.uniform(-0.4, 0.4)
    red, green, blue = hsv_to_rgb(rng.uniform(0, 1), 0.6 * contrast * rng.beta(1.0, 3.0), value)
    return round(red, 4), round(green, 4), round(blue, 4)


def _fill(image: np.ndarray, x: float, y: float, wide: float, high: float, colour: Colour) -> None:
    """Paint a rectangle, around the ends of the scene where it reaches beyond them."""
    left, top = round(x), max(round(y), 0)
    columns = np.arange(left, left + max(round(wide), 1)) % WIDTH
    image[:, top : max(round(y + high), 0), columns] = np.array(colour, np.float32)[:, None, None]


def _draw_sections(
    image: np.ndarray, rng: np.random.RandomState, rows: tuple[int, int], count: int, strays: float
) -> None:
    """A wall or a floor that changes its colour at random places."""
    ends = sorted(int(place) for place in rng.randint(WIDTH, size=count))
    for start, end in zip(ends, [*ends[1:], ends[0] + WIDTH], strict=True):
        _fill(image, start, rows[0], end - start, rows[1] - rows[0], _colour(rng, strays))


def _draw_thing(
    image: np.ndarray, rng: np.random.RandomState, horizon: int, contrast: float
) -> None:
    """A window, a post, a box on the floor or someone far away."""
    x = rng.uniform(0, WIDTH)
    fill, detail = _colour(rng, contrast), _colour(rng, contrast)
    kind = rng.randint(4)
    if kind == 0:
        wide, high = rng.uniform(15, 90), rng.uniform(15, 90)
        y = rng.uniform(-30, horizon)
        _fill(image, x - 1, y - 1, wide + 2, high + 2, detail)
        _fill(image, x, y, wide, high, fill)
        _fill(image, x + wide / 2, y, 2, high, detail)
    elif kind == 1:
        _fill(image, x, 0, rng.uniform(3, 12), rng.uniform(horizon, GROUND), fill)
    elif kind == 2:
        wide, high = rng.uniform(20, 110), rng.uniform(15, 70)
        y = rng.uniform(horizon, GROUND - 10)
        _fill(image, x, y - high, wide, high, fill)
        _fill(image, x, y - high, wide, 0.3 * high, detail)
    else:
        high = rng.uniform(60, 150)
        y, wide = horizon + 0.3 * high, 0.2 * high
        _fill(image, x, y - 0.5 * high, 0.8 * wide, 0.5 * high, fill)
        _fill(image, x - 0.1 * wide, y - 0.86 * high, wide, 0.41 * high, detail)
        _fill(image, x + 0.15 * wide, y - high, 0.5 * wide, 0.14 * high, (0.6, 0.46, 0.4))


def _blurred(image: np.ndarray) -> np.ndarray:
    """The image softened by 1, 4, 6, 4, 1 sixteenths along both axes."""
    padded = np.pad(image, ((0, 0), (2, 2), (0, 0)), mode="edge")
    padded = np.pad(padded, ((0, 0), (0, 0), (2, 2)), mode="wrap")
    for axis in (1, 2):
        windows = np.moveaxis(sliding_window_view(padded, 5, axis), -1, 0)
        shares = np.array([1, 4, 6, 4, 1], np.float32) / 16
        padded = shares[0] * windows[0]
        for share, shifted in zip(shares[1:], windows[1:], strict=True):
            padded += share * shifted
    return padded


def _blotches(rng: np.random.RandomState) -> np.ndarray:
    """(320, 960) float32 dirt and light, eight pixels wide, of about unit variance."""
    coarse = np.round(1.5 * rng.standard_normal((HEIGHT // 8, WIDTH // 8)), 3).astype(np.float32)
    for axis in (0, 1):
        # From one value to the next in eight steps.
        following = np.roll(coarse, -1, axis)
        steps = [coarse + (following - coarse) * np.float32(step / 8) for step in range(8)]
        coarse = np.stack(steps, axis + 1).reshape(-1, WIDTH // 8 if axis == 0 else WIDTH)
    return coarse


def window(
    background: np.ndarray, size: tuple[int, int], scale: float, x: float, ground_y: float
) -> np.ndarray:
    """(3, height, width) float32: a copy of the part of a background that one box shows.

    `scale` is in pixels a metre, `x` in metres along the background at the box's left edge,
    `ground_y` the row that the person stands on.
    """
    height, width = size
    step = PIXELS_PER_METRE / scale
    rows = np.round(GROUND + (np.arange(height) - ground_y) * step, 3)
    columns = np.round(x * PIXELS_PER_METRE + np.arange(width) * step, 3)
    inside = np.clip(rows, 0, HEIGHT - 1).astype(np.intp) * WIDTH
    around = np.floor(columns).astype(np.intp) % WIDTH
    return background.reshape(3, -1).take(inside[:, None] + around, axis=1)
