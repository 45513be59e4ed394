"""Things that pass between the camera and a person."""

from colorsys import hsv_to_rgb
from dataclasses import dataclass

import numpy as np

from stgcn_pyg.synthetic.bodies import FRAMES_PER_SECOND, Body, random_body, walk
from stgcn_pyg.synthetic.clothes import Clothes, Colour, random_clothes
from stgcn_pyg.synthetic.drawing import Canvas, lay, tube
from stgcn_pyg.synthetic.exact import DECIMALS, rounded, rounded_fields
from stgcn_pyg.synthetic.figures import draw_figure
from stgcn_pyg.synthetic.parts import Part, place_figure
from stgcn_pyg.synthetic.views import View

# Width and height in metres from least to most, and the height above ground of the lower edge.
SIZES = {
    "pole": ((0.10, 0.28), (3.0, 3.0), (0.0, 0.0)),
    "low wall": ((0.6, 1.6), (0.5, 1.2), (0.0, 0.0)),
    "high wall": ((0.4, 1.1), (3.0, 3.0), (0.0, 0.0)),
    "sign": ((0.4, 1.0), (0.5, 0.9), (0.9, 1.5)),
    "car": ((1.7, 2.3), (1.2, 1.5), (0.0, 0.0)),
    "person": ((0.40, 0.40), (1.5, 1.98), (0.0, 0.0)),
}


@dataclass(frozen=True)
class Occluder:
    """A thing between the camera and a person. Lengths in metres, in the image's plane."""

    kind: str  # a key of `SIZES`
    width: float
    height: float  # from the lower to the upper edge
    bottom: float  # of the lower edge above the ground under the person
    x: np.ndarray  # (T,) how far to the right of the person its middle is
    colour: Colour
    second_colour: Colour  # of its details


@dataclass(frozen=True)
class Passerby:
    """Whoever walks past where an occluder is a person."""

    body: Body
    clothes: Clothes
    poses: np.ndarray  # (T, 18, 3)


