"""The box that the detector cuts out, and how it shows the world about the person."""

from dataclasses import dataclass

import numpy as np

from stgcn_pyg.synthetic.bodies import Body
from stgcn_pyg.synthetic.cameras import Camera
from stgcn_pyg.synthetic.exact import DECIMALS, cosine, rounded, sine

BOX_HEIGHT = 1.22  # the height of a faultless box over that of the person in it
FOOT_MARGIN = 0.04  # share of a faultless box below the ground under the person
EIGHTHS = "front", "front right", "right", "back right", "back", "back left", "left", "front left"


@dataclass(frozen=True)
class View:
    """How one frame's box shows the world about the person."""

    heading: float  # radians; 0 walks towards the camera, a quarter turn to the image's right
    pitch: float  # radians that the camera looks down
    scale: float  # pixels a metre
    ground_x: float  # pixels from the left to the point under the person
    ground_y: float  # pixels from the top to that point


def viewpoint(heading: float) -> str:
    """The nearest of eight names for a heading; `right` walks to the image's right."""
    return EIGHTHS[round(heading / (np.pi / 4)) % 8]


def project(view: View, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(J, 2) pixels from the left and the top, and (J,) metres towards the camera.

    `points` are (J, 3) metres: forward, to the person's left, up.
    """
    forward, left, up = points.T
    right = forward * sine(view.heading) + left * cosine(view.heading)
    near = forward * cosine(view.heading) - left * sine(view.heading)
    high = up * cosine(view.pitch) - near * sine(view.pitch)
    pixels = np.stack([view.ground_x + view.scale * right, view.ground_y - view.scale * high], 1)
    return pixels, near


@dataclass(frozen=True)
class BoxError:
    """How the boxes of a tracklet miss the person, each (T,)."""

    dx: np.ndarray  # shift to the right, as a share of the box's width
    dy: np.ndarray  # shift down, as a share of the box's height
    scale: np.ndarray  # size over that of a faultless box


def smooth_noise(rng: np.random.RandomState, frames: int, reach: int = 8) -> np.ndarray:
    """(T,) noise of unit variance that changes over about `reach` frames."""
    white = rng.standard_normal(frames + reach - 1)
    windows = [white[start : start + frames] for start in range(reach)]
    return np.sum(windows, axis=0) / np.sqrt(reach)


def random_box_error(
    rng: np.random.RandomState, frames: int, amount: float, fault: str
) -> BoxError:
    """Errors that drift smoothly and tremble, `amount` times as large as usual.

    Junk has a `fault`: `half` cuts the person in two, `size` is far too large or too small.
    """

    def error(steady: float, drift: float, tremble: float) -> np.ndarray:
        steady_error = steady * rng.standard_normal()
        drifting = drift * smooth_noise(rng, frames)
        return amount * (steady_error + drifting + tremble * rng.standard_normal(frames))

    dx, dy = error(0.02, 0.03, 0.006), error(0.015, 0.012, 0.004)
    scale = np.exp(error(0.04, 0.015, 0.005))
    if fault == "half":
        if rng.uniform() < 0.5:
            dx = dx + rng.choice([-1, 1]) * rng.uniform(0.4, 0.7)
        else:
            dy = dy + rng.choice([-1, 1]) * rng.uniform(0.4, 0.6)
    elif fault == "size":
        scale = scale * (rng.uniform(0.35, 0.5) if rng.uniform() < 0.5 else rng.uniform(1.8, 2.4))
    return BoxError(rounded(dx), rounded(dy), rounded(scale))


def box_view(
    size: tuple[int, int], camera: Camera, body: Body, error: BoxError, frame: int, heading: float
) -> View:
    """The view of a box of `size` rows and columns that misses by its error in that frame."""
    height, width = size
    scale = float(error.scale[frame])
    seen_from_above = BOX_HEIGHT * body.height * cosine(camera.pitch)
    from_middle = 0.5 - FOOT_MARGIN - float(error.dy[frame])
    return View(
        heading=heading,
        pitch=camera.pitch,
        scale=round(height / (seen_from_above * scale), DECIMALS),
        ground_x=round(width * (0.5 - float(error.dx[frame]) / scale), DECIMALS),
        ground_y=round(height * (0.5 + from_middle / scale), DECIMALS),
    )
