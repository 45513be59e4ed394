"""A person on the canvas, part by part from far to near."""

from enum import IntEnum

import numpy as np

from stgcn_pyg.synthetic.bodies import Body, Joint
from stgcn_pyg.synthetic.clothes import Clothes, second_colour_share
from stgcn_pyg.synthetic.drawing import CENTRES, Canvas, Point, Surface, lay, paint, tube
from stgcn_pyg.synthetic.exact import length, rounded
from stgcn_pyg.synthetic.views import View

Part = IntEnum("Part", "HEAD TORSO LEFT_ARM RIGHT_ARM LEFT_LEG RIGHT_LEG BAG OCCLUDER")
"""What is seen at a pixel, from 1; the background is 0."""

BODY_PARTS = tuple(part for part in Part if part < Part.BAG)


class Figure:
    """A person in one frame; `pose` is (18, 3), as `walk` gives it.

    `folds` (64, 64) are the light and dark of the cloth's folds, about 1, `points` the pixels of
    each `Joint`, and `near` (18,) its metres towards the camera.
    """

    def __init__(
        self, body: Body, clothes: Clothes, folds: np.ndarray, view: View, pose: np.ndarray
    ):
        self.body, self.clothes, self.folds, self.view = body, clothes, folds, view
        pixels, self.near = view.project(pose)
        self.points: list[Point] = [(x, y) for x, y in pixels.tolist()]


def random_folds(rng: np.random.RandomState) -> np.ndarray:
    """(64, 64) float32 light and dark of creased cloth, about 1."""
    noise = rng.standard_normal((64, 64))
    for axis, reach in ((0, 2), (1, 5)):
        noise = np.mean([np.roll(noise, step, axis) for step in range(-reach, reach + 1)], axis=0)
    return rounded(1 + 0.37 * noise).astype(np.float32)  # a deviation of 0.05


def draw_figure(canvas: Canvas, figure: Figure) -> None:
    """Draw a person, the far parts first."""
    near, facing = figure.near, figure.view.facing
    left_leg_near = near[Joint.LEFT_KNEE] > near[Joint.RIGHT_KNEE]
    _draw_leg(canvas, figure, not left_leg_near, shade=0.86)
    _draw_leg(canvas, figure, left_leg_near, shade=1.0)
    elbows = (Joint.LEFT_ELBOW, Joint.RIGHT_ELBOW)
    arms = sorted((near[elbow] - near[Joint.NECK], elbow == elbows[0]) for elbow in elbows)
    for depth, is_left in arms:
        if depth < -0.06:
            _draw_arm(canvas, figure, is_left, shade=0.88)
    # A backpack is behind the trunk of those who walk towards the camera; other bags are carried
    # on the right.
    bag_depth = -facing if figure.body.bag == "backpack" else figure.view.rightward
    if bag_depth < 0:
        _draw_bag(canvas, figure)
    if facing >= 0:
        _draw_long_hair(canvas, figure)
    _draw_trunk(canvas, figure)
    _draw_head(canvas, figure)
    if facing < 0:
        _draw_long_hair(canvas, figure)
    if bag_depth >= 0:
        _draw_bag(canvas, figure)
    for depth, is_left in arms:
        if depth >= -0.06:
            _draw_arm(canvas, figure, is_left, shade=1.0)


def draw_shadow(canvas: Canvas, figure: Figure) -> None:
    """Darken the ground between the feet."""
    x0, x1 = (figure.points[ankle][0] for ankle in (Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE))
    scale, ground = figure.view.scale, figure.view.ground_y
    start, end = (min(x0, x1) - 0.16 * scale, ground), (max(x0, x1) + 0.16 * scale, ground)
    surface = tube(canvas, start, end, (0.02 * scale, 0.07 * scale, 0.07 * scale, 0.02 * scale))
    rim = 1 - surface.across * surface.across
    canvas.image[:, surface.rows, surface.columns] *= 1 - 0.35 * surface.cover * rim


def _folded(figure: Figure, surface: Surface, colour: np.ndarray, metres: float) -> np.ndarray:
    """(3, h, w) a cloth's colour with its folds, on a tube of that length."""
    rows = (surface.along * (metres * 50)).astype(np.intp) & 63
    columns = (surface.across * 20 + 32).astype(np.intp)
    return colour * figure.folds[rows, columns]


