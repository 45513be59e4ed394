"""A query beside those that come first."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from stgcn_pyg.explain.figures.style import BLACK, BLUE, GREY, VERMILION, bare, new_figure

COLUMNS = 10  # items beside each other
MARKS = {
    "right": ("✓", BLUE, "-", 3.0),
    "wrong": ("✗", VERMILION, "--", 3.0),
    "same-camera": ("same camera", GREY, ":", 1.5),
    "junk": ("junk", GREY, ":", 1.5),
}


def draw_ranked_list(
    query: np.ndarray,
    ranked: pd.DataFrame,
    pictures: Sequence[np.ndarray],
    labels: Sequence[str],
    query_label: str = "",
    title: str = "",
) -> Figure:
    """Frames of a query, and of each item of its list with its mark, rank and distance.

    Right ones carry a tick and a whole frame, wrong ones a cross and a dashed one; what the
    protocol leaves out stands between them, dotted, without a rank.

    Args:
        query: Frames of the query, ``[f, H, W, 3]`` of uint8.
        ranked: L items, as :func:`.ranked_list` gives them.
        pictures: The frames of each item, L of ``[f, H, W, 3]``.
        labels: Of each item, L, such as its person and camera.
        query_label: Of the query.
        title: Of the figure.

    Raises:
        ValueError: Not as many pictures or labels as items.
    """
    if not len(ranked) == len(pictures) == len(labels):
        raise ValueError(
            f"{len(ranked)} items, {len(pictures)} of pictures and {len(labels)} labels: "
            "give one of each an item"
        )
    count, height, width = query.shape[:3]
    rows = max(1, -(-len(ranked) // COLUMNS))
    columns = 1 + min(len(ranked), COLUMNS)
    inches = 0.85
    figure = new_figure(
        columns * (inches + 0.12), 0.45 + rows * (count * inches * height / width + 0.95)
    )
    figure.suptitle(title, fontsize=9)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.ravel():
        bare(axes)
        axes.set_visible(False)
    _show(grid[0, 0], query, BLACK, "-", 1.5)
    grid[0, 0].set_title("query", fontsize=8)
    grid[0, 0].set_xlabel(f"distance\n{query_label}", fontsize=7)
    for place, (item, frames, label) in enumerate(
        zip(ranked.itertuples(), pictures, labels, strict=True)
    ):
        axes = grid[place // COLUMNS, 1 + place % COLUMNS]
        mark, colour, line, thickness = MARKS[item.kind]
        _show(axes, frames, colour, line, thickness)
        symbol = len(mark) == 1
        axes.set_title(
            f"{item.rank} {mark}" if symbol else mark,
            fontsize=11 if symbol else 8,
            color=colour if symbol else BLACK,
        )
        axes.set_xlabel(f"{item.distance:.3f}\n{label}", fontsize=7)
    return figure


def _show(axes: Axes, frames: np.ndarray, colour: str, line: str, thickness: float) -> None:
    axes.set_visible(True)
    sheet = np.concatenate(list(frames))
    axes.imshow(sheet)
    height, width = sheet.shape[:2]
    border = Rectangle(
        (-0.5, -0.5),
        width,
        height,
        fill=False,
        edgecolor=colour,
        linestyle=line,
        linewidth=thickness,
        clip_on=False,
    )
    axes.add_patch(border)
