"""Legs and arms."""

import numpy as np

from stgcn_pyg.synthetic.clothes import second_colour_share
from stgcn_pyg.synthetic.drawing import Canvas, lay, tube
from stgcn_pyg.synthetic.parts import Figure, Part, folded
from stgcn_pyg.synthetic.walking import Joint


def draw_leg(canvas: Canvas, figure: Figure, is_left: bool, shade: float) -> None:
    """Draw one leg: shoe, shin and thigh; `shade` darkens the far one."""
    body, clothes, scale = figure.body, figure.clothes, figure.view.scale
    part = Part.LEFT_LEG if is_left else Part.RIGHT_LEG
    first = Joint.LEFT_HIP if is_left else Joint.RIGHT_HIP
    hip, knee, ankle, toe = figure.points[first : first + 4]
    thigh = body.thigh_radius * scale
    calf = body.calf_radius * scale
    knee_radius = (body.thigh_radius + 2 * body.calf_radius) / 3 * scale * 0.95
    ankle_radius = 0.62 * calf
    cloth = np.array(clothes.trousers, np.float32) * shade
    skin = np.array(clothes.skin, np.float32) * shade
    is_long = clothes.trousers_style == "long"

    heel = (ankle[0], ankle[1] + 0.03 * scale)
    shoe = tube(canvas, heel, toe, (0.05 * scale, 0.036 * scale))
    if shoe is not None:
        lay(canvas, shoe, np.array(clothes.shoes, np.float32) * shade, part)
    below = (calf, 1.08 * calf, 0.85 * calf, 0.9 * calf) if is_long else ()
    bare = (0.95 * calf, 1.05 * calf, 0.75 * calf, ankle_radius)
    shin = tube(canvas, knee, ankle, below or bare)
    if shin is not None:
        colour = folded(figure, shin, cloth, 0.42) if is_long else skin
        lay(canvas, shin, colour, part)
    upper = tube(canvas, hip, knee, (thigh, knee_radius))
    if upper is not None:
        lay(canvas, upper, folded(figure, upper, cloth, 0.42), part)


def draw_arm(canvas: Canvas, figure: Figure, is_left: bool, shade: float) -> None:
    """Draw one arm: forearm, hand and upper arm; `shade` darkens the far one."""
    body, clothes, scale = figure.body, figure.clothes, figure.view.scale
    part = Part.LEFT_ARM if is_left else Part.RIGHT_ARM
    first = Joint.LEFT_SHOULDER if is_left else Joint.RIGHT_SHOULDER
    shoulder, elbow, hand = figure.points[first : first + 3]
    radius = body.arm_radius * scale
    skin = np.array(clothes.skin, np.float32) * shade
    sleeve = np.array(clothes.shirt, np.float32) * shade
    forearm = tube(canvas, elbow, hand, (0.9 * radius, 0.66 * radius))
    if forearm is not None:
        lay(canvas, forearm, sleeve if clothes.sleeves == "long" else skin, part)
    palm = tube(canvas, hand, hand, (0.046 * scale, 0.046 * scale))
    if palm is not None:
        lay(canvas, palm, skin, part)
    upper = tube(canvas, shoulder, elbow, (1.2 * radius, 0.92 * radius))
    if upper is not None:
        colour = np.broadcast_to(sleeve[:, None, None], (3, *upper.cover.shape))
        if clothes.pattern in ("hoops", "checks"):
            second = second_colour_share(clothes, upper.along * 0.28, upper.across, upper.bulge)
            other = np.array(clothes.second_shirt, np.float32) * shade
            colour = np.where(second, other[:, None, None], colour)
        lay(canvas, upper, colour, part)
