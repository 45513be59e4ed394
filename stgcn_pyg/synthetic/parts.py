"""The numbers of the body's parts, and a person ready to be drawn."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from stgcn_pyg.synthetic.bodies import Body
from stgcn_pyg.synthetic.clothes import Clothes
from stgcn_pyg.synthetic.drawing import Point, Surface
from stgcn_pyg.synthetic.exact import rounded
from stgcn_pyg.synthetic.views import View, project


class Part(IntEnum):
    """What is seen at a pixel, the background being 0."""

    HEAD = 1
    TORSO = 2
    LEFT_ARM = 3
    RIGHT_ARM = 4
    LEFT_LEG = 5
    RIGHT_LEG = 6
    BAG = 7
    OCCLUDER = 8


BODY_PARTS = tuple(part for part in Part if part < Part.BAG)


@dataclass(frozen=True)
class Figure:
    """A person in one frame."""

    body: Body
    clothes: Clothes
    folds: np.ndarray  # (64, 64) light and dark of the cloth's folds, about 1
    view: View
    points: list[Point]  # pixels of each `Joint`
    near: np.ndarray  # (18,) metres towards the camera of each `Joint`


def place_figure(
    body: Body, clothes: Clothes, folds: np.ndarray, view: View, pose: np.ndarray
) -> Figure:
    """A person as seen in one frame; `pose` is (18, 3), as `walk` gives it."""
    pixels, near = project(view, pose)
    points = [(x, y) for x, y in pixels.tolist()]
    return Figure(body, clothes, folds, view, points, near)


def random_folds(rng: np.random.RandomState) -> np.ndarray:
    """(64, 64) float32 light and dark of creased cloth, about 1."""
    noise = rng.standard_normal((64, 64))
    for axis, reach in ((0, 2), (1, 5)):
        noise = np.mean([np.roll(noise, step, axis) for step in range(-reach, reach + 1)], axis=0)
    return rounded(1 + 0.37 * noise).astype(np.float32)  # a deviation of 0.05


def folded(figure: Figure, surface: Surface, colour: np.ndarray, length: float) -> np.ndarray:
    """(3, h, w) a cloth's colour with its folds; `length` is that of the tube in metres."""
    rows = (surface.along * (length * 50)).astype(np.intp) & 63
    columns = (surface.across * 20 + 32).astype(np.intp)
    return colour.reshape(3, *(colour.shape[1:] or (1, 1))) * figure.folds[rows, columns]
