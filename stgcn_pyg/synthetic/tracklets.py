"""One tracklet: drawn, occluded, recorded by its camera, and measured."""

from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from stgcn_pyg.synthetic import cameras, figures
from stgcn_pyg.synthetic.backgrounds import random_background, window
from stgcn_pyg.synthetic.bodies import FRAMES_PER_SECOND, walk
from stgcn_pyg.synthetic.drawing import Canvas
from stgcn_pyg.synthetic.exact import DECIMALS, Stream, generator, rounded
from stgcn_pyg.synthetic.files import image_path
from stgcn_pyg.synthetic.occluders import choose_occluders, draw_occluder
from stgcn_pyg.synthetic.plan import TrackletPlan
from stgcn_pyg.synthetic.views import View, box_views, random_box_errors, smooth_noise

MASK_SHAPE = 16, 8
"""Rows and columns of the masks `body_mask` and `seen_mask` in the ground truth."""


def render_tracklet(root: Path, options: dict[str, Any], plan: TrackletPlan) -> list[dict]:
    """Write a tracklet's images below the benchmark's folder, and measure them.

    `options` are the arguments of `write_benchmark` by name. What is returned is a row a frame of
    what is true of it, with the image's `path` and `sha256`.
    """
    identity, camera = plan.identity, cameras.random_camera(options["seed"], plan.camera)
    box_rng = generator(options["seed"], Stream.BOX, plan.index)
    errors = random_box_errors(box_rng, plan.frames, camera.box_error, plan.fault)
    canvases, views, phase, joints = _draw_person(options, plan, camera, errors)
    bare = [canvas.parts.copy() for canvas in canvases]
    _draw_occluders(options, plan, camera, canvases, views)
    rows = []
    for frame, encoded in enumerate(_record(options, plan, camera, canvases)):
        path = image_path(identity.split, identity.pid, plan.camera, plan.number, frame + 1)
        (root / path).write_bytes(encoded)
        dx, dy, scale = errors[frame].tolist()
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
                "phase": float(phase[frame]),
                "heading": views[frame].heading,
                "viewpoint": views[frame].viewpoint,
                "joints": joints[frame],
                "box_dx": dx,
                "box_dy": dy,
                "box_scale": scale,
                **_measure(bare[frame], canvases[frame].parts, options["height"], options["width"]),
                "sha256": sha256(encoded).hexdigest(),
            }
        )
    return rows


def _draw_person(
    options: dict[str, Any], plan: TrackletPlan, camera: cameras.Camera, errors: np.ndarray
) -> tuple[list[Canvas], list[View], np.ndarray, list[list[float] | None]]:
    """The person walking before the camera's background, with nothing in front yet.

    For each frame: the canvas, of the size of the camera's sensor; the view; the phase of the
    stride; and x, y, x, y, ... of the joints in pixels of the image, None if nobody is there.
    """
    rng = generator(options["seed"], Stream.WALK, plan.index)
    body, clothes = plan.identity.body, cameras.recorded_colours(camera, plan.identity.clothes)
    pace = rng.uniform(0.94, 1.06)
    step = 2 * np.pi * body.cadence * pace / FRAMES_PER_SECOND
    phase = rounded((rng.uniform(0, 2 * np.pi) + step * np.arange(plan.frames)) % (2 * np.pi))
    way = camera.road + np.pi * rng.randint(2) + rng.uniform(-0.4, 0.4)
    heading = rounded(way + 0.06 * smooth_noise(rng, plan.frames, reach=16))
    # Two steps a stride, each as long as the legs are apart.
    metres_a_frame = 4 * body.hip_height * np.sin(body.stride) * step / (2 * np.pi)
    walked = rounded(rng.uniform(0, 8) + np.cumsum(metres_a_frame * np.sin(heading)))
    folds = figures.random_folds(rng)
    background = random_background(options["seed"], camera, options["clutter"])
    height, width = camera.sensor_size(options["height"], options["width"])
    views = box_views((height, width), camera, body, errors, heading)
    canvases: list[Canvas] = []
    joints: list[list[float] | None] = []
    for view, pose, metres in zip(views, walk(body, phase), walked.tolist(), strict=True):
        left = metres - view.ground_x / view.scale
        image = window(background, (height, width), view.scale, left, view.ground_y)
        canvases.append(Canvas(image, np.zeros((height, width), np.uint8), camera.light))
        if plan.fault == "empty":
            joints.append(None)
            continue
        figure = figures.Figure(body, clothes, folds, view, pose)
        figures.draw_shadow(canvases[-1], figure)
        figures.draw_figure(canvases[-1], figure)
        to_image = np.array([options["width"] / width, options["height"] / height])
        joints.append(np.round(np.array(figure.points) * to_image, 1).ravel().tolist())
    return canvases, views, phase, joints


