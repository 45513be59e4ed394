"""What stands behind the people in front of one camera."""

from colorsys import hsv_to_rgb
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from stgcn_pyg.data.synthetic.streams import Stream, generator

HEIGHT, WIDTH = 320, 960
PIXELS_PER_METRE = 110
GROUND = 270
"""The row that people stand on."""


def _colour(rng: np.random.Generator, contrast: float) -> tuple[int, int, int]:
    """A colour that strays from mid grey by at most `contrast`."""
    value = 0.55 + contrast * rng.uniform(-0.45, 0.45)
    rgb = hsv_to_rgb(rng.uniform(0, 1), 0.8 * contrast * rng.beta(1.0, 2.5), value)
    red, green, blue = (round(255 * channel) for channel in rgb)
    return red, green, blue


@lru_cache(maxsize=16)
def random_background(seed: int, camera: int, clutter: float) -> np.ndarray:
    """The scene behind one camera.

    Args:
        seed: The benchmark's seed.
        camera: The camera's number.
        clutter: 0 for a plain wall and floor, 1 for a crowded street.

    Returns:
        (3, 320, 960) float32 in [0, 1]; its left and right ends meet.
    """
    rng = generator(seed, Stream.BACKGROUND, camera)
    picture = Image.new("RGB", (WIDTH, HEIGHT), _colour(rng, 0.45))
    draw = ImageDraw.Draw(picture)
    horizon = int(rng.uniform(0.5, 0.78) * GROUND)
    draw.rectangle((0, horizon, WIDTH, HEIGHT), fill=_colour(rng, 0.4))
    contrast = 0.3 + 0.7 * clutter
    for _ in range(round(70 * clutter)):
        _draw_thing(draw, rng, horizon, contrast)
    tiles = round(14 * clutter)
    for number in range(tiles):
        row = horizon + (HEIGHT - horizon) * (number / tiles) ** 1.6
        draw.line((0, row, WIDTH, row), fill=_colour(rng, 0.4), width=1)
    picture = picture.filter(ImageFilter.GaussianBlur(1.2))
    image = np.asarray(picture, np.float32).transpose(2, 0, 1) / 255
    coarse = rng.standard_normal((HEIGHT // 8, WIDTH // 8)).astype(np.float32)
    blotches = np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    light = np.linspace(1.08, 0.9, HEIGHT, dtype=np.float32)[:, None]
    return np.clip(image * light * (1 + (0.02 + 0.05 * clutter) * blotches), 0, 1)


def _draw_thing(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, horizon: int, contrast: float
) -> None:
    """A window, a post, a box on the floor or someone far away."""
    x = rng.uniform(0, WIDTH)
    fill = _colour(rng, contrast)
    kind = rng.integers(4)
    if kind == 0:
        wide, high = rng.uniform(15, 90), rng.uniform(15, 90)
        y = rng.uniform(-30, horizon)
        draw.rectangle((x, y, x + wide, y + high), fill=fill, outline=_colour(rng, contrast))
        draw.line((x + wide / 2, y, x + wide / 2, y + high), fill=_colour(rng, contrast), width=2)
    elif kind == 1:
        draw.rectangle((x, 0, x + rng.uniform(3, 12), rng.uniform(horizon, GROUND)), fill=fill)
    elif kind == 2:
        wide, high = rng.uniform(20, 110), rng.uniform(15, 70)
        y = rng.uniform(horizon, GROUND - 10)
        draw.rectangle((x, y - high, x + wide, y), fill=fill)
        draw.rectangle((x, y - high, x + wide, y - 0.7 * high), fill=_colour(rng, contrast))
    else:
        high = rng.uniform(60, 150)
        y = horizon + 0.3 * high
        wide = 0.2 * high
        draw.rectangle((x, y - 0.5 * high, x + 0.8 * wide, y), fill=fill)
        torso = (x - 0.1 * wide, y - 0.86 * high, x + 0.9 * wide, y - 0.45 * high)
        draw.rectangle(torso, fill=_colour(rng, contrast))
        head = (x + 0.1 * wide, y - high, x + 0.7 * wide, y - 0.85 * high)
        draw.ellipse(head, fill=(170, 130, 110))


def window(
    background: np.ndarray, height: int, width: int, scale: float, x: float, ground_y: float
) -> np.ndarray:
    """The part of a background that one box shows.

    Args:
        background: As `random_background` gives it.
        height: The box's rows.
        width: The box's columns.
        scale: Pixels a metre in the box.
        x: Metres along the background at the box's left edge.
        ground_y: Row of the box that the person stands on.

    Returns:
        (3, height, width) float32, a copy.
    """
    step = PIXELS_PER_METRE / scale
    rows = GROUND + (np.arange(height) - ground_y) * step
    columns = x * PIXELS_PER_METRE + np.arange(width) * step
    inside = np.clip(rows, 0, HEIGHT - 1).astype(np.intp)
    around = np.floor(columns).astype(np.intp) % WIDTH
    return background[:, inside][:, :, around]
