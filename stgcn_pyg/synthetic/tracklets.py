"""One tracklet: drawn, covered, recorded by its camera, and measured."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np

from stgcn_pyg.synthetic.backgrounds import random_background, window
from stgcn_pyg.synthetic.boxes import (
    BOX_HEIGHT,
    FOOT_MARGIN,
    BoxError,
    random_box_error,
    smooth_noise,
)
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
from stgcn_pyg.synthetic.covers import choose_covers, draw_cover, random_passerby
from stgcn_pyg.synthetic.drawing import Canvas
from stgcn_pyg.synthetic.exact import DECIMALS, cosine, rounded
from stgcn_pyg.synthetic.figures import draw_figure, draw_shadow
from stgcn_pyg.synthetic.mars_layout import picture_path
from stgcn_pyg.synthetic.measures import cells, is_body, measure
from stgcn_pyg.synthetic.parts import place_figure, random_folds
from stgcn_pyg.synthetic.plan import TrackletPlan
from stgcn_pyg.synthetic.streams import Stream, generator
from stgcn_pyg.synthetic.views import View, viewpoint
from stgcn_pyg.synthetic.walking import FRAMES_PER_SECOND, walk


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
    """A frame with nothing in front of the person yet, on the camera's sensor."""

    canvas: Canvas
    view: View
    phase: float
    joints: list[float] | None  # x, y, x, y, ... in pixels of the picture


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
    _draw_covers(options, plan, camera, drawings)
    rows = []
    for frame, encoded in enumerate(_record(options, plan, camera, drawings)):
        person, drawing = plan.person, drawings[frame]
        path = picture_path(person.split, person.pid, plan.camera, plan.number, frame + 1)
        (root / path).write_bytes(encoded)
        rows.append(
            {
                "path": path,
                "split": person.split,
                "pid": person.pid,
                "camid": plan.camera,
                "tracklet": plan.number,
                "frame": frame + 1,
                "group": person.group,
                "fault": plan.fault,
                "phase": drawing.phase,
                "heading": drawing.view.heading,
                "viewpoint": viewpoint(drawing.view.heading),
                "joints": drawing.joints,
                "box_dx": float(error.dx[frame]),
                "box_dy": float(error.dy[frame]),
                "box_scale": float(error.scale[frame]),
                **measure(bare[frame], drawing.canvas.parts, options.height, options.width),
                "sha256": sha256(encoded).hexdigest(),
            }
        )
    return rows


def _draw_people(
    options: PictureOptions, plan: TrackletPlan, camera: Camera, error: BoxError
) -> Iterator[Drawing]:
    """The person walking before the camera's background, frame after frame."""
    rng = generator(options.seed, Stream.WALK, plan.index)
    body, clothes = plan.person.body, recorded_clothes(camera, plan.person.clothes)
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
    background = random_background(options.seed, camera, options.clutter)
    height, width = sensor_size(camera, options.height, options.width)
    to_picture = np.array([options.width / width, options.height / height])
    for frame in range(plan.frames):
        view = box_view(height, width, camera, body.height, error, frame, float(heading[frame]))
        left = float(walked[frame]) - view.ground_x / view.scale
        image = window(background, height, width, view.scale, left, view.ground_y)
        canvas = Canvas(image, np.zeros((height, width), np.uint8), camera.light)
        joints = None
        if plan.fault != "empty":
            figure = place_figure(body, clothes, folds, view, poses[frame])
            draw_shadow(canvas, figure)
            draw_figure(canvas, figure)
            joints = np.round(np.array(figure.points) * to_picture, 1).ravel().tolist()
        yield Drawing(canvas, view, float(phase[frame]), joints)


def box_view(
    height: int,
    width: int,
    camera: Camera,
    body_height: float,
    error: BoxError,
    frame: int,
    heading: float,
) -> View:
    """The view of a box of some rows and columns that misses by its error."""
    scale = float(error.scale[frame])
    # A faultless box is so many times as high as the person, seen from above.
    seen_height = BOX_HEIGHT * body_height * cosine(camera.pitch)
    from_middle = 0.5 - FOOT_MARGIN - float(error.dy[frame])
    return View(
        heading=heading,
        pitch=camera.pitch,
        scale=round(height / (seen_height * scale), DECIMALS),
        ground_x=round(width * (0.5 - float(error.dx[frame]) / scale), DECIMALS),
        ground_y=round(height * (0.5 + from_middle / scale), DECIMALS),
    )


def _draw_covers(
    options: PictureOptions, plan: TrackletPlan, camera: Camera, drawings: list[Drawing]
) -> None:
    """Let things pass in front of the person."""
    rng = generator(options.seed, Stream.COVERS, plan.index)
    rows, columns = 32, 16
    body = np.stack([cells(is_body(drawing.canvas.parts), rows, columns) for drawing in drawings])
    height, width = drawings[0].canvas.parts.shape
    views = [drawing.view for drawing in drawings]
    scale = np.array([view.scale for view in views])[:, None]
    ground_x = np.array([view.ground_x for view in views])[:, None]
    ground_y = np.array([view.ground_y for view in views])[:, None]
    x = ((np.arange(columns) + 0.5) * width / columns - ground_x) / scale
    y = (ground_y - (np.arange(rows) + 0.5) * height / rows) / scale
    covers = choose_covers(rng, body, x[:, None, :], y[:, :, None], plan.occlusion)
    for cover in covers:
        passerby = None
        if cover.kind == "person":
            passerby = random_passerby(rng, plan.frames)
            passerby = replace(passerby, clothes=recorded_clothes(camera, passerby.clothes))
        cover = replace(
            cover,
            colour=recorded(camera, cover.colour),
            second_colour=recorded(camera, cover.second_colour),
        )
        for frame, drawing in enumerate(drawings):
            draw_cover(drawing.canvas, cover, frame, drawing.view, passerby)


def _record(
    options: PictureOptions, plan: TrackletPlan, camera: Camera, drawings: list[Drawing]
) -> Iterator[bytes]:
    """The frames as the camera records them, each the bytes of a JPEG."""
    rng = generator(options.seed, Stream.SENSOR, 1, plan.index)
    wandering = 0.06 * rng.standard_normal() + 0.03 * smooth_noise(rng, plan.frames)
    exposure = rounded(np.exp(wandering))
    noise = random_grain(options.seed, camera)
    height, width = drawings[0].canvas.parts.shape
    for frame, drawing in enumerate(drawings):
        row = int(rng.randint(GRAIN_SIZE - height)) if height < GRAIN_SIZE else 0
        column = int(rng.randint(GRAIN_SIZE - width)) if width < GRAIN_SIZE else 0
        grain = noise[row : row + height, column : column + width]
        picture = develop(
            camera,
            drawing.canvas.image,
            float(exposure[frame]),
            grain,
            options.height,
            options.width,
        )
        encoded = BytesIO()
        picture.save(encoded, "JPEG", quality=options.quality)
        yield encoded.getvalue()
