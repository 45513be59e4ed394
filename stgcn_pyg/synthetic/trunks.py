"""The trunk, the skirt below it and the bag that a person carries."""

import numpy as np

from stgcn_pyg.synthetic.bodies import Joint
from stgcn_pyg.synthetic.clothes import second_colour_share
from stgcn_pyg.synthetic.drawing import Canvas, Point, lay, tube
from stgcn_pyg.synthetic.exact import cosine, length, sine
from stgcn_pyg.synthetic.parts import Figure, Part, folded


def draw_trunk(canvas: Canvas, figure: Figure) -> None:
    """Draw the trunk in its shirt, the throat, and the skirt if one is worn."""
    clothes, view = figure.clothes, figure.view
    neck, pelvis = figure.points[Joint.NECK], figure.points[Joint.PELVIS]
    crotch = (pelvis[0], pelvis[1] + 0.07 * view.scale)
    radii = _trunk_radii(figure)
    metres = length(crotch[0] - neck[0], crotch[1] - neck[1]) / view.scale
    surface = tube(canvas, neck, crotch, radii, flat_ends=True)
    if surface is not None:
        facing = surface.bulge * cosine(view.heading) + surface.across * sine(view.heading)
        down = surface.along * metres
        second = second_colour_share(clothes, down, surface.across, facing, view.heading)
        trousers = surface.along > clothes.hem
        shirt, other, lower = (
            np.array(colour, np.float32)[:, None, None]
            for colour in (clothes.shirt, clothes.second_shirt, clothes.trousers)
        )
        colour = np.where(trousers, lower, np.where(second, other, shirt))
        lay(canvas, surface, folded(figure, surface, colour, metres), Part.TORSO)
    if clothes.trousers_style == "skirt":
        _draw_skirt(canvas, figure, crotch, radii[-2])
    throat = tube(canvas, figure.points[Joint.CHIN], neck, (0.05 * view.scale, 0.062 * view.scale))
    lay(canvas, throat, 0.85 * np.array(clothes.skin, np.float32), Part.HEAD)


def _trunk_radii(figure: Figure) -> tuple[float, ...]:
    """Half widths in pixels from the neck to the crotch, as wide as the heading shows them."""
    body, scale = figure.body, figure.view.scale
    across, lengthways = abs(cosine(figure.view.heading)), abs(sine(figure.view.heading))

    def half(width: float, depth: float) -> float:
        return 0.5 * scale * length(width * across, depth * lengthways)

    # The arms' own tubes round off the shoulders, so the trunk stops short of them.
    chest_width = body.shoulder_width - body.arm_radius
    chest = half(chest_width, body.depth)
    waist = half(body.waist_width, 0.92 * body.depth)
    hips = half(body.hip_width, 0.5 * (body.depth + body.hip_width * 0.8))
    ribs = 0.5 * (chest + waist)
    return (
        half(0.15, 0.13),
        half(0.75 * chest_width, 0.75 * body.depth),
        chest,
        chest,
        0.5 * (chest + ribs),
        ribs,
        waist,
        0.5 * (waist + hips),
        hips,
        hips,
        0.86 * hips,
    )


def _draw_skirt(canvas: Canvas, figure: Figure, crotch: Point, hips: float) -> None:
    (x0, y0), (x1, y1) = figure.points[Joint.LEFT_KNEE], figure.points[Joint.RIGHT_KNEE]
    hem = (0.5 * (x0 + x1), 0.5 * (y0 + y1))
    spread = 0.5 * abs(x0 - x1)
    start = (crotch[0], crotch[1] - 0.06 * figure.view.scale)
    wide = max(hips, spread + figure.body.thigh_radius * figure.view.scale)
    surface = tube(canvas, start, hem, (hips, wide), flat_ends=True)
    if surface is None:
        return
    colour = folded(figure, surface, np.array(figure.clothes.trousers, np.float32), 0.45)
    # The skirt hides the thighs; each half counts as the leg under it.
    left, right = Part.LEFT_LEG, Part.RIGHT_LEG
    if cosine(figure.view.heading) > 0:
        left, right = right, left
    lay(canvas, surface, colour, left)
    half = canvas.parts[surface.rows, surface.columns]
    half[(surface.cover > 0.5) & (surface.across > 0)] = right


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
    lay(canvas, surface, figure.clothes.bag_colour, Part.BAG)


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
    lay(canvas, surface, figure.clothes.bag_colour, Part.BAG)
