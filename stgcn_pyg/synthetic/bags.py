"""Bags."""

import numpy as np

from stgcn_pyg.synthetic.drawing import Canvas, Point, lay, tube
from stgcn_pyg.synthetic.exact import cosine, length, sine
from stgcn_pyg.synthetic.parts import Figure, Part
from stgcn_pyg.synthetic.walking import Joint


def bag_depth(figure: Figure) -> float:
    """Metres towards the camera of the bag, from the trunk."""
    heading = figure.view.heading
    if figure.body.bag == "backpack":
        return -cosine(heading)
    return sine(heading)  # carried on the right


def draw_bag(canvas: Canvas, figure: Figure) -> None:
    """Draw the bag, if the person carries one."""
    if figure.body.bag == "none":
        return
    if figure.body.bag == "backpack":
        start, end, radii = _backpack(figure)
    elif figure.body.bag == "shoulder":
        start, end, radii = _shoulder_bag(figure)
        _draw_strap(canvas, figure, start)
    else:
        start, end, radii = _hand_bag(figure)
    surface = tube(canvas, start, end, radii, flat_ends=True, roundness=0.7)
    if surface is not None:
        lay(canvas, surface, np.array(figure.clothes.bag_colour, np.float32), Part.BAG)


def _half_width(figure: Figure, across: float, lengthways: float) -> float:
    """Half the pixels that a box of these metres is wide as its bearer is turned."""
    heading, size = figure.view.heading, figure.body.bag_size * figure.view.scale
    return 0.5 * size * length(across * cosine(heading), lengthways * sine(heading))


def _backpack(figure: Figure) -> tuple[Point, Point, tuple[float, ...]]:
    body, view = figure.body, figure.view
    neck, pelvis = figure.points[Joint.NECK], figure.points[Joint.PELVIS]
    wide = _half_width(figure, 0.3, 0.17)
    shift = -sine(view.heading) * view.scale * 0.5 * (body.depth + 0.12)
    top = neck[1] + 0.1 * view.scale
    start = (neck[0] + shift, top)
    end = (0.25 * neck[0] + 0.75 * pelvis[0] + shift, top + 0.42 * body.bag_size * view.scale)
    return start, end, (0.8 * wide, wide, wide, wide, 0.9 * wide)


def _shoulder_bag(figure: Figure) -> tuple[Point, Point, tuple[float, ...]]:
    body, view = figure.body, figure.view
    pelvis = figure.points[Joint.PELVIS]
    wide = _half_width(figure, 0.12, 0.32)
    x = pelvis[0] - cosine(view.heading) * view.scale * 0.5 * (body.hip_width + 0.1)
    top = pelvis[1] - 0.14 * view.scale
    return (x, top), (x, top + 0.26 * body.bag_size * view.scale), (0.9 * wide, wide)


def _hand_bag(figure: Figure) -> tuple[Point, Point, tuple[float, ...]]:
    x, hand = figure.points[Joint.RIGHT_HAND]
    wide = _half_width(figure, 0.1, 0.3)
    top = hand + 0.06 * figure.view.scale
    end = (x, top + 0.3 * figure.body.bag_size * figure.view.scale)
    return (x, top), end, (0.85 * wide, wide)


def _draw_strap(canvas: Canvas, figure: Figure, bag: Point) -> None:
    """The strap of a shoulder bag, up to the other shoulder."""
    neck, pelvis = figure.points[Joint.NECK], figure.points[Joint.PELVIS]
    end = (neck[0] - 0.3 * (bag[0] - pelvis[0]), neck[1] + 0.02 * figure.view.scale)
    wide = 0.018 * figure.view.scale
    surface = tube(canvas, bag, end, (wide, wide), roundness=0.5)
    if surface is not None:
        lay(canvas, surface, np.array(figure.clothes.bag_colour, np.float32), Part.BAG)
