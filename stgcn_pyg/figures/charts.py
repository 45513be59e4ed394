"""Charts: lines, the embedding in the plane, and the distances in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stgcn_pyg.figures.canvas import BLUE, COLOURS, DPI, GREY, MARKERS, VERMILION

DASHES = ("-", "--", ":", (0, (9, 3, 2, 3)), "-.")
REFERENCE = len(DASHES)  # from this style on, grey lines that others are compared with
REFERENCE_DASHES = ((0, (1, 2)), (0, (5, 2)))
MOST_MARKERS = 24  # number of points of a line; a longer one is drawn without markers
LONGEST = 38  # letters in a line of a legend
MOST_GROUPS = 21  # number of groups of points that differ in colour or marker


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: Its name in the legend.
        x, y: Its points; those that are not finite are skipped.
        style: Number of its colour, dashes and marker; all three differ between styles. Lines that
            others are compared with, such as chance, are grey and have the styles from
            ``REFERENCE`` on.
        errors: Lower and upper ends of an interval at each point, ``[2, points]``.
        joined: Whether points are joined.
    """

    name: str
    x: Sequence[float] | pd.Series
    y: Sequence[float] | pd.Series
    style: int = 0
    errors: np.ndarray | None = None
    joined: bool = True


def new_chart(
    titles: Sequence[str], width: float, height: float, right: float = 0.0, below: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """A figure of panels beside each other, of ``width`` and ``height`` inches each.

    ``right`` and ``below`` are inches left free on these sides of all panels, as for a legend.
    """
    size = len(titles) * width + right, height + below
    figure = Figure(figsize=size, dpi=DPI, facecolor="white")
    panels = []
    for place, title in enumerate(titles):
        head = 0.32 if title else 0.12
        left, bottom = (place * width + 0.62) / size[0], (0.5 + below) / size[1]
        wide, high = (width - 0.74) / size[0], (height - 0.5 - head) / size[1]
        axes = figure.add_axes((left, bottom, wide, high), facecolor="none")
        axes.set_title(title, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=8)
        axes.xaxis.label.set_fontsize(8.5)
        axes.yaxis.label.set_fontsize(8.5)
        panels.append(axes)
    return figure, panels


def draw_lines(
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    y_limits: tuple[float | None, float | None] = (None, None),
    x_ticks: Mapping[float, str] | None = None,
) -> Figure:
    """A chart of lines, with a legend where there are several.

    Args:
        lines: At least one.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        y_limits: Ends of the vertical axis; None where they follow from the points.
        x_ticks: Labels of the horizontal axis by their place; numbers if not given.
    """
    several = len(lines) > 1
    columns = 2 if max(len(line.name) for line in lines) < 20 else 1
    names = [fill(line.name, LONGEST) for line in lines]
    breaks = sum(name.count("\n") for name in names)
    below = 0.22 * -(-len(lines) // columns) + 0.14 * breaks if several else 0.0
    figure, (axes,) = new_chart([""], 3.5, 2.4, below=below)
    drawn: list[Any] = []
    for line in lines:
        x, y = np.asarray(line.x, float), np.asarray(line.y, float)
        known = np.isfinite(x) & np.isfinite(y)
        usual = line.style < REFERENCE
        dashes = (*DASHES, *REFERENCE_DASHES)[line.style]
        look: dict[str, Any] = {
            "color": COLOURS[line.style] if usual else GREY,
            "marker": MARKERS[line.style] if usual and known.sum() <= MOST_MARKERS else None,
            "markersize": 4,
            "linewidth": 1.5,
            "linestyle": dashes if line.joined else "none",
            "clip_on": False,  # a marker at the end of an axis is drawn whole
        }
        errors = None if line.errors is None else np.abs(np.asarray(line.errors) - y)[:, known]
        drawn.append(axes.errorbar(x[known], y[known], errors, capsize=3, **look))
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_ylim(*y_limits)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    if x_ticks is not None:
        axes.set_xticks(list(x_ticks), list(x_ticks.values()))
    elif all(float(x).is_integer() for line in lines for x in line.x):
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if several:
        legend = figure.legend(
            drawn,
            names,
            loc="lower left",
            bbox_to_anchor=(0.3 / 3.5, 0),
            ncols=columns,
            fontsize=8,
            frameon=False,
            borderaxespad=0.2,
        )
        for text in legend.get_texts():
            text.set_parse_math(False)  # names may hold dollar signs
    return figure


def draw_points(
    points: np.ndarray,
    groups: np.ndarray,
    is_query: np.ndarray,
    name: str,
) -> Figure:
    """Points of the plane, each group with its own colour and marker.

    Args:
        points: ``[N, 2]``.
        groups: Integers ``[N]``, such as the identity or the camera of each point. The first 21
            positive groups differ in look; all others, junk and distractors too, are grey.
        is_query: Which points are queries, drawn larger, ``[N]`` of bool.
        name: What a group is, such as ``"identity"``.
    """
    known = np.unique(groups[groups > 0])
    shown = known[:MOST_GROUPS]
    count = f", {len(shown)} of {len(known)}" if len(known) > len(shown) else ""
    title = f"t-SNE, by {name}{count}; queries are larger"
    figure, (axes,) = new_chart([title], 5.2, 5.0, right=1.4)
    rest = ~np.isin(groups, shown)
    x, y = points.T
    if rest.any():
        axes.scatter(x[rest], y[rest], s=24, color=GREY, marker=".", label="others", linewidths=0)
    for place, group in enumerate(shown):
        # Colour and marker step at different paces, so that no two groups share both.
        colour = COLOURS[place % len(COLOURS)]
        marker = MARKERS[(place + place // len(COLOURS)) % len(MARKERS)]
        for size, some in ((22, ~is_query), (60, is_query)):
            mine = (groups == group) & some
            axes.scatter(
                x[mine],
                y[mine],
                s=size,
                color=colour,
                marker=marker,
                label=f"{name} {group}" if size == 22 else None,
                edgecolors="white",
                linewidths=0.5,
            )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.legend(
        fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, markerscale=1.1
    )
    return figure


def draw_distances(
    histogram: pd.DataFrame, title: str = "distances of query and gallery"
) -> Figure:
    """The distances of matching and of other pairs, as shares of the pairs of each kind.

    Args:
        histogram: As :func:`.distance_histogram` gives it.
        title: Title of the figure.
    """
    figure, (axes,) = new_chart([title], 5.2, 3.2)
    edges = np.append(histogram["from"], histogram["to"].iloc[-1])
    for name, colour, style in (("matching", BLUE, "-"), ("other", VERMILION, "--")):
        counts = histogram[name].to_numpy()
        share = 100 * counts / max(counts.sum(), 1)
        axes.stairs(share, edges, fill=True, alpha=0.18, color=colour)
        label = f"{name} ({counts.sum():,} pairs)"
        axes.stairs(share, edges, color=colour, linestyle=style, linewidth=1.6, label=label)
    axes.set_xlabel("distance")
    axes.set_ylabel("% of the pairs of its kind")
    axes.set_ylim(bottom=0)
    axes.set_xlim(edges[0], edges[-1])
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    return figure
