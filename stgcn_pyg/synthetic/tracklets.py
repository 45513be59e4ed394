"""One tracklet: drawn, occluded, recorded by its camera, and measured."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from stgcn_pyg.synthetic.backgrounds import random_background, window
from stgcn_pyg.synthetic.bodies import FRAMES_PER_SECOND, walk
from stgcn_pyg.synthetic.cameras import (
    GRAIN_SIZE,
    Camera,
    develop,
    random_camera,
    random_grain,
    recorded,
    recorded_clothes,
    sensor_size,
)
from stgcn_pyg.synthetic.drawing import Canvas
from stgcn_pyg.synthetic.exact import Stream, generator, rounded
from stgcn_pyg.synthetic.figures import draw_figure, draw_shadow
from stgcn_pyg.synthetic.files import image_path
from stgcn_pyg.synthetic.measures import cells, is_body, measure
from stgcn_pyg.synthetic.occluders import choose_occluders, draw_occluder, random_passerby
from stgcn_pyg.synthetic.parts import place_figure, random_folds
from stgcn_pyg.synthetic.plan import TrackletPlan
from stgcn_pyg.synthetic.views import (
    BoxError,
    View,
    box_view,
    random_box_error,
    smooth_noise,
    viewpoint,
)


@dataclass(frozen=True)
class Drawing:
    """A frame with nothing in front of the person yet, on the camera's sensor."""

    canvas: Canvas
    view: View
    phase: float
    joints: list[float] | None  # x, y, x, y, ... in pixels of the image


def render_tracklet(root: Path, options: dict[str, Any], plan: TrackletPlan) -> list[dict]:
    """Write a tracklet's images and measure them.

    Args:
        root: The benchmark's folder; the folder of the identity is there.
        options: The arguments of `write_benchmark` by name.
        plan: The tracklet.

    Returns:
        One row a frame of what is true of it, with the image's `path` and `sha256`.
    """
    camera = random_camera(options["seed"], plan.camera)
    box_rng = generator(options["seed"], Stream.BOX, plan.index)
    error = random_box_error(box_rng, plan.frames, camera.box_error, plan.fault)
    drawings = list(_draw_people(options, plan, camera, error))
    bare = [drawing.canvas.parts.copy() for drawing in drawings]
    _draw_occluders(options, plan, camera, drawings)
    rows = []
    for frame, encoded in enumerate(_record(options, plan, camera, drawings)):
        identity, drawing = plan.identity, drawings[frame]
        path = image_path(identity.split, identity.pid, plan.camera, plan.number, frame + 1)
        (root / path).write_bytes(encoded)
        rows.append(
            {
                "path": path,
                "split": identity.split,
                "pid": identity.pid,
                "camid": plan.camera,
                "tracklet": plan.number,
                "frame": frame + 1,
                "group": identity.group,
                "fault": plan.fault,
                "phase": drawing.phase,
                "heading": drawing.view.heading,
                "viewpoint": viewpoint(drawing.view.heading),
                "joints": drawing.joints,
                "box_dx": float(error.dx[frame]),
                "box_dy": float(error.dy[frame]),
                "box_scale": float(error.scale[frame]),
                **measure(bare[frame], drawing.canvas.parts, options["height"], options["width"]),
                "sha256": sha256(encoded).hexdigest(),
            }
        )
    return rows