def _draw_leg(canvas: Canvas, figure: Figure, is_left: bool, shade: float) -> None:
    """Draw a shoe, a shin and a thigh; `shade` darkens the far leg."""
    body, clothes, scale = figure.body, figure.clothes, figure.view.scale
    part = Part.LEFT_LEG if is_left else Part.RIGHT_LEG
    first = Joint.LEFT_HIP if is_left else Joint.RIGHT_HIP
    hip, knee, ankle, toe = figure.points[first : first + 4]
    thigh, calf = body.thigh_radius * scale, body.calf_radius * scale
    knee_radius = (body.thigh_radius + 2 * body.calf_radius) / 3 * scale * 0.95
    cloth = paint(clothes.trousers, shade)

    heel = (ankle[0], ankle[1] + 0.03 * scale)
    shoe = tube(canvas, heel, toe, (0.05 * scale, 0.036 * scale))
    lay(canvas, shoe, paint(clothes.shoes, shade), part)
    if clothes.trousers_style == "long":
        shin = tube(canvas, knee, ankle, (calf, 1.08 * calf, 0.85 * calf, 0.9 * calf))
        lay(canvas, shin, _folded(figure, shin, cloth, 0.42), part)
    else:
        shin = tube(canvas, knee, ankle, (0.95 * calf, 1.05 * calf, 0.75 * calf, 0.62 * calf))
        lay(canvas, shin, paint(clothes.skin, shade), part)
    upper = tube(canvas, hip, knee, (thigh, knee_radius))
    lay(canvas, upper, _folded(figure, upper, cloth, 0.42), part)


def _draw_arm(canvas: Canvas, figure: Figure, is_left: bool, shade: float) -> None:
    """Draw a forearm, a hand and an upper arm; `shade` darkens the far arm."""
    clothes, scale = figure.clothes, figure.view.scale
    part = Part.LEFT_ARM if is_left else Part.RIGHT_ARM
    first = Joint.LEFT_SHOULDER if is_left else Joint.RIGHT_SHOULDER
    shoulder, elbow, hand = figure.points[first : first + 3]
    radius = figure.body.arm_radius * scale
    skin, sleeve = paint(clothes.skin, shade), paint(clothes.shirt, shade)
    forearm = tube(canvas, elbow, hand, (0.9 * radius, 0.66 * radius))
    lay(canvas, forearm, sleeve if clothes.sleeves == "long" else skin, part)
    lay(canvas, tube(canvas, hand, hand, (0.046 * scale, 0.046 * scale)), skin, part)
    upper = tube(canvas, shoulder, elbow, (1.2 * radius, 0.92 * radius))
    if clothes.pattern in ("hoops", "checks"):
        second = second_colour_share(clothes, upper.along * 0.28, upper.across, upper.bulge)
        sleeve = np.where(second, paint(clothes.second_shirt, shade), sleeve)
    lay(canvas, upper, sleeve, part)


def _draw_trunk(canvas: Canvas, figure: Figure) -> None:
    """Draw the trunk in its shirt, the skirt if one is worn, and the throat."""
    clothes, view = figure.clothes, figure.view
    neck, pelvis = figure.points[Joint.NECK], figure.points[Joint.PELVIS]
    crotch = (pelvis[0], pelvis[1] + 0.07 * view.scale)
    radii = _trunk_radii(figure)
    metres = length(crotch[0] - neck[0], crotch[1] - neck[1]) / view.scale
    surface = tube(canvas, neck, crotch, radii, flat_ends=True)
    facing = surface.bulge * view.facing + surface.across * view.rightward
    down = surface.along * metres
    second = second_colour_share(clothes, down, surface.across, facing, view.heading)
    shirt = np.where(second, paint(clothes.second_shirt), paint(clothes.shirt))
    colour = np.where(surface.along > clothes.hem, paint(clothes.trousers), shirt)
    lay(canvas, surface, _folded(figure, surface, colour, metres), Part.TORSO)
    if clothes.trousers_style == "skirt":
        _draw_skirt(canvas, figure, crotch, hips=radii[-2])
    throat = tube(canvas, figure.points[Joint.CHIN], neck, (0.05 * view.scale, 0.062 * view.scale))
    lay(canvas, throat, paint(clothes.skin, shade=0.85), Part.HEAD)


def _trunk_radii(figure: Figure) -> tuple[float, ...]:
    """Half widths in pixels from the neck to the crotch, as wide as the heading shows them."""
    body, depth = figure.body, figure.body.depth
    # The arms' own tubes round off the shoulders, so the trunk stops short of them.
    chest_width = body.shoulder_width - body.arm_radius
    chest = _half_width(figure, chest_width, depth)
    waist = _half_width(figure, body.waist_width, 0.92 * depth)
    hips = _half_width(figure, body.hip_width, 0.5 * (depth + body.hip_width * 0.8))
    collar = _half_width(figure, 0.15, 0.13)
    shoulders = _half_width(figure, 0.75 * chest_width, 0.75 * depth)
    ribs = 0.5 * (chest + waist)
    upper = (collar, shoulders, chest, chest, 0.5 * (chest + ribs), ribs)
    return (*upper, waist, 0.5 * (waist + hips), hips, hips, 0.86 * hips)


def _half_width(figure: Figure, width: float, depth: float) -> float:
    """Half the pixels that a box of these metres is wide as the person is turned."""
    view = figure.view
    return 0.5 * view.scale * length(width * view.facing, depth * view.rightward)


