"""The learned graph of one clip: as a heat map beside its patches, and as edges over its frames."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.patheffects import Stroke

from stgcn_pyg.explain.figures.style import COLOURS, DPI, GREY, SCALE, bare, new_figure

CELL, SIDES = 0.3, (5.6, 12.0)  # inches of a heat map's cell, and of its side
LOOPS = "A patch's weight for itself, 0.5 and more, is left grey."


def draw_temporal_graph(pictures: np.ndarray, weights: np.ndarray, title: str = "") -> Figure:
    r"""The weights between all patches of a clip, with the patches along both axes.

    Args:
        pictures: ``[T, H, W, 3]`` of uint8; best with H a multiple of P.
        weights: :math:`\hat A`, ``[T * P, T * P]``; row i gathers from column j.
        title: Of the figure.

    Raises:
        ValueError: The nodes do not divide among the frames.
    """
    count, height, width = pictures.shape[:3]
    patches = _patches(weights, count)
    # A patch is a cell high on the left and a cell wide at the top, and keeps its proportions.
    figure, heat, rows, columns, scale = _sheet(len(weights), width / (height / patches))
    figure.suptitle(title, fontsize=9, y=1 - 0.12 / figure.get_size_inches()[1])
    bar = figure.colorbar(_heat_map(heat, weights), cax=scale)
    bar.ax.tick_params(labelsize=8)
    edge = len(weights) - 0.5
    rows.imshow(np.concatenate(list(pictures)), extent=(0, 1, edge, -0.5), aspect="auto")
    whole = pictures[:, : height // patches * patches]
    cut = whole.reshape(count * patches, -1, width, 3)  # [N, H / P, W, 3]
    columns.imshow(np.concatenate(list(cut), axis=1), extent=(-0.5, edge, 0, 1), aspect="auto")
    for axes in (heat, rows, columns):
        bare(axes)
    for border in range(1, count):
        heat.axhline(border * patches - 0.5, color="white", linewidth=0.8)
        heat.axvline(border * patches - 0.5, color="white", linewidth=0.8)
    for frame in range(count):
        middle = (frame + 0.5) * patches - 0.5
        rows.text(-0.12, middle, f"{frame + 1}", ha="right", va="center", fontsize=8)
        columns.text(middle, 1.15, f"frame {frame + 1}", ha="center", va="bottom", fontsize=8)
    rows.set_ylabel("a patch here gathers ...", fontsize=9, labelpad=16)
    heat.set_xlabel(f"... from the patch above.  {LOOPS}", fontsize=8)
    return figure


def _sheet(num_nodes: int, aspect: float) -> tuple[Figure, Axes, Axes, Axes, Axes]:
    """A figure with axes for a heat map, what stands left of and above it, and its scale."""
    side = float(np.clip(CELL * num_nodes, *SIDES))
    left, top = side / num_nodes * aspect, side / num_nodes / aspect
    pad, right, below, above = 0.55, 0.9, 0.35, 0.6
    size = pad + left + side + right, below + side + top + above
    figure = Figure(figsize=size, dpi=DPI, facecolor="white")

    def box(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        return x / size[0], y / size[1], width / size[0], height / size[1]

    heat = figure.add_axes(box(pad + left, below, side, side))
    rows = figure.add_axes(box(pad, below, left, side), sharey=heat)
    columns = figure.add_axes(box(pad + left, below + side, side, top), sharex=heat)
    scale = figure.add_axes(box(pad + left + side + 0.1, below, 0.12, 2.4))
    return figure, heat, rows, columns, scale


def draw_spatial_graphs(pictures: np.ndarray, weights: np.ndarray, title: str = "") -> Figure:
    r"""Each frame beside the weights between its patches.

    Args:
        pictures: ``[T, H, W, 3]`` of uint8.
        weights: :math:`\hat A` of each frame, ``[T, P, P]``.
        title: Of the figure.
    """
    count, height, width = pictures.shape[:3]
    patches = weights.shape[1]
    columns = min(count, 4)
    rows = -(-count // columns)
    figure = new_figure(0.9 + columns * 2.3, 0.9 + rows * 1.9)
    figure.suptitle(title, fontsize=9)
    # A frame and its heat map side by side, of the same height.
    axes = figure.subplots(
        rows, 2 * columns, squeeze=False, width_ratios=[width / height, 1.0] * columns
    )
    between = weights[:, ~np.eye(patches, dtype=bool)]
    largest = float(between.max()) if between.size else 1.0
    for place in range(rows * columns):
        picture, heat = axes.reshape(-1, 2)[place]
        if place >= count:
            picture.set_visible(False)
            heat.set_visible(False)
            continue
        picture.imshow(pictures[place])
        for border in range(1, patches):
            picture.axhline(border * height / patches - 0.5, color="white", linewidth=0.8)
        picture.set_title(f"frame {place + 1}", fontsize=8)
        shown = _heat_map(heat, weights[place], largest)
        bare(picture)
        heat.set_xticks(range(patches), range(1, patches + 1), fontsize=7)
        heat.set_yticks(range(patches), range(1, patches + 1), fontsize=7)
        heat.set_title("row gathers from column", fontsize=7)
    bar = figure.colorbar(shown, ax=axes, shrink=0.8, aspect=25, pad=0.02)
    bar.ax.tick_params(labelsize=8)
    figure.supxlabel(f"Patches are numbered from the top. {LOOPS}", fontsize=8)
    return figure


def draw_edges(
    pictures: np.ndarray, edges: pd.DataFrame, num_patches: int, title: str = ""
) -> Figure:
    """The strongest edges between frames, drawn over them from where a patch gathers.

    Args:
        pictures: ``[T, H, W, 3]`` of uint8.
        edges: As :func:`.strongest_edges` gives them.
        num_patches: P.
        title: Of the figure.
    """
    count, height, width = pictures.shape[:3]
    step = width + width // 2  # pixels from a frame to the next
    scale = 0.95 / width  # inches a pixel
    figure = new_figure(((count - 1) * step + width) * scale + 0.2, 1.3 * height * scale + 0.85)
    figure.suptitle(title, fontsize=9)
    axes = figure.subplots()
    _lay_frames(axes, pictures, num_patches, step)
    axes.set_ylim(1.15 * height, -0.15 * height)  # arrows swing beyond the frames

    def middle(frame: int, patch: int) -> tuple[float, float]:
        return frame * step + width / 2, (patch + 0.5) * height / num_patches

    heaviest = edges["weight"].max() if len(edges) else 1.0
    for edge in edges.itertuples():
        start = middle(edge.from_frame, edge.from_patch)
        end = middle(edge.into_frame, edge.into_patch)
        axes.add_patch(_arrow(start, end, edge.from_patch, edge.weight / heaviest))
    shown = f"{edges['weight'].min():.3f} to {heaviest:.3f}" if len(edges) else "none"
    figure.supxlabel(
        f"An arrow leads to the patch that gathers; its colour is the stripe it comes from.\n"
        f"The {len(edges)} strongest weights between frames: {shown}",
        fontsize=8,
    )
    return figure


def _lay_frames(axes: Axes, pictures: np.ndarray, num_patches: int, step: int) -> None:
    """Frames beside each other, a step of pixels apart, cut into patches by lines."""
    count, height, width = pictures.shape[:3]
    sheet = np.full((height, (count - 1) * step + width, 3), 255, np.uint8)
    for frame, picture in enumerate(pictures):
        sheet[:, frame * step : frame * step + width] = picture
    axes.imshow(sheet)
    bare(axes)
    for frame in range(count):
        left = frame * step - 0.5
        for border in range(1, num_patches):
            y = border * height / num_patches - 0.5
            axes.plot([left, left + width], [y, y], color="white", linewidth=0.8)
        axes.text(left + width / 2, -2, f"frame {frame + 1}", ha="center", va="bottom", fontsize=8)


def _arrow(
    start: tuple[float, float], end: tuple[float, float], stripe: int, strength: float
) -> FancyArrowPatch:
    arrow = FancyArrowPatch(
        start,
        end,
        connectionstyle="arc3,rad=-0.18",
        arrowstyle="-|>",
        mutation_scale=9,
        linewidth=0.8 + 1.4 * strength,
        color=COLOURS[stripe % len(COLOURS)],
    )
    arrow.set_path_effects([Stroke(linewidth=2.6 + 1.4 * strength, foreground="white"), Stroke()])
    return arrow


def _heat_map(axes: Axes, weights: np.ndarray, largest: float | None = None):
    """The weights without the loops, which would leave the others no contrast."""
    loops = np.eye(len(weights), dtype=bool)
    between = np.ma.masked_array(weights, mask=loops)
    axes.set_facecolor(GREY)
    largest = float(between.max()) if largest is None and len(weights) > 1 else largest
    return axes.imshow(between, cmap=SCALE, vmin=0, vmax=largest, aspect="equal")


def _patches(weights: np.ndarray, num_frames: int) -> int:
    if len(weights) % num_frames:
        raise ValueError(f"{len(weights)} nodes do not divide among {num_frames} frames")
    return len(weights) // num_frames
