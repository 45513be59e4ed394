"""A person on the canvas, part by part from far to near: legs, arms, head and hair here."""

import numpy as np

from stgcn_pyg.synthetic.bodies import Joint
from stgcn_pyg.synthetic.clothes import Clothes, second_colour_share
from stgcn_pyg.synthetic.drawing import Canvas, lay, tube
from stgcn_pyg.synthetic.exact import cosine, length, sine
from stgcn_pyg.synthetic.parts import Figure, Part, folded
from stgcn_pyg.synthetic.trunks import bag_depth, draw_bag, draw_trunk


def draw_figure(canvas: Canvas, figure: Figure) -> None:
    """Draw a person, the far parts first."""
    near = figure.near
    left_leg_near = near[Joint.LEFT_KNEE] > near[Joint.RIGHT_KNEE]
    for is_left in (not left_leg_near, left_leg_near):
        _draw_leg(canvas, figure, is_left, shade=1.0 if is_left == left_leg_near else 0.86)
    elbows = (Joint.LEFT_ELBOW, Joint.RIGHT_ELBOW)
    arms = sorted((near[elbow] - near[Joint.NECK], elbow == elbows[0]) for elbow in elbows)
    for depth, is_left in arms:
        if depth < -0.06:
            _draw_arm(canvas, figure, is_left, shade=0.88)
    depth_of_bag = bag_depth(figure)
    if depth_of_bag < 0:
        draw_bag(canvas, figure)
    facing = cosine(figure.view.heading)
    if facing >= 0:
        _draw_long_hair(canvas, figure)
    draw_trunk(canvas, figure)
    _draw_head(canvas, figure)
    if facing < 0:
        _draw_long_hair(canvas, figure)
    if depth_of_bag >= 0:
        draw_bag(canvas, figure)
    for depth, is_left in arms:
        if depth >= -0.06:
            _draw_arm(canvas, figure, is_left, shade=1.0)


def draw_shadow(canvas: Canvas, figure: Figure) -> None:
    """Darken the ground between the feet."""
    x0, x1 = (figure.points[ankle][0] for ankle in (Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE))
    scale, ground = figure.view.scale, figure.view.ground_y
    start, end = (min(x0, x1) - 0.16 * scale, ground), (max(x0, x1) + 0.16 * scale, ground)
    radii = (0.02 * scale, 0.07 * scale, 0.07 * scale, 0.02 * scale)
    surface = tube(canvas, start, end, radii)
    if surface is not None:
        rim = 1 - surface.across * surface.across
        canvas.image[:, surface.rows, surface.columns] *= 1 - 0.35 * surface.cover * rim


def _draw_leg(canvas: Canvas, figure: Figure, is_left: bool, shade: float) -> None:
    """Draw one leg: shoe, shin and thigh; `shade` darkens the far one."""
    body, clothes, scale = figure.body, figure.clothes, figure.view.scale
    part = Part.LEFT_LEG if is_left else Part.RIGHT_LEG
    first = Joint.LEFT_HIP if is_left else Joint.RIGHT_HIP
    hip, knee, ankle, toe = figure.points[first : first + 4]
    thigh = body.thigh_radius * scale
    calf = body.calf_radius * scale
    knee_radius = (body.thigh_radius + 2 * body.calf_radius) / 3 * scale * 0.95
    cloth = np.array(clothes.trousers, np.float32) * shade
    skin = np.array(clothes.skin, np.float32) * shade
    is_long = clothes.trousers_style == "long"

    heel = (ankle[0], ankle[1] + 0.03 * scale)
    shoe = tube(canvas, heel, toe, (0.05 * scale, 0.036 * scale))
    lay(canvas, shoe, np.array(clothes.shoes, np.float32) * shade, part)
    bare = (0.95 * calf, 1.05 * calf, 0.75 * calf, 0.62 * calf)
    below = (calf, 1.08 * calf, 0.85 * calf, 0.9 * calf) if is_long else bare
    shin = tube(canvas, knee, ankle, below)
    if shin is not None:
        colour = folded(figure, shin, cloth, 0.42) if is_long else skin
        lay(canvas, shin, colour, part)
    upper = tube(canvas, hip, knee, (thigh, knee_radius))
    if upper is not None:
        lay(canvas, upper, folded(figure, upper, cloth, 0.42), part)


