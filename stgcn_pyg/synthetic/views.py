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

    @property
    def facing(self) -> float:
        """1 if the person walks towards the camera, -1 if away from it."""
        return cosine(self.heading)

    @property
    def rightward(self) -> float:
        """1 if the person walks to the image's right, -1 if to its left."""
        return sine(self.heading)

    @property
    def viewpoint(self) -> str:
        """The nearest of eight names for the heading; `right` walks to the image's right."""
        return EIGHTHS[round(self.heading / (np.pi / 4)) % 8]

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(J, 2) pixels from the left and the top, and (J,) metres towards the camera.

        `points` are (J, 3) metres: forward, to the person's left, up.
        """
        forward, left, up = points.T
        right = forward * self.rightward + left * self.facing
        near = forward * self.facing - left * self.rightward
        high = up * cosine(self.pitch) - near * sine(self.pitch)
        x, y = self.ground_x + self.scale * right, self.ground_y - self.scale * high
        return np.stack([x, y], axis=1), near


def random_box_errors(
    rng: np.random.RandomState, frames: int, amount: float, fault: str
) -> np.ndarray:
    """(T, 3) how a tracklet's boxes miss the person, `amount` times as far as usual.

    The columns are the shift to the right and down, as shares of the box's width and height, and
    the size over that of a faultless box. They drift smoothly and tremble. Junk has a `fault`:
    `half` cuts the person in two, `size` is far too large or too small.
    """

    def error(steady: float, drift: float, tremble: float) -> np.ndarray:
        steady_error = steady * rng.standard_normal()
        drifting = drift * smooth_noise(rng, frames)
        return amount * (steady_error + drifting + tremble * rng.standard_normal(frames))

    dx, dy = error(0.02, 0.03, 0.006), error(0.015, 0.012, 0.004)
    scale = np.exp(error(0.04, 0.015, 0.005))
    if fault == "half":
        if rng.uniform() < 0.5:
            dx += rng.choice([-1, 1]) * rng.uniform(0.4, 0.7)
        else:
            dy += rng.choice([-1, 1]) * rng.uniform(0.4, 0.6)
    elif fault == "size":
        scale *= rng.uniform(0.35, 0.5) if rng.uniform() < 0.5 else rng.uniform(1.8, 2.4)
    return rounded(np.stack([dx, dy, scale], axis=1))


def smooth_noise(rng: np.random.RandomState, frames: int, reach: int = 8) -> np.ndarray:
    """(T,) noise of unit variance that changes over about `reach` frames."""
    white = rng.standard_normal(frames + reach - 1)
    windows = [white[start : start + frames] for start in range(reach)]
    return np.sum(windows, axis=0) / np.sqrt(reach)


def box_views(
    size: tuple[int, int], camera: Camera, body: Body, errors: np.ndarray, headings: np.ndarray
) -> list[View]:
    """How each frame's box shows the world, given its `size` in rows and columns and its error."""
    height, width = size
    seen_from_above = BOX_HEIGHT * body.height * cosine(camera.pitch)
    return [
        View(
            heading=heading,
            pitch=camera.pitch,
            scale=round(height / (seen_from_above * scale), DECIMALS),
            ground_x=round(width * (0.5 - dx / scale), DECIMALS),
            ground_y=round(height * (0.5 + (0.5 - FOOT_MARGIN - dy) / scale), DECIMALS),
        )
        for (dx, dy, scale), heading in zip(errors.tolist(), headings.tolist(), strict=True)
    ]