def _draw_people(
    options: dict[str, Any], plan: TrackletPlan, camera: Camera, error: BoxError
) -> Iterator[Drawing]:
    """The person walking before the camera's background, frame after frame."""
    rng = generator(options["seed"], Stream.WALK, plan.index)
    body, clothes = plan.identity.body, recorded_clothes(camera, plan.identity.clothes)
    pace = rng.uniform(0.94, 1.06)
    step = 2 * np.pi * body.cadence * pace / FRAMES_PER_SECOND
    phase = rounded((rng.uniform(0, 2 * np.pi) + step * np.arange(plan.frames)) % (2 * np.pi))
    way = camera.road + np.pi * rng.randint(2) + rng.uniform(-0.4, 0.4)
    heading = rounded(way + 0.06 * smooth_noise(rng, plan.frames, reach=16))
    poses = walk(body, phase)
    # Two steps a stride, each as long as the legs are apart.
    metres_a_frame = 4 * body.hip_height * np.sin(body.stride) * step / (2 * np.pi)
    walked = rounded(rng.uniform(0, 8) + np.cumsum(metres_a_frame * np.sin(heading)))
    folds = random_folds(rng)
    background = random_background(options["seed"], camera, options["clutter"])
    size = sensor_size(camera, options["height"], options["width"])
    to_image = np.array([options["width"] / size[1], options["height"] / size[0]])
    for frame in range(plan.frames):
        view = box_view(size, camera, body, error, frame, float(heading[frame]))
        left = float(walked[frame]) - view.ground_x / view.scale
        image = window(background, size, view.scale, left, view.ground_y)
        canvas = Canvas(image, np.zeros(size, np.uint8), camera.light)
        joints = None
        if plan.fault != "empty":
            figure = place_figure(body, clothes, folds, view, poses[frame])
            draw_shadow(canvas, figure)
            draw_figure(canvas, figure)
            joints = np.round(np.array(figure.points) * to_image, 1).ravel().tolist()
        yield Drawing(canvas, view, float(phase[frame]), joints)


def _draw_occluders(
    options: dict[str, Any], plan: TrackletPlan, camera: Camera, drawings: list[Drawing]
) -> None:
    """Let things pass in front of the person."""
    rng = generator(options["seed"], Stream.OCCLUDERS, plan.index)
    rows, columns = 32, 16
    body = np.stack([cells(is_body(drawing.canvas.parts), rows, columns) for drawing in drawings])
    height, width = drawings[0].canvas.parts.shape
    views = [drawing.view for drawing in drawings]
    scale = np.array([view.scale for view in views])[:, None]
    ground_x = np.array([view.ground_x for view in views])[:, None]
    ground_y = np.array([view.ground_y for view in views])[:, None]
    x = ((np.arange(columns) + 0.5) * width / columns - ground_x) / scale
    y = (ground_y - (np.arange(rows) + 0.5) * height / rows) / scale
    for occluder in choose_occluders(rng, body, x[:, None, :], y[:, :, None], plan.occlusion):
        passerby = None
        if occluder.kind == "person":
            passerby = random_passerby(rng, plan.frames)
            passerby = replace(passerby, clothes=recorded_clothes(camera, passerby.clothes))
        colour, second = occluder.colour, occluder.second_colour
        colours = {"colour": recorded(camera, colour), "second_colour": recorded(camera, second)}
        occluder = replace(occluder, **colours)  # type: ignore[arg-type]
        for frame, drawing in enumerate(drawings):
            draw_occluder(drawing.canvas, occluder, frame, drawing.view, passerby)


def _record(
    options: dict[str, Any], plan: TrackletPlan, camera: Camera, drawings: list[Drawing]
) -> Iterator[bytes]:
    """The frames as the camera records them, each the bytes of a JPEG."""
    rng = generator(options["seed"], Stream.SENSOR, 1, plan.index)
    wandering = 0.06 * rng.standard_normal() + 0.03 * smooth_noise(rng, plan.frames)
    exposure = rounded(np.exp(wandering))
    noise = random_grain(options["seed"], camera)
    height, width = drawings[0].canvas.parts.shape
    size = options["height"], options["width"]
    for frame, drawing in enumerate(drawings):
        row = int(rng.randint(GRAIN_SIZE - height)) if height < GRAIN_SIZE else 0
        column = int(rng.randint(GRAIN_SIZE - width)) if width < GRAIN_SIZE else 0
        grain = noise[row : row + height, column : column + width]
        light = drawing.canvas.image
        image = develop(camera, light, float(exposure[frame]), grain, size)
        encoded = BytesIO()
        image.save(encoded, "JPEG", quality=options["quality"])
        yield encoded.getvalue()