def _draw_arm(canvas: Canvas, figure: Figure, is_left: bool, shade: float) -> None:
    """Draw one arm: forearm, hand and upper arm; `shade` darkens the far one."""
    body, clothes, scale = figure.body, figure.clothes, figure.view.scale
    part = Part.LEFT_ARM if is_left else Part.RIGHT_ARM
    first = Joint.LEFT_SHOULDER if is_left else Joint.RIGHT_SHOULDER
    shoulder, elbow, hand = figure.points[first : first + 3]
    radius = body.arm_radius * scale
    skin = np.array(clothes.skin, np.float32) * shade
    sleeve = np.array(clothes.shirt, np.float32) * shade
    forearm = tube(canvas, elbow, hand, (0.9 * radius, 0.66 * radius))
    lay(canvas, forearm, sleeve if clothes.sleeves == "long" else skin, part)
    lay(canvas, tube(canvas, hand, hand, (0.046 * scale, 0.046 * scale)), skin, part)
    upper = tube(canvas, shoulder, elbow, (1.2 * radius, 0.92 * radius))
    if upper is not None:
        colour = np.broadcast_to(sleeve[:, None, None], (3, *upper.cover.shape))
        if clothes.pattern in ("hoops", "checks"):
            second = second_colour_share(clothes, upper.along * 0.28, upper.across, upper.bulge)
            other = np.array(clothes.second_shirt, np.float32) * shade
            colour = np.where(second, other[:, None, None], colour)
        lay(canvas, upper, colour, part)


def _draw_head(canvas: Canvas, figure: Figure) -> None:
    """Draw the head with what of the face and the hair is seen from here."""
    body, clothes, view = figure.body, figure.clothes, figure.view
    chin, crown = figure.points[Joint.CHIN], figure.points[Joint.CROWN]
    lengthways = abs(sine(view.heading))
    radius = 0.5 * view.scale * body.head_width * (1 + 0.16 * lengthways)
    # The axis stops one radius short of crown and chin, where the round ends take over.
    long = max(length(crown[0] - chin[0], crown[1] - chin[1]), 1e-3)
    inset = min(radius / long, 0.5)
    top = (crown[0] + inset * (chin[0] - crown[0]), crown[1] + inset * (chin[1] - crown[1]))
    x, y = (chin[axis] + 0.8 * inset * (crown[axis] - chin[axis]) for axis in (0, 1))
    surface = tube(canvas, top, (x, y), (radius, 0.78 * radius))
    if surface is None:
        return
    rows = np.arange(surface.rows.start, surface.rows.stop, dtype=np.float32)[:, None] + 0.5
    down = (rows - crown[1]) / max(chin[1] - crown[1], 1.0)
    # The cosine of a difference of angles: of a point's from the axis and of the heading.
    to_face = surface.bulge * cosine(view.heading) + surface.across * sine(view.heading)
    hair = _hair(clothes, down, to_face)
    skin = np.array(clothes.skin, np.float32)[:, None, None]
    eyes = (np.abs(down - 0.5) < 0.05) & (np.abs(to_face - 0.9) < 0.08)
    mouth = (np.abs(down - 0.8) < 0.03) & (to_face > 0.93)
    face = skin * np.where(eyes | mouth, np.float32(0.55), np.float32(1))
    colour = np.where(hair, np.array(clothes.hair, np.float32)[:, None, None], face)
    lay(canvas, surface, colour, Part.HEAD)


def _hair(clothes: Clothes, down: np.ndarray, to_face: np.ndarray) -> np.ndarray:
    """(h, w) booleans; `down` runs from crown to chin, `to_face` is 1 at the nose, -1 behind."""
    if clothes.hair_style == "bald":
        return np.zeros(to_face.shape, bool)
    if clothes.hair_style == "cap":
        return down < 0.34 + 0.06 * to_face
    reach = 1.2 if clothes.hair_style == "long" else 0.78
    return (down < 0.26 + 0.04 * to_face) | ((to_face < 0.2) & (down < reach))


def _draw_long_hair(canvas: Canvas, figure: Figure) -> None:
    """Draw the hair that falls behind the neck, of those who wear it long."""
    if figure.clothes.hair_style != "long":
        return
    body, view = figure.body, figure.view
    chin, crown, neck = (figure.points[j] for j in (Joint.CHIN, Joint.CROWN, Joint.NECK))
    behind = -0.05 * view.scale * sine(view.heading)
    middle = (0.4 * chin[0] + 0.6 * crown[0] + behind, 0.4 * chin[1] + 0.6 * crown[1])
    tip = (neck[0] + 1.3 * behind, neck[1] + 0.05 * view.scale)
    radius = 0.5 * body.head_width * view.scale
    surface = tube(canvas, middle, tip, (0.95 * radius, 0.85 * radius))
    lay(canvas, surface, figure.clothes.hair, Part.HEAD)
