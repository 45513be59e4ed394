"""Things that pass between the camera and a person."""

from colorsys import hsv_to_rgb
from dataclasses import dataclass

import numpy as np

from stgcn_pyg.synthetic.bodies import FRAMES_PER_SECOND, random_body, walk
from stgcn_pyg.synthetic.cameras import Camera, recorded_colours
from stgcn_pyg.synthetic.clothes import Colour, random_clothes
from stgcn_pyg.synthetic.drawing import Canvas, Point, lay, paint, tube
from stgcn_pyg.synthetic.exact import DECIMALS, rounded, rounded_fields
from stgcn_pyg.synthetic.figures import Figure, Part, draw_figure
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

    def cells(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(T, h, w) booleans: roughly which cells `x` and `y`, as below, it occludes."""
        off = np.abs(x - self.x[:, None, None])
        up = (y - self.bottom) / self.height
        top = np.where(off < 0.3 * self.width, 1, 0.6) if self.kind == "car" else 1
        half = np.where(up < 0.85, 0.5, 0.22) if self.kind == "person" else 0.5
        return (off < half * self.width) & (up > 0) & (up < top)

    def foot(self, frame: int, view: View) -> Point:
        """Where the middle of the lower edge is in a frame."""
        x = view.ground_x + view.scale * float(self.x[frame])
        return x, view.ground_y - view.scale * self.bottom


def choose_occluders(
    rng: np.random.RandomState, body: np.ndarray, x: np.ndarray, y: np.ndarray, share: float
) -> list[Occluder]:
    """Things that together occlude about this share of a person in a tracklet, farthest first.

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
        offers = [_random_occluder(rng, len(body)) for _ in range(10)]
        after = [occluded | offer.cells(x, y) for offer in offers]
        misses = [round(abs(share - float(weight[cells].sum())), DECIMALS) for cells in after]
        best = int(np.argmin(misses))
        if misses[best] < missing:
            chosen.append(offers[best])
            occluded, missing = after[best], misses[best]
    return chosen


def _random_occluder(rng: np.random.RandomState, frames: int) -> Occluder:
    """A thing that passes in front of the person at some time of the tracklet."""
    kind = list(SIZES)[rng.randint(len(SIZES))]
    widths, heights, bottoms = SIZES[kind]
    # Even in a short tracklet a thing moves on, so that it occludes other parts in other frames.
    speed = max(rng.uniform(0.03, 0.10), 0.7 / frames) * (2 * rng.randint(2) - 1)
    time = np.arange(frames) - rng.uniform(0, frames)
    return rounded_fields(
        Occluder(
            kind=kind,
            width=rng.uniform(*widths),
            height=rng.uniform(*heights),
            bottom=rng.uniform(*bottoms) - rng.uniform(0.02, 0.2),
            x=rounded(speed * time),
            colour=_random_paint(rng),
            second_colour=_random_paint(rng),
        )
    )


def _random_paint(rng: np.random.RandomState) -> Colour:
    """The colour of things in a street: many greys, few bright ones."""
    return hsv_to_rgb(rng.uniform(0, 1), 0.8 * rng.beta(1.0, 2.5), rng.uniform(0.15, 0.8))


def draw_occluder(
    rng: np.random.RandomState,
    occluder: Occluder,
    canvases: list[Canvas],
    views: list[View],
    camera: Camera,
) -> None:
    """Draw an occluder in every frame, marking its pixels `Part.OCCLUDER`.

    `views` are those of the person behind. If the occluder is a person, `rng` draws which.
    """
    occluder = recorded_colours(camera, occluder)
    is_person = occluder.kind == "person"
    figures = _random_passerby(rng, occluder, views, camera) if is_person else []
    for frame, (canvas, view) in enumerate(zip(canvases, views, strict=True)):
        x, foot = occluder.foot(frame, view)
        if not -1.5 * view.scale < x < canvas.parts.shape[1] + 1.5 * view.scale:
            continue
        if is_person:
            before = canvas.parts.copy()
            canvas.parts[:] = 0
            draw_figure(canvas, figures[frame])
            canvas.parts[:] = np.where(canvas.parts > 0, np.uint8(Part.OCCLUDER), before)
        elif occluder.kind == "car":
            _draw_car(canvas, occluder, view.scale, x, foot)
        else:
            _draw_board(canvas, occluder, view.scale, x, foot)


def _random_passerby(
    rng: np.random.RandomState, occluder: Occluder, views: list[View], camera: Camera
) -> list[Figure]:
    """A stranger who walks where the occluder is, frame after frame."""
    body = random_body(rng)
    step = 2 * np.pi * body.cadence / FRAMES_PER_SECOND
    phase = rng.uniform(0, 2 * np.pi) + step * np.arange(len(views))
    clothes = recorded_colours(camera, random_clothes(rng))
    heading = np.pi / 2 if occluder.x[-1] > occluder.x[0] else -np.pi / 2
    size = occluder.height / body.height
    smooth = np.ones((64, 64), np.float32)
    return [
        Figure(
            body,
            clothes,
            smooth,
            View(heading, view.pitch, view.scale * size, *occluder.foot(frame, view)),
            pose,
        )
        for frame, (view, pose) in enumerate(zip(views, walk(body, phase), strict=True))
    ]


def _draw_board(canvas: Canvas, occluder: Occluder, scale: float, x: float, foot: float) -> None:
    """A pole, a wall or a sign; all but the pole have bands in a second colour."""
    top, half = foot - scale * occluder.height, 0.5 * scale * occluder.width
    is_pole = occluder.kind == "pole"
    roundness = 1.0 if is_pole else 0.1
    surface = tube(canvas, (x, top), (x, foot), (half, half), flat_ends=True, roundness=roundness)
    colour = paint(occluder.colour)
    if not is_pole:
        height = surface.along * (3 * occluder.height)
        is_band = height - np.floor(height) > 0.88
        colour = np.where(is_band, 0.5 * (colour + paint(occluder.second_colour)), colour)
    lay(canvas, surface, colour, Part.OCCLUDER)


def _draw_car(canvas: Canvas, occluder: Occluder, scale: float, x: float, foot: float) -> None:
    """Cabin, window, body and wheels, seen from the side."""
    high, half = scale * occluder.height, 0.5 * scale * occluder.width
    top = foot - high
    black, glass = (0.07, 0.07, 0.07), (0.25, 0.3, 0.34)
    waist = top + 0.4 * high
    for start, end, radii, colour in (
        (top, waist, (0.5 * half, 0.72 * half), occluder.colour),
        (top + 0.06 * high, waist, (0.46 * half, 0.64 * half), glass),
        (waist, foot - 0.1 * high, (0.97 * half, half), occluder.colour),
    ):
        surface = tube(canvas, (x, start), (x, end), radii, flat_ends=True, roundness=0.2)
        lay(canvas, surface, paint(colour), Part.OCCLUDER)
    for wheel in (x - 0.6 * half, x + 0.6 * half):
        upper, lower = (wheel, foot - 0.15 * high), (wheel, foot - 0.14 * high)
        surface = tube(canvas, upper, lower, (0.2 * high, 0.2 * high), roundness=0.2)
        lay(canvas, surface, paint(black), Part.OCCLUDER)
