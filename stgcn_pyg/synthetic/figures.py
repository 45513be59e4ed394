"""A person on the canvas, part by part from far to near."""

from stgcn_pyg.synthetic.bags import bag_depth, draw_bag
from stgcn_pyg.synthetic.drawing import Canvas, tube
from stgcn_pyg.synthetic.exact import cosine
from stgcn_pyg.synthetic.heads import draw_head, draw_long_hair
from stgcn_pyg.synthetic.limbs import draw_arm, draw_leg
from stgcn_pyg.synthetic.parts import Figure
from stgcn_pyg.synthetic.trunks import draw_trunk
from stgcn_pyg.synthetic.walking import Joint


def draw_figure(canvas: Canvas, figure: Figure) -> None:
    """Draw a person, the far parts first."""
    near = figure.near
    left_leg_near = near[Joint.LEFT_KNEE] > near[Joint.RIGHT_KNEE]
    for is_left in (not left_leg_near, left_leg_near):
        draw_leg(canvas, figure, is_left, shade=1.0 if is_left == left_leg_near else 0.86)
    left_arm = near[Joint.LEFT_ELBOW] - near[Joint.NECK]
    right_arm = near[Joint.RIGHT_ELBOW] - near[Joint.NECK]
    arms = sorted([(left_arm, True), (right_arm, False)])
    for depth, is_left in arms:
        if depth < -0.06:
            draw_arm(canvas, figure, is_left, shade=0.88)
    depth_of_bag = bag_depth(figure)
    if depth_of_bag < 0:
        draw_bag(canvas, figure)
    facing = cosine(figure.view.heading)
    if facing >= 0:
        draw_long_hair(canvas, figure)
    draw_trunk(canvas, figure)
    draw_head(canvas, figure)
    if facing < 0:
        draw_long_hair(canvas, figure)
    if depth_of_bag >= 0:
        draw_bag(canvas, figure)
    for depth, is_left in arms:
        if depth >= -0.06:
            draw_arm(canvas, figure, is_left, shade=1.0)


def draw_shadow(canvas: Canvas, figure: Figure) -> None:
    """Darken the ground between the feet."""
    x0, x1 = (figure.points[ankle][0] for ankle in (Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE))
    scale = figure.view.scale
    ground = figure.view.ground_y
    reach = 0.16 * scale
    surface = tube(
        canvas,
        (min(x0, x1) - reach, ground),
        (max(x0, x1) + reach, ground),
        (0.02 * scale, 0.07 * scale, 0.07 * scale, 0.02 * scale),
    )
    if surface is not None:
        rim = 1 - surface.across * surface.across
        canvas.image[:, surface.rows, surface.columns] *= 1 - 0.35 * surface.cover * rim