def _draw_occluders(
    options: dict[str, Any],
    plan: TrackletPlan,
    camera: cameras.Camera,
    canvases: list[Canvas],
    views: list[View],
) -> None:
    """Let things pass in front of the person."""
    rng = generator(options["seed"], Stream.OCCLUDERS, plan.index)
    rows, columns = 32, 16
    body = np.stack([_cells(_is_body(canvas.parts), rows, columns) for canvas in canvases])
    height, width = canvases[0].parts.shape
    placed = [(view.scale, view.ground_x, view.ground_y) for view in views]
    scale, ground_x, ground_y = np.array(placed).T[..., None]
    x = ((np.arange(columns) + 0.5) * width / columns - ground_x) / scale
    y = (ground_y - (np.arange(rows) + 0.5) * height / rows) / scale
    for occluder in choose_occluders(rng, body, x[:, None, :], y[:, :, None], plan.occlusion):
        draw_occluder(rng, occluder, canvases, views, camera)


def _record(
    options: dict[str, Any], plan: TrackletPlan, camera: cameras.Camera, canvases: list[Canvas]
) -> Iterator[bytes]:
    """The frames as the camera records them, each the bytes of a JPEG."""
    rng = generator(options["seed"], Stream.SENSOR, 1, plan.index)
    wandering = 0.06 * rng.standard_normal() + 0.03 * smooth_noise(rng, plan.frames)
    exposures = rounded(np.exp(wandering)).tolist()
    height, width = canvases[0].parts.shape
    noise = cameras.random_grain(options["seed"], camera)
    noise = np.tile(noise, (-(-height // len(noise)), -(-width // len(noise))))
    size = options["height"], options["width"]
    for canvas, exposure in zip(canvases, exposures, strict=True):
        row = int(rng.randint(max(noise.shape[0] - height, 1)))
        column = int(rng.randint(max(noise.shape[1] - width, 1)))
        grain = noise[row : row + height, column : column + width]
        encoded = BytesIO()
        image = cameras.develop(camera, canvas.image, exposure, grain, size)
        image.save(encoded, "JPEG", quality=options["quality"])
        yield encoded.getvalue()


def _measure(bare: np.ndarray, seen: np.ndarray, height: int, width: int) -> dict[str, Any]:
    """What is occluded of a person, and where the person is in an image of this height and width.

    `bare` and `seen` are the (h, w) parts on the sensor before and after things passed in front.
    The shares `hidden` are of the pixels that would show, NaN where none would; the box is that of
    those pixels, its right and bottom exclusive, 0 without any; a bit of a mask is set where at
    least a quarter of the cell shows the body.
    """
    before, after = (np.bincount(parts.ravel(), minlength=9)[1:7] for parts in (bare, seen))
    row: dict[str, Any] = {"hidden": _share_lost(before.sum(), after.sum())}
    for part, *pixels in zip(figures.BODY_PARTS, before, after, strict=True):
        row[f"hidden_{part.name.lower()}"] = _share_lost(*pixels)
    body = _is_body(bare)
    for first, last, axis, size in (("left", "right", 0, width), ("top", "bottom", 1, height)):
        hit = np.flatnonzero(body.any(axis=axis))
        pixels = body.shape[1 - axis]
        ends = (int(hit[0]), int(hit[-1]) + 1) if len(hit) else (0, 0)
        row[f"body_{first}"] = ends[0] * size // pixels
        row[f"body_{last}"] = -(-ends[1] * size // pixels)
    for name, mask in (("body_mask", body), ("seen_mask", _is_body(seen))):
        row[name] = np.packbits(_cells(mask, *MASK_SHAPE) >= 0.25).tobytes()
    return row


def _share_lost(before: int, after: int) -> float:
    return round(1 - int(after) / int(before), DECIMALS) if before else float("nan")


def _is_body(parts: np.ndarray) -> np.ndarray:
    """(H, W) booleans: pixels that show a part of the body."""
    return parts - np.uint8(1) < len(figures.BODY_PARTS)  # 0 wraps around to 255


def _cells(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(rows, columns) share of each cell of a grid that a (H, W) mask fills."""
    row_ends = np.arange(rows + 1) * mask.shape[0] // rows
    column_ends = np.arange(columns + 1) * mask.shape[1] // columns
    bands = np.add.reduceat(mask.view(np.uint8), row_ends[:-1], axis=0, dtype=np.uint16)
    pixels = np.add.reduceat(bands, column_ends[:-1], axis=1)
    return pixels / np.outer(np.diff(row_ends), np.diff(column_ends))
