"""The learned graph: as a heat map beside its patches, as edges over its frames, on average."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.patheffects import Stroke

from stgcn_pyg.figures.canvas import BLUE, COLOURS, GREY, SCALE, Sheet, beside, spread
from stgcn_pyg.figures.charts import new_chart

CELL, SIDES = 0.3, (5.6, 12.0)  # inches of a heat map's cell, and of its side
BEND = 0.18  # of an arrow, by its length
MOST_NUMBERED = 8  # stripes in each direction; more have a scale instead of numbers
LOOPS = "A patch's weight for itself, 0.5 and more, is left grey."


def heat_map(weights: np.ndarray, largest: float) -> np.ndarray:
    """Colours of weights from 0 to the largest, ``[N, N, 3]`` of uint8; NaN is grey."""
    share = np.nan_to_num(weights / max(largest, np.finfo(float).tiny))
    colours = (255 * SCALE(share)[..., :3]).astype(np.uint8)
    colours[np.isnan(weights)] = 140
    return colours


def _without_loops(weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights ``[..., N, N]`` with NaN for self-loops, and the largest of the others.

    Self-loops are 0.5 or more: on one scale with them, the other weights would have no contrast.
    """
    between = np.where(np.eye(weights.shape[-1], dtype=bool), np.nan, weights)
    return between, float(np.nanmax(between, initial=0))


