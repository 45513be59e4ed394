"""Tracklets: a query beside the items of its ranked list, and activation maps over a clip."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from stgcn_pyg.figures.canvas import BLACK, BLUE, GREY, SCALE, VERMILION, Sheet, beside, text_width

WIDTH = 10.7  # largest width of a ranked list in inches
MARKS = {
    "right": ("✓", BLUE, "-", 3.0),
    "wrong": ("✗", VERMILION, "--", 3.0),
    "same-camera": ("same camera", GREY, ":", 1.5),
    "junk": ("junk", GREY, ":", 1.5),
    "unknown": ("", BLACK, "-", 1.5),
}


def draw_ranked_list(
    query: np.ndarray,
    ranked: pd.DataFrame,
    images: Sequence[np.ndarray],
    labels: Sequence[str],
    query_label: str = "",
    title: str = "",
    size: float = 0.85,
) -> Figure:
    """Frames of a query, and of each item of its ranked list with its mark, rank and distance.

    Right items have a tick and a solid border, wrong ones a cross and a dashed border; items that
    the protocol excludes have a dotted border and no rank. Where no identity is known, borders are
    thin.

    Args:
        query: Frames of the query, ``[f, H, W, 3]`` of uint8.
        ranked: L items, as :func:`.ranked_list` gives them.
        images: Frames of each item, L arrays of ``[f, H, W, 3]``.
        labels: Text below each item, such as its identity and camera, L.
        query_label: Text below the query.
        title: Title of the figure.
        size: Inches that a frame is wide.

    Raises:
        ValueError: The numbers of items, images and labels differ.
    """
    if not len(ranked) == len(images) == len(labels):
        raise ValueError(
            f"{len(ranked)} items, {len(images)} arrays of images and {len(labels)} labels: "
            "give one array and one label for each item"
        )
    count, height, width = query.shape[:3]
    widest = max(text_width(label, 7.5) for label in (query_label, *labels))
    tall, step = count * size * height / width, max(size + 0.12, 0.78, widest + 0.06)
    rows = max(1, -(-len(ranked) // max(1, int(WIDTH / step) - 1)))
    most = -(-len(ranked) // rows)  # items beside each other
    head = 0.35 if title else 0.05
    sheet = Sheet((1 + most) * step + 0.04, head + rows * (tall + 0.95), title)

    def cell(column: int, row: int, frames: np.ndarray, kind: str, mark: str, label: str) -> None:
        symbol, colour, line, thickness = MARKS.get(kind, ("", BLACK, "-", 1.5))
        middle, top = 0.02 + (column + 0.5) * step, head + row * (tall + 0.95) + 0.25
        sheet.place(frames.reshape(-1, width, 3), middle - size / 2, top, size, tall)
        border = Rectangle((middle - size / 2, top), size, tall, fill=False, edgecolor=colour)
        border.set(linestyle=line, linewidth=thickness, transform=sheet.inches)
        sheet.add_artist(border)
        large = len(symbol) == 1
        font, ink = (11, colour) if large else (8, BLACK)
        sheet.write(middle, top - 0.06, mark, fontsize=font, color=ink)
        sheet.write(middle, top + tall + 0.05, label, va="top", fontsize=7.5)

    cell(0, 0, query, "query", "query", f"distance\n{query_label}")
    for i, (item, frames, label) in enumerate(
        zip(ranked.itertuples(), images, labels, strict=True)
    ):
        symbol = MARKS[str(item.kind)][0]
        mark = f"{item.rank} {symbol}" if len(symbol) < 2 else symbol
        row, column = divmod(i, most)
        cell(1 + column, row, frames, str(item.kind), mark, f"{item.distance:.3f}\n{label}")
    return sheet


def draw_activation_maps(
    frames: np.ndarray, maps: Mapping[str, np.ndarray], title: str = "", size: float = 1.0
) -> Figure:
    """A clip's frames, and below them a row for each map, drawn over the frames in grey.

    A row has one scale for all its frames, from 0 to its largest value.

    Args:
        frames: ``[T, H, W, 3]`` of uint8.
        maps: Activation maps by the name of the row, ``[T, h, w]``, not negative.
        title: Title of the figure.
        size: Inches that a frame is wide.

    Raises:
        ValueError: The number of maps of a row is not that of the frames.
    """
    for name, cam in maps.items():
        if len(cam) != len(frames):
            raise ValueError(f"{name}: {len(cam)} maps for {len(frames)} frames")
    count, height, width = frames.shape[:3]
    tall, head = size * height / width, 0.2 + (0.35 + 0.16 * title.count("\n")) * bool(title)
    sheet = Sheet(1.2 + count * size, head + (1 + len(maps)) * (tall + 0.08), title)
    for frame in range(count):
        label = f"frame {frame + 1}" if size > 0.8 else f"{frame + 1}"
        sheet.write(0.3 + (frame + 0.5) * size, head - 0.06, label)
    rows = {"frames": frames} | {name: overlaid(frames, cam) for name, cam in maps.items()}
    low = any(text_width(name, 9) > tall for name in rows)  # names stand beside the rows
    name_at = {"x": 0.22, "ha": "right"} if low else {"x": 0.2, "rotation": 90}
    for row, (name, images) in enumerate(rows.items()):
        top = head + row * (tall + 0.08)
        sheet.place(beside(images), 0.3, top, count * size, tall)
        sheet.write(y=top + tall / 2, text=name, va="center", fontsize=9, **name_at)
    sheet.cut(0.3, head, count * size, top + tall - head, columns=count, linewidth=3)
    if maps:
        ends = ("0", "the row's\nlargest")
        high = max(0.45, min(3.0, len(maps) * tall))  # room for both ends
        start = min(head + tall + 0.08, top + tall - high)
        sheet.place_scale(0.4 + count * size, start, high, ends)
    return sheet


def overlaid(frames: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Frames ``[T, H, W, 3]`` in grey with activation maps ``[T, h, w]`` over them, on one scale.

    The maps are enlarged bilinearly, as in the figures of Grad-CAM's paper. Where a map is not
    finite, the frame stays grey.
    """
    floats = np.ascontiguousarray(maps, np.result_type(maps, np.float32))
    stack = torch.from_numpy(floats)[:, None]
    enlarged = F.interpolate(stack, frames.shape[1:3], mode="bilinear", align_corners=False)
    large = enlarged[:, 0].numpy()
    known = np.isfinite(large)
    largest = float(large.max(where=known, initial=0))
    share = np.where(known, large, 0) / max(largest, np.finfo(float).tiny)
    weight = known[..., None] * (0.25 + 0.55 * share[..., None])
    grey = frames.mean(axis=3, keepdims=True)
    return (grey * (1 - weight) + 255 * SCALE(share)[..., :3] * weight).astype(np.uint8)
