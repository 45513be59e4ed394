"""Shaded tubes, the one shape that everything is drawn with, and the canvas they are laid on."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from stgcn_pyg.synthetic.clothes import Colour

Point = tuple[float, float]
"""Pixels from the left and from the top."""

CENTRES = np.arange(8192, dtype=np.float32) + np.float32(0.5)
"""Pixels from the first edge to the middle of each pixel of a row or column."""

STEPS = 64
"""The radius of a tube is looked up at this many steps along it."""


@dataclass(frozen=True)
class Canvas:
    """An image in the making."""

    image: np.ndarray  # (3, H, W) float32, about [0, 1]
    parts: np.ndarray  # (H, W) uint8, the `Part` that each pixel shows; 0 is the background
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
) -> Surface:
    """The surface of a tube between two points; it is empty where the tube is off the canvas.

    The `radii` are at even steps along the axis, in pixels; two make a cone. `flat_ends` cuts the
    ends straight instead of rounding them. A `roundness` of 1 shades the tube as a cylinder, 0 as
    a board.
    """
    # On a grid of 1/1024 pixel the last bits of what came before are gone.
    (x0, y0, x1, y1), radii = _to_grid(*start, *end), _to_grid(*radii)
    rows = _reach(y0, y1, max(radii), canvas.parts.shape[0])
    columns = _reach(x0, x1, max(radii), canvas.parts.shape[1])
    length = sqrt((x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0))
    if length > 1e-3:
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
    else:
        length, ux, uy = 1e-3, 0.0, 1.0  # a ball
    px = CENTRES[columns] - x0
    py = (CENTRES[rows] - y0)[:, None]
    pixels_along = px * ux + py * uy
    offset = px * uy - py * ux
    along = _clipped(pixels_along * (1 / length), 0, 1)
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
    offset /= radius
    across = _clipped(offset, -1, 1)
    bulge = 1 - across * across
    np.sqrt(bulge, out=bulge)
    right_light, down_light, front_light = canvas.light
    shade = across * (roundness * (right_light * uy - down_light * ux))
    shade += bulge * (0.45 * roundness * front_light)
    shade += 1 - 0.45 * roundness
    return Surface(rows, columns, _clipped(inside, 0, 1), along, across, bulge, shade)


def _to_grid(*values: float) -> tuple[float, ...]:
    return tuple([round(value * 1024) / 1024 for value in values])


def _reach(start: float, end: float, radius: float, pixels: int) -> slice:
    """The rows or columns of the canvas that a tube may touch."""
    first = max(int(min(start, end) - radius - 1), 0)
    return slice(first, max(min(int(max(start, end) + radius + 1) + 1, pixels), first))


def _clipped(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """The values, clipped in place, which is faster than `np.clip`."""
    np.maximum(values, low, out=values)
    return np.minimum(values, high, out=values)


def _radius(radii: tuple[float, ...], along: np.ndarray) -> np.ndarray | float:
    """The radius at each position along the axis, (h, w)."""
    if len(radii) == 2:
        first, last = radii
        return first if first == last else along * (last - first) + first
    places = np.arange(STEPS + 1) * (len(radii) - 1) / STEPS
    table = np.interp(places, np.arange(len(radii)), radii).astype(np.float32)
    return table[(along * STEPS).astype(np.intp)]


def paint(colour: Colour, shade: float = 1.0) -> np.ndarray:
    """(3, 1, 1) float32 of a colour, darkened where `shade` is below 1."""
    return np.array(colour, np.float32)[:, None, None] * shade


def lay(canvas: Canvas, surface: Surface, colour: np.ndarray, part: int) -> None:
    """Lay a surface on the canvas, in place; `colour` is (3, 1, 1) or (3, h, w) before shading."""
    region = canvas.image[:, surface.rows, surface.columns]
    shaded = colour * surface.shade
    shaded -= region
    shaded *= surface.cover
    region += shaded
    canvas.parts[surface.rows, surface.columns][surface.cover > 0.5] = part