def random_occluder(rng: np.random.RandomState, frames: int) -> Occluder:
    """A thing that passes in front of the person at some time of the tracklet."""
    kind = list(SIZES)[rng.randint(len(SIZES))]
    (least_wide, most_wide), (least_high, most_high), (lowest, highest) = SIZES[kind]
    # Even in a short tracklet a thing moves on, so that it hides other parts in other frames.
    speed = max(rng.uniform(0.03, 0.10), 0.7 / frames) * (2 * rng.randint(2) - 1)
    time = np.arange(frames) - rng.uniform(0, frames)
    return rounded_fields(
        Occluder(
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
    return Passerby(body, random_clothes(rng), walk(body, phase))


def occluded_cells(occluder: Occluder, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(T, h, w) booleans: roughly what an occluder hides, of cells `x` and `y` as below."""
    off = np.abs(x - occluder.x[:, None, None])
    up = (y - occluder.bottom) / occluder.height
    if occluder.kind == "car":
        roof = np.where(off < 0.3 * occluder.width, 1, 0.6)
        return (off < 0.5 * occluder.width) & (up > 0) & (up < roof)
    if occluder.kind == "person":
        return (up > 0) & (up < 1) & (off < np.where(up < 0.85, 0.5, 0.22) * occluder.width)
    return (off < 0.5 * occluder.width) & (up > 0) & (up < 1)


def choose_occluders(
    rng: np.random.RandomState, body: np.ndarray, x: np.ndarray, y: np.ndarray, share: float
) -> list[Occluder]:
    """Things that together hide about the asked share of a person over a tracklet, farthest first.

    `body` (T, h, w) is how much of the person lies in each cell of a coarse grid, `x` (T, 1, w) the
    metres of the cells to the right of the person and `y` (T, h, 1) those above the ground.
    """
    chosen: list[Occluder] = []
    occluded = np.zeros(body.shape, bool)
    weight = body / np.maximum(body.sum(axis=(1, 2), keepdims=True), 1e-6) / len(body)
    missing = share
    for _ in range(12):
        if missing < 0.02:
            break
        offers = [random_occluder(rng, len(body)) for _ in range(10)]
        after = [occluded | occluded_cells(offer, x, y) for offer in offers]
        misses = [round(abs(share - float(weight[cells].sum())), DECIMALS) for cells in after]
        best = int(np.argmin(misses))
        if misses[best] < missing:
            chosen.append(offers[best])
            occluded, missing = after[best], misses[best]
    return chosen


def draw_occluder(
    canvas: Canvas, occluder: Occluder, frame: int, view: View, passerby: Passerby | None
) -> None:
    """Draw an occluder as one frame shows it, marking its pixels `Part.OCCLUDER`.

    `view` is that of the person behind, `passerby` who walks there if the occluder is a person.
    """
    x = view.ground_x + view.scale * float(occluder.x[frame])
    if not -1.5 * view.scale < x < canvas.parts.shape[1] + 1.5 * view.scale:
        return
    if passerby is not None:
        _draw_passerby(canvas, occluder, frame, view, passerby, x)
        return
    foot = view.ground_y - view.scale * occluder.bottom
    top = foot - view.scale * occluder.height
    half = 0.5 * view.scale * occluder.width
    if occluder.kind == "car":
        _draw_car(canvas, x, top, foot, half, occluder.colour)
        return
    colour = np.array(occluder.colour, np.float32)
    detail = np.array(occluder.second_colour, np.float32)
    roundness = 1.0 if occluder.kind == "pole" else 0.1
    surface = tube(canvas, (x, top), (x, foot), (half, half), flat_ends=True, roundness=roundness)
    if surface is not None and occluder.kind != "pole":
        height = surface.along * (3 * occluder.height)
        bands = height - np.floor(height) > 0.88
        joints = 0.5 * (colour + detail)
        colour = np.where(bands, joints[:, None, None], colour[:, None, None])
    lay(canvas, surface, colour, Part.OCCLUDER)


def _draw_passerby(
    canvas: Canvas, occluder: Occluder, frame: int, view: View, passerby: Passerby, x: float
) -> None:
    sideways = np.pi / 2 if occluder.x[-1] > occluder.x[0] else -np.pi / 2
    foot = view.ground_y - view.scale * occluder.bottom
    size = occluder.height / passerby.body.height
    own_view = View(sideways, view.pitch, view.scale * size, x, foot)
    smooth = np.ones((64, 64), np.float32)
    figure = place_figure(passerby.body, passerby.clothes, smooth, own_view, passerby.poses[frame])
    before = canvas.parts.copy()
    canvas.parts[:] = 0
    draw_figure(canvas, figure)
    canvas.parts[:] = np.where(canvas.parts > 0, np.uint8(Part.OCCLUDER), before)


def _draw_car(
    canvas: Canvas, x: float, top: float, foot: float, half: float, colour: Colour
) -> None:
    """Cabin, window, body and wheels, seen from the side."""
    high = foot - top
    black, glass = (0.07, 0.07, 0.07), (0.25, 0.3, 0.34)
    waist = top + 0.4 * high
    for start, end, radii, paint in (
        (top, waist, (0.5 * half, 0.72 * half), colour),
        (top + 0.06 * high, waist, (0.46 * half, 0.64 * half), glass),
        (waist, foot - 0.1 * high, (0.97 * half, half), colour),
    ):
        surface = tube(canvas, (x, start), (x, end), radii, flat_ends=True, roundness=0.2)
        lay(canvas, surface, paint, Part.OCCLUDER)
    for wheel in (x - 0.6 * half, x + 0.6 * half):
        upper, lower = (wheel, foot - 0.15 * high), (wheel, foot - 0.14 * high)
        surface = tube(canvas, upper, lower, (0.2 * high, 0.2 * high), roundness=0.2)
        lay(canvas, surface, black, Part.OCCLUDER)
