"""The trunk and the skirt below it."""

import numpy as np

from stgcn_pyg.synthetic.clothes import second_colour_share
from stgcn_pyg.synthetic.drawing import Canvas, Point, lay, tube
from stgcn_pyg.synthetic.exact import cosine, sine
from stgcn_pyg.synthetic.exact import length as measure
from stgcn_pyg.synthetic.parts import Figure, Part, folded
from stgcn_pyg.synthetic.walking import Joint


def draw_trunk(canvas: Canvas, figure: Figure) -> None:
    """Draw the trunk in its shirt, the throat, and the skirt if one is worn."""
    clothes, view = figure.clothes, figure.view
    neck, pelvis = figure.points[Joint.NECK], figure.points[Joint.PELVIS]
    crotch = (pelvis[0], pelvis[1] + 0.07 * view.scale)
    radii = _trunk_radii(figure)
    length = measure(crotch[0] - neck[0], crotch[1] - neck[1]) / view.scale
    surface = tube(canvas, neck, crotch, radii, flat_ends=True)
    if surface is not None:
        facing = surface.bulge * cosine(view.heading) + surface.across * sine(view.heading)
        down = surface.along * length
        second = second_colour_share(clothes, down, surface.across, facing, view.heading)
        trousers = surface.along > clothes.hem
        shirt, other, lower = (
            np.array(colour, np.float32)[:, None, None]
            for colour in (clothes.shirt, clothes.second_shirt, clothes.trousers)
        )
        colour = np.where(trousers, lower, np.where(second, other, shirt))
        lay(canvas, surface, folded(figure, surface, colour, length), Part.TORSO)
    if clothes.trousers_style == "skirt":
        _draw_skirt(canvas, figure, crotch, radii[-2])
    throat = tube(canvas, figure.points[Joint.CHIN], neck, (0.05 * view.scale, 0.062 * view.scale))
    if throat is not None:
        lay(canvas, throat, 0.85 * np.array(clothes.skin, np.float32), Part.HEAD)


def _trunk_radii(figure: Figure) -> tuple[float, ...]:
    """Half widths in pixels from the neck to the crotch, as wide as the heading shows them."""
    body, scale = figure.body, figure.view.scale
    across, lengthways = abs(cosine(figure.view.heading)), abs(sine(figure.view.heading))

    def half(width: float, depth: float) -> float:
        return 0.5 * scale * measure(width * across, depth * lengthways)

    # The arms' own tubes round off the shoulders, so the trunk stops short of them.
    chest_width = body.shoulder_width - body.arm_radius
    neck = half(0.15, 0.13)
    collar = half(0.75 * chest_width, 0.75 * body.depth)
    chest = half(chest_width, body.depth)
    waist = half(body.waist_width, 0.92 * body.depth)
    hips = half(body.hip_width, 0.5 * (body.depth + body.hip_width * 0.8))
    ribs = 0.5 * (chest + waist)
    return (
        neck,
        collar,
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
    knees = [figure.points[joint] for joint in (Joint.LEFT_KNEE, Joint.RIGHT_KNEE)]
    hem = (0.5 * (knees[0][0] + knees[1][0]), 0.5 * (knees[0][1] + knees[1][1]))
    spread = 0.5 * abs(knees[0][0] - knees[1][0])
    start = (crotch[0], crotch[1] - 0.06 * figure.view.scale)
    wide = max(hips, spread + figure.body.thigh_radius * figure.view.scale)
    surface = tube(canvas, start, hem, (hips, wide), flat_ends=True)
    if surface is None:
        return
    colour = folded(figure, surface, np.array(figure.clothes.trousers, np.float32), 0.45)
    # The skirt hides the thighs; each half counts as the leg under it.
    left_is_right = cosine(figure.view.heading) > 0
    lay(canvas, surface, colour, Part.RIGHT_LEG if left_is_right else Part.LEFT_LEG)
    half = canvas.parts[surface.rows, surface.columns]
    half[(surface.cover > 0.5) & (surface.across > 0)] = (
        Part.LEFT_LEG if left_is_right else Part.RIGHT_LEG
    )
