"""Things that pass in front of a person."""

from colorsys import hsv_to_rgb
from dataclasses import dataclass

import numpy as np

from stgcn_pyg.synthetic.bodies import Body, random_body
from stgcn_pyg.synthetic.clothes import Clothes, Colour, random_clothes
from stgcn_pyg.synthetic.drawing import Canvas, lay, tube
from stgcn_pyg.synthetic.exact import DECIMALS, rounded, rounded_fields
from stgcn_pyg.synthetic.figures import draw_figure
from stgcn_pyg.synthetic.parts import Part, place_figure
from stgcn_pyg.synthetic.views import View
from stgcn_pyg.synthetic.walking import FRAMES_PER_SECOND, walk

# Width and height in metres from least to most, and the height above ground of the lower edge.
SIZES = {
    "pole": ((0.10, 0.28), (3.0, 3.0), (0.0, 0.0)),
    "low wall": ((0.6, 1.6), (0.5, 1.2), (0.0, 0.0)),
    "high wall": ((0.4, 1.1), (3.0, 3.0), (0.0, 0.0)),
    "sign": ((0.4, 1.0), (0.5, 0.9), (0.9, 1.5)),
    "car": ((1.7, 2.3), (1.2, 1.5), (0.0, 0.0)),
    "person": ((0.40, 0.40), (1.5, 1.98), (0.0, 0.0)),
}


KINDS = tuple(SIZES)


@dataclass(frozen=True)
class Cover:
    """A thing between the camera and a person. Lengths in metres, in the picture's plane.

    Attributes:
        kind: A key of `SIZES`.
        width: Width.
        height: Height from its lower to its upper edge.
        bottom: Height of the lower edge above the ground under the person.
        x: (T,) how far to the right of the person its middle is.
        colour: Its colour.
        second_colour: The colour of its details.
    """

    kind: str
    width: float
    height: float
    bottom: float
    x: np.ndarray
    colour: Colour
    second_colour: Colour


@dataclass(frozen=True)
class Passerby:
    """Whoever walks past where a cover is a person."""

    body: Body
    clothes: Clothes
    folds: np.ndarray
    poses: np.ndarray  # (T, 18, 3)


def random_cover(rng: np.random.RandomState, frames: int) -> Cover:
    """A thing that passes in front of the person at some time of the tracklet."""
    kind = KINDS[rng.randint(len(KINDS))]
    (least_wide, most_wide), (least_high, most_high), (lowest, highest) = SIZES[kind]
    # Even in a short tracklet a thing moves on, so that it hides other parts in other frames.
    speed = max(rng.uniform(0.03, 0.10), 0.7 / frames) * (2 * rng.randint(2) - 1)
    time = np.arange(frames) - rng.uniform(0, frames)
    return rounded_fields(
        Cover(
            kind=kind,
            width=rng.uniform(least_wide, most_wide),
            height=rng.uniform(least_high, most_high),
            bottom=rng.uniform(lowest, highest) - rng.uniform(0.02, 0.2),
            x=rounded(speed * time),
            colour=_paint(rng),
            second_colour=_paint(rng),
        )
    )


def _paint(rng: np.random.RandomState) -> Colour:
    """The colour of things in a street: many greys, few bright ones."""
    return hsv_to_rgb(rng.uniform(0, 1), 0.8 * rng.beta(1.0, 2.5), rng.uniform(0.15, 0.8))


def random_passerby(rng: np.random.RandomState, frames: int) -> Passerby:
    """A stranger to the benchmark."""
    body = random_body(rng)
    step = 2 * np.pi * body.cadence / FRAMES_PER_SECOND
    phase = rng.uniform(0, 2 * np.pi) + step * np.arange(frames)
    return Passerby(body, random_clothes(rng), np.ones((64, 64), np.float32), walk(body, phase))


