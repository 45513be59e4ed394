"""Shaded tubes, the one shape that everything is drawn with, and the canvas they are laid on."""

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

Point = tuple[float, float]
"""Pixels from the left and from the top."""

_CENTRES = np.arange(8192, dtype=np.float32) + np.float32(0.5)  # of the pixels of a row or column
_STEPS = 64  # radii are looked up at so many steps along a tube


@dataclass(frozen=True)
class Canvas:
    """An image in the making."""

    image: np.ndarray  # (3, H, W) float32, about [0, 1]
    parts: np.ndarray  # (H, W) uint8, what is seen at each pixel; 0 is the background
    light: tuple[float, float, float]  # its direction: right, down and towards the viewer


@dataclass(frozen=True)
class Surface:
    """The visible side of a tube, on the (h, w) rectangle of pixels around it.

    Where the axis points down, `across` is -1 at the left rim and 1 at the right one.
    """

    rows: slice
    columns: slice
    cover: np.ndarray  # share of each pixel that the tube fills
    along: np.ndarray  # position along the axis, 0 at the start and 1 at the end
    across: np.ndarray  # position across: the sine of the angle about the axis
    bulge: np.ndarray  # how far the surface comes forward: the cosine of that angle
    shade: np.ndarray  # light that reaches the surface


def tube(
    canvas: Canvas,
    start: Point,
    end: Point,
    radii: tuple[float, ...],
    flat_ends: bool = False,
    roundness: float = 1.0,
) -> Surface | None:
    """The surface of a tube between two points, or None where it lies outside the canvas.

    Args:
        canvas: The canvas that it will be laid on.
        start: Start of the axis.
        end: End of the axis.
        radii: Radii in pixels at even steps along the axis; two make a cone.
        flat_ends: Cut the ends straight instead of rounding them.
        roundness: 1 shades the tube as a cylinder, 0 as a board.
    """
    # On a grid of 1/1024 pixel the last bits of what came before are gone.
    (x0, y0, x1, y1), radii = _to_grid(*start, *end), _to_grid(*radii)
    height, width = canvas.parts.shape
    reach = max(radii) + 1.0
    left, right = max(int(min(x0, x1) - reach), 0), min(int(max(x0, x1) + reach) + 1, width)
    top, bottom = max(int(min(y0, y1) - reach), 0), min(int(max(y0, y1) + reach) + 1, height)
    if left >= right or top >= bottom:
        return None
    length = sqrt((x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0))
    if length > 1e-3:
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
    else:
        length, ux, uy = 1e-3, 0.0, 1.0  # a ball
    px = _CENTRES[left:right] - x0
    py = (_CENTRES[top:bottom] - y0)[:, None]
    pixels_along = px * ux + py * uy
    offset = px * uy - py * ux
    along = pixels_along * (1 / length)
    _clip(along, 0, 1)
    radius = _radius(radii, along)
    if flat_ends:
        beyond = pixels_along - 0.5 * length
        np.abs(beyond, out=beyond)
        inside = np.minimum(radius - np.abs(offset), 0.5 * length - beyond)
    else:
        beyond = pixels_along - along * length
        beyond *= beyond
        beyond += offset * offset
        inside = radius - np.sqrt(beyond, out=beyond)
    inside += 0.5
    across = offset
    across /= radius
    _clip(across, -1, 1)
    bulge = 1 - across * across
    np.sqrt(bulge, out=bulge)
    right_light, down_light, front_light = canvas.light
    shade = across * (roundness * (right_light * uy - down_light * ux))
    shade += bulge * (0.45 * roundness * front_light)
    shade += 1 - 0.45 * roundness
    cover = _clip(inside, 0, 1)
    rows, columns = slice(top, bottom), slice(left, right)
    return Surface(rows, columns, cover, along, across, bulge, shade)


def _to_grid(*values: float) -> tuple[float, ...]:
    return tuple([round(value * 1024) / 1024 for value in values])


def _clip(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Clips in place."""
    np.maximum(values, low, out=values)
    return np.minimum(values, high, out=values)


def _radius(radii: tuple[float, ...], along: np.ndarray) -> np.ndarray | float:
    """The radius at each position along the axis, (h, w)."""
    if len(radii) == 2:
        first, last = radii
        return first if first == last else along * (last - first) + first
    before, share = _between(len(radii))
    knots = np.array(radii, np.float32)
    table = knots[before] + (knots[before + 1] - knots[before]) * share
    return table[(along * _STEPS).astype(np.intp)]


@lru_cache
def _between(count: int) -> tuple[np.ndarray, np.ndarray]:
    """For each step along the axis the radius before it, and how far it is from there."""
    places = np.arange(_STEPS + 1) * (count - 1)
    before = np.minimum(places // _STEPS, count - 2)
    return before, ((places - before * _STEPS) / _STEPS).astype(np.float32)


def lay(canvas: Canvas, surface: Surface | None, colour: ArrayLike, part: int) -> None:
    """Lay a surface on the canvas, in place; one outside of it, None, changes nothing.

    Args:
        canvas: The canvas.
        surface: The surface.
        colour: (3,) or (3, h, w) before shading.
        part: The number that `canvas.parts` keeps.
    """
    if surface is None:
        return
    colour = np.asarray(colour, np.float32)
    region = canvas.image[:, surface.rows, surface.columns]
    shaded = colour.reshape(3, *(colour.shape[1:] or (1, 1))) * surface.shade
    shaded -= region
    shaded *= surface.cover
    region += shaded
    parts = canvas.parts[surface.rows, surface.columns]
    np.copyto(parts, np.uint8(part), where=surface.cover > 0.5)