def draw_temporal_graph(frames: np.ndarray, weights: np.ndarray, title: str = "") -> Figure:
    r"""The weights between all patches of a clip, with the patches along both axes.

    Args:
        frames: ``[T, H, W, 3]`` of uint8; best with H a multiple of P.
        weights: :math:`\hat A`, ``[T * P, T * P]``; row i gathers from column j.
        title: Title of the figure.

    Raises:
        ValueError: The nodes do not divide among the frames.
    """
    count, height, width = frames.shape[:3]
    nodes = len(weights)
    if nodes % count:
        raise ValueError(f"{nodes} nodes do not divide among {count} frames")
    patches = nodes // count
    side = float(np.clip(CELL * nodes, *SIDES))
    cell, aspect = side / nodes, width / (height / patches)
    # A patch is a cell high on the left, a cell wide at the top, and keeps its proportions.
    left, top = 0.55 + cell * aspect, 0.6 + cell / aspect
    sheet = Sheet(left + side + 0.9, top + side + 0.35, title)
    between, largest = _without_loops(weights)
    sheet.place(heat_map(between, largest), left, top, side, side, cells=True)
    sheet.place(frames.reshape(-1, width, 3), 0.55, top, cell * aspect, side)
    whole = frames[:, : height // patches * patches]
    cut = whole.reshape(nodes, -1, width, 3)  # [N, H / P, W, 3]
    sheet.place(beside(cut), left, 0.6, side, cell / aspect)
    sheet.cut(left, top, side, side, count, count)
    for frame in range(count):
        middle = (frame + 0.5) * patches * cell
        sheet.write(0.5, top + middle, f"{frame + 1}", ha="right", va="center")
        label = f"frame {frame + 1}" if patches * cell > 0.6 else f"{frame + 1}"
        sheet.write(left + middle, 0.55, label)
    gathers = "a patch here gathers ..."
    sheet.write(0.2, top + side / 2, gathers, rotation=90, va="center", fontsize=9)
    below = f"... from the patch above.  {LOOPS}"
    sheet.write(left + side / 2, top + side + 0.2, below)
    sheet.place_scale(left + side + 0.1, top + side - 2.4, 2.4, ("0", f"{largest:.3f}"))
    return sheet


def draw_spatial_graphs(frames: np.ndarray, weights: np.ndarray, title: str = "") -> Figure:
    r"""Each frame beside the weights between its patches.

    Args:
        frames: ``[T, H, W, 3]`` of uint8.
        weights: :math:`\hat A` of each frame, ``[T, P, P]``.
        title: Title of the figure.
    """
    count, height, width = frames.shape[:3]
    patches = weights.shape[1]
    columns, high = min(count, 4), 1.5  # inches of a frame and of its heat map
    wide, rows = high * width / height, -(-count // columns)
    step = wide + high + 0.5
    sheet = Sheet(columns * step + 0.75, 0.75 + rows * (high + 0.5), title)
    between, largest = _without_loops(weights)
    for frame in range(count):
        row, column = divmod(frame, columns)
        left, top = 0.1 + column * step, 0.5 + row * (high + 0.5)
        heat = left + wide + 0.25
        sheet.place(frames[frame], left, top, wide, high)
        sheet.place(heat_map(between[frame], largest), heat, top, high, high, cells=True)
        sheet.cut(left, top, wide, high, rows=patches)
        sheet.write(left + wide / 2, top - 0.06, f"frame {frame + 1}")
        sheet.write(heat + high / 2, top - 0.06, "row gathers from column", fontsize=7)
        for patch in spread(patches):
            middle = (patch + 0.5) * high / patches
            sheet.write(heat - 0.04, top + middle, patch + 1, ha="right", va="center", fontsize=7)
            sheet.write(heat + middle, top + high + 0.13, patch + 1, fontsize=7)
    sheet.place_scale(columns * step + 0.1, 0.5, high, ("0", f"{largest:.3f}"))
    note = f"Patches are numbered from the top. {LOOPS}"
    sheet.write(columns * step / 2, 0.6 + rows * (high + 0.5), note)
    return sheet


def draw_edges(
    frames: np.ndarray, edges: pd.DataFrame, num_patches: int, title: str = ""
) -> Figure:
    """The strongest edges between frames, as arrows over them to the patches that gather.

    Args:
        frames: ``[T, H, W, 3]`` of uint8.
        edges: As :func:`.strongest_edges` gives them.
        num_patches: P.
        title: Title of the figure.
    """
    count, height, width = frames.shape[:3]
    wide, step = 0.95, 1.425  # inches of a frame, and from a frame to the next
    high, side = wide * height / width, 0.1
    above, below = _swing(edges, step, high / num_patches, high)
    top = 0.2 + 0.25 * bool(title) + max(0.1 + 0.1 * high, above)
    bottom = top + max(1.15 * high, high + below)
    whole = 2 * side + (count - 1) * step + wide
    sheet = Sheet(whole, bottom + 0.5, title)
    for frame in range(count):
        left = side + frame * step
        sheet.place(frames[frame], left, top, wide, high)
        label = top - (above + 0.06 if above else 0.04)
        sheet.write(left + wide / 2, label, f"frame {frame + 1}")
        sheet.cut(left, top, wide, high, rows=num_patches)

    def middle(frame: int, patch: int) -> tuple[float, float]:
        return side + frame * step + wide / 2, top + (patch + 0.5) * high / num_patches

    colours: Any = COLOURS
    if num_patches > len(COLOURS):
        colours = colormaps["turbo"](np.linspace(0.05, 0.95, num_patches))
    heaviest = edges["weight"].max() if len(edges) else 1.0
    for edge in edges.itertuples():
        start = middle(edge.from_frame, edge.from_patch)
        end = middle(edge.into_frame, edge.into_patch)
        _arrow(sheet, start, end, colours[edge.from_patch], edge.weight / heaviest)
    shown = f"{edges['weight'].min():.3f} to {heaviest:.3f}" if len(edges) else "none"
    note = (
        "An arrow leads to the patch that gathers; its colour is the stripe it comes from.\n"
        f"The {len(edges)} strongest weights between frames: {shown}"
    )
    sheet.write(whole / 2, bottom + 0.24, note)
    return sheet


def _swing(edges: pd.DataFrame, step: float, stripe: float, high: float) -> tuple[float, float]:
    """How far arrows swing above the frames and below them, in inches as those of the arguments."""
    start, end = (stripe * (edges[name].to_numpy() + 0.5) for name in ("from_patch", "into_patch"))
    bend = BEND * step * (edges["into_frame"] - edges["from_frame"]).to_numpy()
    t = np.linspace(0, 1, 33)[:, None]  # along the curve, whose middle point is off by the bend
    down = start * (1 - t) ** 2 + (start + end - 2 * bend) * t * (1 - t) + end * t**2
    return -down.min(initial=0), down.max(initial=high) - high


def _arrow(
    sheet: Sheet, start: tuple[float, float], end: tuple[float, float], colour: Any, strength: float
) -> None:
    arrow = FancyArrowPatch(
        start,
        end,
        connectionstyle=f"arc3,rad={-BEND}",
        arrowstyle="-|>",
        mutation_scale=9,
        linewidth=0.8 + 1.4 * strength,
        color=colour,
        transform=sheet.inches,
    )
    arrow.set_path_effects([Stroke(linewidth=2.6 + 1.4 * strength, foreground="white"), Stroke()])
    sheet.add_artist(arrow)


def draw_averages(by_time: pd.DataFrame | None, by_stripe: dict[str, pd.DataFrame]) -> Figure:
    """Mean weights by distance in time, and by pair of stripes in each kind of graph.

    Up to 8 stripes the weights stand as numbers in their cells, beyond that as colours of a scale.

    Args:
        by_time: As :func:`.weight_by_time` gives it; None where there is no temporal graph.
        by_stripe: As :func:`.weight_by_stripe` gives them, by the name of the graph.
    """
    titles = [*(["temporal: by frames between"] if by_time is not None else [])]
    titles += [f"{name}: mean weight by stripe" for name in by_stripe]
    figure, panels = new_chart(titles, width=3.2, height=3.2)
    if by_time is not None:
        left, *panels = panels
        left.bar(by_time.index, by_time["ratio"], color=BLUE)
        left.axhline(1, color=GREY, linestyle="--", linewidth=1)
        left.set_ylabel("mean weight / equal weights")
        left.set_xlabel("frames between (dashed: equal weights)")
        left.set_xticks(by_time.index[spread(len(by_time))])
    for axes, table in zip(panels, by_stripe.values(), strict=True):
        values = table.to_numpy()
        largest = np.nanmax(values, initial=0)
        axes.set_facecolor(GREY)
        cells = axes.pcolormesh(np.ma.masked_invalid(values), cmap=SCALE, vmin=0, vmax=largest)
        axes.invert_yaxis()
        numbered = len(table) <= MOST_NUMBERED
        if not numbered:
            figure.colorbar(cells, ax=axes, fraction=0.2).ax.tick_params(labelsize=8)
        look: dict[str, Any] = {"ha": "center", "va": "center"}
        look["fontsize"] = min(8, 48 / len(table))  # so that numbers do not touch
        for (row, column), value in np.ndenumerate(values):
            if numbered and np.isfinite(value):
                ink = "black" if value > largest / 2 else "white"
                axes.text(column + 0.5, row + 0.5, f"{value:.3f}", color=ink, **look)
        axes.grid(False)
        places = np.array(spread(len(table)))
        axes.set_xticks(places + 0.5, map(str, places + 1))
        axes.set_yticks(places + 0.5, map(str, places + 1))
        axes.set_ylabel("stripe that gathers")
        axes.set_xlabel("from stripe (1 is the top)")
    return figure
