"""The embedding in the plane, and the distances in it."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stgcn_pyg.explain.figures.style import (
    BLUE,
    COLOURS,
    GREY,
    MARKERS,
    VERMILION,
    new_figure,
)


def draw_points(
    points: np.ndarray,
    groups: np.ndarray,
    is_query: np.ndarray,
    name: str,
    most: int = 21,
    title: str = "",
) -> Figure:
    """Points of the plane, each group with a colour and a marker of its own.

    Args:
        points: ``[N, 2]``.
        groups: Of each, such as its person or camera, integers ``[N]``. The first ``most`` positive
            groups are told apart; all others, junk and distractors too, are grey dots.
        is_query: Which are queries, and drawn larger, ``[N]`` of bool.
        name: Of a group, such as ``"person"``.
        most: How many groups are told apart.
        title: Of the figure.
    """
    figure = new_figure(6.4, 5.0)
    axes = figure.subplots()
    known = np.unique(groups[groups > 0])
    shown = known[:most]
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
    count = f", {len(shown)} of {len(known)}" if len(known) > len(shown) else ""
    axes.set_title(f"{title}t-SNE, by {name}{count}; queries are larger", fontsize=9)
    axes.legend(
        fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, markerscale=1.1
    )
    return figure


def draw_distances(histogram: pd.DataFrame, title: str = "") -> Figure:
    """How far matching pairs and others lie apart, each as a share of its kind.

    Args:
        histogram: As :func:`.distance_histogram` gives it.
        title: Of the figure.
    """
    figure = new_figure(6.4, 3.6)
    axes = figure.subplots()
    edges = np.append(histogram["from"], histogram["to"].iloc[-1])
    for name, colour, style in (("matching", BLUE, "-"), ("other", VERMILION, "--")):
        counts = histogram[name].to_numpy()
        share = 100 * counts / max(counts.sum(), 1)
        axes.stairs(share, edges, fill=True, alpha=0.18, color=colour)
        axes.stairs(
            share,
            edges,
            color=colour,
            linestyle=style,
            linewidth=1.6,
            label=f"{name} ({counts.sum():,} pairs)",
        )
    axes.set_xlabel("distance", fontsize=8)
    axes.set_ylabel("% of the pairs of its kind", fontsize=8)
    axes.set_ylim(bottom=0)
    axes.set_xlim(edges[0], edges[-1])
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=8, frameon=False)
    axes.set_title(f"{title}distances of query and gallery", fontsize=9)
    return figure