def hidden_cells(cover: Cover, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Roughly what a cover hides.

    Args:
        cover: The cover.
        x: (T, 1, w) metres to the right of the person.
        y: (T, h, 1) metres above the ground.

    Returns:
        (T, h, w) booleans.
    """
    off = np.abs(x - cover.x[:, None, None])
    up = (y - cover.bottom) / cover.height
    if cover.kind == "car":
        return (
            (off < 0.5 * cover.width) & (up > 0) & (up < np.where(off < 0.3 * cover.width, 1, 0.6))
        )
    if cover.kind == "person":
        return (up > 0) & (up < 1) & (off < np.where(up < 0.85, 0.5, 0.22) * cover.width)
    return (off < 0.5 * cover.width) & (up > 0) & (up < 1)


def choose_covers(
    rng: np.random.RandomState, body: np.ndarray, x: np.ndarray, y: np.ndarray, share: float
) -> list[Cover]:
    """Things that together hide about the asked share of a person over a tracklet.

    Args:
        rng: The generator.
        body: (T, h, w) how much of the person lies in each cell of a coarse grid.
        x: (T, 1, w) metres of the cells to the right of the person.
        y: (T, h, 1) metres of the cells above the ground.
        share: Mean share to hide.

    Returns:
        The covers, the farthest first; none when `share` is 0.
    """
    chosen: list[Cover] = []
    hidden = np.zeros(body.shape, bool)
    weight = body / np.maximum(body.sum(axis=(1, 2), keepdims=True), 1e-6) / len(body)
    missing = share
    for _ in range(12):
        if missing < 0.02:
            break
        offers = [random_cover(rng, len(body)) for _ in range(10)]
        after = [hidden | hidden_cells(offer, x, y) for offer in offers]
        misses = [round(abs(share - float(weight[cells].sum())), DECIMALS) for cells in after]
        best = int(np.argmin(misses))
        if misses[best] < missing:
            chosen.append(offers[best])
            hidden, missing = after[best], misses[best]
    return chosen


def draw_cover(
    canvas: Canvas, cover: Cover, frame: int, view: View, passerby: Passerby | None
) -> None:
    """Draw a cover as one frame shows it, marking its pixels `Part.COVER`.

    Args:
        canvas: Changed in place.
        cover: The cover.
        frame: Which frame.
        view: How the frame shows the person behind.
        passerby: Who walks there, for a cover that is a person.
    """
    x = view.ground_x + view.scale * float(cover.x[frame])
    if not -1.5 * view.scale < x < canvas.parts.shape[1] + 1.5 * view.scale:
        return
    if passerby is not None:
        _draw_passerby(canvas, cover, frame, view, passerby, x)
        return
    foot = view.ground_y - view.scale * cover.bottom
    top = foot - view.scale * cover.height
    half = 0.5 * view.scale * cover.width
    colour = np.array(cover.colour, np.float32)
    detail = np.array(cover.second_colour, np.float32)
    if cover.kind == "car":
        _draw_car(canvas, x, top, foot, half, colour)
        return
    roundness = 1.0 if cover.kind == "pole" else 0.1
    surface = tube(canvas, (x, top), (x, foot), (half, half), flat_ends=True, roundness=roundness)
    if surface is None:
        return
    if cover.kind != "pole":
        height = surface.along * (3 * cover.height)
        bands = height - np.floor(height) > 0.88
        joints = 0.5 * (colour + detail)
        colour = np.where(bands, joints[:, None, None], colour[:, None, None])
    lay(canvas, surface, colour, Part.COVER)


def _draw_passerby(
    canvas: Canvas, cover: Cover, frame: int, view: View, passerby: Passerby, x: float
) -> None:
    sideways = np.pi / 2 if cover.x[-1] > cover.x[0] else -np.pi / 2
    foot = view.ground_y - view.scale * cover.bottom
    size = cover.height / passerby.body.height
    own_view = View(sideways, view.pitch, view.scale * size, x, foot)
    pose = passerby.poses[frame]
    figure = place_figure(passerby.body, passerby.clothes, passerby.folds, own_view, pose)
    before = canvas.parts.copy()
    canvas.parts[:] = 0
    draw_figure(canvas, figure)
    canvas.parts[:] = np.where(canvas.parts > 0, np.uint8(Part.COVER), before)


def _draw_car(
    canvas: Canvas, x: float, top: float, foot: float, half: float, colour: np.ndarray
) -> None:
    """Cabin, window, body and wheels, seen from the side."""
    high = foot - top
    black = np.full(3, 0.07, np.float32)
    glass = np.array([0.25, 0.3, 0.34], np.float32)
    waist = top + 0.4 * high
    for start, end, radii, paint in (
        ((x, top), (x, waist), (0.5 * half, 0.72 * half), colour),
        ((x, top + 0.06 * high), (x, waist), (0.46 * half, 0.64 * half), glass),
        ((x, waist), (x, foot - 0.1 * high), (0.97 * half, half), colour),
        ((x - 0.6 * half, foot - 0.15 * high), (x - 0.6 * half, foot - 0.14 * high), None, black),
        ((x + 0.6 * half, foot - 0.15 * high), (x + 0.6 * half, foot - 0.14 * high), None, black),
    ):
        wheel = (0.2 * high, 0.2 * high)
        surface = tube(
            canvas, start, end, radii or wheel, flat_ends=radii is not None, roundness=0.2
        )
        if surface is not None:
            lay(canvas, surface, paint, Part.COVER)