def _draw_skirt(canvas: Canvas, figure: Figure, crotch: Point, hips: float) -> None:
    """Draw the skirt, which is `hips` pixels wide to either side of the crotch."""
    (x0, y0), (x1, y1) = figure.points[Joint.LEFT_KNEE], figure.points[Joint.RIGHT_KNEE]
    hem = (0.5 * (x0 + x1), 0.5 * (y0 + y1))
    start = (crotch[0], crotch[1] - 0.06 * figure.view.scale)
    wide = max(hips, 0.5 * abs(x0 - x1) + figure.body.thigh_radius * figure.view.scale)
    surface = tube(canvas, start, hem, (hips, wide), flat_ends=True)
    colour = _folded(figure, surface, paint(figure.clothes.trousers), 0.45)
    # The skirt hides the thighs; each half counts as the leg under it.
    left, right = Part.LEFT_LEG, Part.RIGHT_LEG
    if figure.view.facing > 0:
        left, right = right, left
    lay(canvas, surface, colour, left)
    parts = canvas.parts[surface.rows, surface.columns]
    parts[(surface.cover > 0.5) & (surface.across > 0)] = right


def _draw_bag(canvas: Canvas, figure: Figure) -> None:
    """Draw the bag, if the person carries one."""
    body, view, scale = figure.body, figure.view, figure.view.scale
    colour, size = paint(figure.clothes.bag_colour), body.bag_size * scale
    neck, pelvis = figure.points[Joint.NECK], figure.points[Joint.PELVIS]
    if body.bag == "none":
        return
    if body.bag == "backpack":
        wide = body.bag_size * _half_width(figure, 0.3, 0.17)
        shift = -view.rightward * scale * 0.5 * (body.depth + 0.12)
        x, y = neck[0] + shift, neck[1] + 0.1 * scale
        end = (0.25 * neck[0] + 0.75 * pelvis[0] + shift, y + 0.42 * size)
        radii: tuple[float, ...] = (0.8 * wide, wide, wide, wide, 0.9 * wide)
    elif body.bag == "shoulder":
        wide = body.bag_size * _half_width(figure, 0.12, 0.32)
        x = pelvis[0] - view.facing * scale * 0.5 * (body.hip_width + 0.1)
        y = pelvis[1] - 0.14 * scale
        end, radii = (x, y + 0.26 * size), (0.9 * wide, wide)
        other_shoulder = (neck[0] - 0.3 * (x - pelvis[0]), neck[1] + 0.02 * scale)
        strap = (0.018 * scale, 0.018 * scale)
        lay(canvas, tube(canvas, (x, y), other_shoulder, strap, roundness=0.5), colour, Part.BAG)
    else:
        wide = body.bag_size * _half_width(figure, 0.1, 0.3)
        x, hand = figure.points[Joint.RIGHT_HAND]
        y = hand + 0.06 * scale
        end, radii = (x, y + 0.3 * size), (0.85 * wide, wide)
    surface = tube(canvas, (x, y), end, radii, flat_ends=True, roundness=0.7)
    lay(canvas, surface, colour, Part.BAG)


def _draw_head(canvas: Canvas, figure: Figure) -> None:
    """Draw the head with what of the face and the hair is seen from here."""
    clothes, view = figure.clothes, figure.view
    chin, crown = figure.points[Joint.CHIN], figure.points[Joint.CROWN]
    radius = 0.5 * view.scale * figure.body.head_width * (1 + 0.16 * abs(view.rightward))
    # The axis stops one radius short of crown and chin, where the round ends take over.
    inset = min(radius / max(length(crown[0] - chin[0], crown[1] - chin[1]), 1e-3), 0.5)
    top = (crown[0] + inset * (chin[0] - crown[0]), crown[1] + inset * (chin[1] - crown[1]))
    x, y = (chin[axis] + 0.8 * inset * (crown[axis] - chin[axis]) for axis in (0, 1))
    surface = tube(canvas, top, (x, y), (radius, 0.78 * radius))
    down = (CENTRES[surface.rows, None] - crown[1]) / max(chin[1] - crown[1], 1.0)
    # The cosine of a difference of angles: of a point's from the axis and of the heading.
    to_face = surface.bulge * view.facing + surface.across * view.rightward
    eyes = (np.abs(down - 0.5) < 0.05) & (np.abs(to_face - 0.9) < 0.08)
    mouth = (np.abs(down - 0.8) < 0.03) & (to_face > 0.93)
    face = paint(clothes.skin) * np.where(eyes | mouth, np.float32(0.55), np.float32(1))
    colour = np.where(_is_hair(clothes, down, to_face), paint(clothes.hair), face)
    lay(canvas, surface, colour, Part.HEAD)


def _is_hair(clothes: Clothes, down: np.ndarray, to_face: np.ndarray) -> np.ndarray:
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
    scale = figure.view.scale
    chin, crown, neck = (figure.points[j] for j in (Joint.CHIN, Joint.CROWN, Joint.NECK))
    behind = -0.05 * scale * figure.view.rightward
    middle = (0.4 * chin[0] + 0.6 * crown[0] + behind, 0.4 * chin[1] + 0.6 * crown[1])
    tip = (neck[0] + 1.3 * behind, neck[1] + 0.05 * scale)
    radius = 0.5 * figure.body.head_width * scale
    surface = tube(canvas, middle, tip, (0.95 * radius, 0.85 * radius))
    lay(canvas, surface, paint(figure.clothes.hair), Part.HEAD)
