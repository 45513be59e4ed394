"""From metres in space to pixels in the box."""

from dataclasses import dataclass

import numpy as np

from stgcn_pyg.synthetic.exact import cosine, sine

VIEWPOINTS = (
    "front",
    "front right",
    "right",
    "back right",
    "back",
    "back left",
    "left",
    "front left",
)


@dataclass(frozen=True)
class View:
    """How one frame's box shows the world about the person.

    Attributes:
        heading: Radians; 0 walks towards the camera, a quarter turn to the picture's right.
        pitch: Radians that the camera looks down.
        scale: Pixels a metre.
        ground_x: Pixels from the left to the point under the person.
        ground_y: Pixels from the top to the same point.
    """

    heading: float
    pitch: float
    scale: float
    ground_x: float
    ground_y: float


def viewpoint(heading: float) -> str:
    """The nearest of eight names for a heading; `right` walks to the picture's right."""
    return VIEWPOINTS[round(heading / (np.pi / 4)) % 8]


def project(view: View, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points in space as pixels.

    Args:
        view: The view.
        points: (J, 3) metres: forward, to the person's left, up.

    Returns:
        (J, 2) pixels from the left and the top, and (J,) metres towards the camera.
    """
    forward, left, up = points.T
    right = forward * sine(view.heading) + left * cosine(view.heading)
    near = forward * cosine(view.heading) - left * sine(view.heading)
    high = up * cosine(view.pitch) - near * sine(view.pitch)
    pixels = np.stack([view.ground_x + view.scale * right, view.ground_y - view.scale * high], 1)
    return pixels, near
