"""One tracklet: drawn, covered, recorded by its camera, and measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np

from stgcn_pyg.data.synthetic.backgrounds import random_background, window
from stgcn_pyg.data.synthetic.boxes import (
    BOX_HEIGHT,
    FOOT_MARGIN,
    BoxError,
    random_box_error,
    smooth_noise,
)
from stgcn_pyg.data.synthetic.cameras import Camera, develop, random_camera
from stgcn_pyg.data.synthetic.covers import choose_covers, draw_cover, random_passerby
from stgcn_pyg.data.synthetic.drawing import Canvas
from stgcn_pyg.data.synthetic.figures import draw_figure, draw_shadow
from stgcn_pyg.data.synthetic.mars_layout import picture_path
from stgcn_pyg.data.synthetic.measures import cells, is_body, measure
from stgcn_pyg.data.synthetic.parts import place_figure, random_folds
from stgcn_pyg.data.synthetic.plan import TrackletPlan
from stgcn_pyg.data.synthetic.streams import Stream, generator
from stgcn_pyg.data.synthetic.views import View, viewpoint
from stgcn_pyg.data.synthetic.walking import FRAMES_PER_SECOND, walk


@dataclass(frozen=True)
class PictureOptions:
    """What all pictures of a benchmark have in common."""

    seed: int
    height: int
    width: int
    clutter: float
    quality: int


@dataclass(frozen=True)
class Drawing:
    """A frame with nothing in front of the person yet."""

    canvas: Canvas
    view: View
    phase: float


def render_tracklet(root: Path, options: PictureOptions, plan: TrackletPlan) -> list[dict]:
    """Write a tracklet's pictures and measure them.

    Args:
        root: The benchmark's folder; the folder of the person is there.
        options: What all pictures have in common.
        plan: The tracklet.

    Returns:
        One row a frame of what is true of it, with the picture's `path` and `sha256`.
    """
    camera = random_camera(options.seed, plan.camera)
    box_rng = generator(options.seed, Stream.BOX, plan.index)
    error = random_box_error(box_rng, plan.frames, camera.box_error, plan.fault)
    drawings = list(_draw_people(options, plan, camera, error))
    bare = [drawing.canvas.parts.copy() for drawing in drawings]
    _draw_covers(options, plan, drawings)

    sensor_rng = generator(options.seed, Stream.SENSOR, plan.index)
    exposure = np.exp(
        0.06 * sensor_rng.standard_normal() + 0.03 * smooth_noise(sensor_rng, plan.frames)
    )
    rows = []
    for frame, (drawing, parts) in enumerate(zip(drawings, bare, strict=True)):
        picture = develop(camera, drawing.canvas.image, float(exposure[frame]), sensor_rng)
        encoded = BytesIO()
        picture.save(encoded, "JPEG", quality=options.quality)
        path = picture_path(plan.person.split, plan.person.pid, plan.camera, plan.number, frame + 1)
        (root / path).write_bytes(encoded.getvalue())
        rows.append(
            {
                "path": path,
                "split": plan.person.split,
                "pid": plan.person.pid,
                "camid": plan.camera,
                "tracklet": plan.number,
                "frame": frame + 1,
                "group": plan.person.group,
                "phase": drawing.phase,
                "heading": drawing.view.heading,
                "viewpoint": viewpoint(drawing.view.heading),
                "box_dx": float(error.dx[frame]),
                "box_dy": float(error.dy[frame]),
                "box_scale": float(error.scale[frame]),
                **measure(parts, drawing.canvas.parts),
                "sha256": sha256(encoded.getvalue()).hexdigest(),
            }
        )
    return rows


def _draw_people(
    options: PictureOptions, plan: TrackletPlan, camera: Camera, error: BoxError
) -> Iterator[Drawing]:
    """The person walking before the camera's background, frame after frame."""
    rng = generator(options.seed, Stream.WALK, plan.index)
    body, clothes = plan.person.body, plan.person.clothes
    pace = rng.uniform(0.94, 1.06)
    step = 2 * np.pi * body.cadence * pace / FRAMES_PER_SECOND
    phase = rng.uniform(0, 2 * np.pi) + step * np.arange(plan.frames)
    way = camera.road + np.pi * rng.integers(2) + rng.uniform(-0.4, 0.4)
    heading = way + 0.06 * smooth_noise(rng, plan.frames, reach=16)
    poses = walk(body, phase)
    # Two steps a stride, each as long as the legs are apart.
    metres_a_frame = 4 * body.hip_height * np.sin(body.stride) * step / (2 * np.pi)
    walked = rng.uniform(0, 8) + np.cumsum(metres_a_frame * np.sin(heading))
    folds = random_folds(rng)
    background = random_background(options.seed, camera.number, options.clutter)
    for frame in range(plan.frames):
        view = box_view(options, camera, error, frame, float(heading[frame]))
        left = float(walked[frame]) - view.ground_x / view.scale
        image = window(background, options.height, options.width, view.scale, left, view.ground_y)
        canvas = Canvas(image, np.zeros((options.height, options.width), np.uint8), camera.light)
        if plan.fault != "empty":
            figure = place_figure(body, clothes, folds, view, poses[frame])
            draw_shadow(canvas, figure)
            draw_figure(canvas, figure)
        yield Drawing(canvas, view, float(phase[frame] % (2 * np.pi)))


def box_view(
    options: PictureOptions, camera: Camera, error: BoxError, frame: int, heading: float
) -> View:
    """The view of a box that misses by its error."""
    scale = float(error.scale[frame])
    # A faultless box is as high as its 2.15 metres look from above.
    seen_height = BOX_HEIGHT * np.cos(camera.pitch)
    from_middle = 0.5 - FOOT_MARGIN - float(error.dy[frame])
    return View(
        heading=heading,
        pitch=camera.pitch,
        scale=float(options.height / (seen_height * scale)),
        ground_x=options.width * (0.5 - float(error.dx[frame]) / scale),
        ground_y=options.height * (0.5 + from_middle / scale),
    )


def _draw_covers(options: PictureOptions, plan: TrackletPlan, drawings: list[Drawing]) -> None:
    """Let things pass in front of the person."""
    rng = generator(options.seed, Stream.COVERS, plan.index)
    rows, columns = 32, 16
    body = np.stack([cells(is_body(drawing.canvas.parts), rows, columns) for drawing in drawings])
    views = [drawing.view for drawing in drawings]
    scale = np.array([view.scale for view in views])[:, None]
    ground_x = np.array([view.ground_x for view in views])[:, None]
    ground_y = np.array([view.ground_y for view in views])[:, None]
    x = ((np.arange(columns) + 0.5) * options.width / columns - ground_x) / scale
    y = (ground_y - (np.arange(rows) + 0.5) * options.height / rows) / scale
    covers = choose_covers(rng, body, x[:, None, :], y[:, :, None], plan.occlusion)
    for cover in covers:
        passerby = random_passerby(rng, plan.frames) if cover.kind == "person" else None
        for frame, drawing in enumerate(drawings):
            draw_cover(drawing.canvas, cover, frame, drawing.view, passerby)
