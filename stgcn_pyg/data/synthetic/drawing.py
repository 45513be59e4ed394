"""Shaded tubes, the one shape that everything is drawn with, and the canvas they are laid on."""

from dataclasses import dataclass
from math import hypot

import numpy as np

Point = tuple[float, float]
"""Pixels from the left and from the top."""


@dataclass(frozen=True)
class Canvas:
    """A picture in the making.

    Attributes:
        image: (3, H, W) float32 in [0, 1].
        parts: (H, W) uint8, what is seen at each pixel; 0 is the background.
        light: Direction of the light: right, down and towards the viewer.
    """

    image: np.ndarray
    parts: np.ndarray
    light: tuple[float, float, float]


@dataclass(frozen=True)
class Surface:
    """The visible side of a tube, on the rectangle of pixels around it.

    Attributes:
        rows: The rectangle's rows.
        columns: The rectangle's columns.
        cover: (h, w) share of each pixel that the tube fills.
        along: (h, w) position along the axis, 0 at the start and 1 at the end.
        across: (h, w) position across, -1 at the left rim and 1 at the right one where the axis
            points down.
        shade: (h, w) light that reaches the surface.
    """

    rows: slice
    columns: slice
    cover: np.ndarray
    along: np.ndarray
    across: np.ndarray
    shade: np.ndarray


def tube(
    canvas: Canvas,
    start: Point,
    end: Point,
    radii: tuple[float, ...],
    flat_ends: bool = False,
    roundness: float = 1.0,
) -> Surface | None:
    """The surface of a tube between two points.

    Args:
        canvas: Where it will be laid.
        start: Start of the axis.
        end: End of the axis.
        radii: Radii in pixels at even steps along the axis; two make a cone.
        flat_ends: Cut the ends straight instead of rounding them.
        roundness: 1 shades the tube as a cylinder, 0 as a board.

    Returns:
        The surface, or None when it lies outside the canvas.
    """
    height, width = canvas.parts.shape
    (x0, y0), (x1, y1) = start, end
    reach = max(radii) + 1.0
    left, right = max(int(min(x0, x1) - reach), 0), min(int(max(x0, x1) + reach) + 1, width)
    top, bottom = max(int(min(y0, y1) - reach), 0), min(int(max(y0, y1) + reach) + 1, height)
    if left >= right or top >= bottom:
        return None
    length = hypot(x1 - x0, y1 - y0)
    if length > 1e-3:
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
    else:
        length, ux, uy = 1e-3, 0.0, 1.0  # a ball
    px = np.arange(left, right, dtype=np.float32) + np.float32(0.5 - x0)
    py = (np.arange(top, bottom, dtype=np.float32) + np.float32(0.5 - y0))[:, None]
    pixels_along = px * ux + py * uy
    offset = px * uy - py * ux
    along = np.minimum(np.maximum(pixels_along * (1 / length), 0), 1)
    if len(radii) == 2:
        radius = radii[0] + (radii[1] - radii[0]) * along
    else:
        steps = np.linspace(0, 1, len(radii))
        radius = np.interp(along, steps, radii).astype(np.float32)
    if flat_ends:
        beyond = np.abs(pixels_along - length / 2) - length / 2
        inside = np.minimum(radius - np.abs(offset), -beyond)
    else:
        beyond = pixels_along - along * length
        inside = radius - np.sqrt(offset * offset + beyond * beyond)
    across = np.minimum(np.maximum(offset / radius, -1), 1)
    right_light, down_light, front_light = canvas.light
    sideways = roundness * (right_light * uy - down_light * ux)
    bulge = np.sqrt(1 - across * across)
    shade = (1 - 0.45 * roundness) + sideways * across + (0.45 * roundness * front_light) * bulge
    cover = np.minimum(np.maximum(inside + 0.5, 0), 1)
    return Surface(slice(top, bottom), slice(left, right), cover, along, across, shade)


def lay(canvas: Canvas, surface: Surface, colour: np.ndarray, part: int) -> None:
    """Lay a surface on the canvas.

    Args:
        canvas: Changed in place.
        surface: What to lay.
        colour: (3,) or (3, h, w) before shading.
        part: The number that `canvas.parts` keeps.
    """
    region = canvas.image[:, surface.rows, surface.columns]
    shaded = colour.reshape(3, *(colour.shape[1:] or (1, 1))) * surface.shade
    shaded -= region
    shaded *= surface.cover
    region += shaded
    np.copyto(
        canvas.parts[surface.rows, surface.columns], np.uint8(part), where=surface.cover > 0.5
    )
