"""Head, face and hair."""

import numpy as np

from stgcn_pyg.synthetic.clothes import Clothes
from stgcn_pyg.synthetic.drawing import Canvas, lay, tube
from stgcn_pyg.synthetic.exact import cosine, length, sine
from stgcn_pyg.synthetic.parts import Figure, Part
from stgcn_pyg.synthetic.walking import Joint


def draw_head(canvas: Canvas, figure: Figure) -> None:
    """Draw the head with what of the face and the hair is seen from here."""
    body, clothes, view = figure.body, figure.clothes, figure.view
    chin, crown = figure.points[Joint.CHIN], figure.points[Joint.CROWN]
    lengthways = abs(sine(view.heading))
    radius = 0.5 * view.scale * body.head_width * (1 + 0.16 * lengthways)
    # The axis stops one radius short of the crown and of the chin, where the round ends take over.
    long = max(length(crown[0] - chin[0], crown[1] - chin[1]), 1e-3)
    inset = min(radius / long, 0.5)
    top = (crown[0] + inset * (chin[0] - crown[0]), crown[1] + inset * (chin[1] - crown[1]))
    jaw = (
        chin[0] + 0.8 * inset * (crown[0] - chin[0]),
        chin[1] + 0.8 * inset * (crown[1] - chin[1]),
    )
    surface = tube(canvas, top, jaw, (radius, 0.78 * radius))
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


def draw_long_hair(canvas: Canvas, figure: Figure) -> None:
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
    if surface is not None:
        lay(canvas, surface, np.array(figure.clothes.hair, np.float32), Part.HEAD)
