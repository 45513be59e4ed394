"""Figures: what rows gain over the baseline, with intervals; PNG and SVG."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.running.results import write_bytes
from experiments.tables.aggregate import COMPARED
from experiments.variants import Experiment
from stgcn_pyg.figures import COLOURS, MARKERS, new_figure

WIDTH, HEIGHT = 4.2, 3.4  # inches, of a panel


def draw_panels(
    experiment: Experiment, table: pd.DataFrame, protocol: str, with_paper: bool
) -> Figure:
    """The difference of each row to the baseline and its 95 % interval, a panel beside the other.

    The paper's points are differences to the paper's baseline, so that they can be shown beside
    those of any data set.

    Args:
        experiment: The experiment, whose panels are drawn.
        table: What :func:`experiments.tables.aggregate.tabulate` returns.
        protocol: Name of the protocol, for the axis.
        with_paper: Whether the data set is the paper's.
    """
    figure, axes = _axes(len(experiment.panels))
    for panel, place in zip(experiment.panels, axes, strict=True):
        rows = table.reindex(list(panel.rows.values())).set_axis(list(panel.rows))
        for statistic, colour in zip(COMPARED, COLOURS, strict=False):
            if f"{statistic} difference" in rows:
                found = rows[rows[f"{statistic} difference"].notna()]
                value = found[f"{statistic} difference"]
                errors = [value - found[f"{statistic} low"], found[f"{statistic} high"] - value]
                style = {"marker": "o", "capsize": 3, "color": colour, "label": statistic}
                place.errorbar(found.index, value, errors, **style)
            if (name := f"paper's {statistic}, MARS") in rows:
                gains = (rows[name] - table.loc[experiment.baseline, name]).dropna()
                style = {"markerfacecolor": "none", "color": colour}
                label = f"{statistic}, the paper's"
                place.plot(gains.index, gains, "D", label=label, **style)
        place.axhline(0, color="black", linewidth=0.8)
        place.set_xticks(list(panel.rows))
        place.set_xlabel(panel.label)
    axes[0].set_ylabel(f"less the baseline's, points ({protocol})")
    axes[0].legend(fontsize=7, frameon=False)
    if not with_paper:
        figure.suptitle("hollow: the paper's, on MARS", fontsize=8)
    return figure


def draw_lines(
    lines: Sequence[tuple[str, pd.DataFrame]],
    label: str,
    value: str,
    references: Sequence[tuple[str, pd.Series]] = (),
) -> Figure:
    """Lines with error bars.

    Args:
        lines: Name and points of each line: a table of ``value``, ``low`` and ``high``, whose index
            is the place on the horizontal axis.
        label: Label of the horizontal axis.
        value: Label of the vertical axis.
        references: Name and points of lines without errors.
    """
    figure, (place,) = _axes(1)
    # A little apart, so that error bars do not hide each other.
    apart = 0.015 * max((np.ptp(points.index) for _, points in lines), default=0)
    shifts = apart * (np.arange(len(lines)) - (len(lines) - 1) / 2)
    for colour, marker, shift, (name, points) in zip(COLOURS, MARKERS, shifts, lines, strict=False):
        errors = [points["value"] - points["low"], points["high"] - points["value"]]
        style = {"marker": marker, "capsize": 2, "color": colour, "label": name}
        place.errorbar(points.index + shift, points["value"], errors, **style)
    for style, (name, values) in zip(("--", ":"), references, strict=False):
        place.plot(values.index, values, style, color="black", linewidth=0.9, label=name)
    place.xaxis.set_major_locator(MaxNLocator(integer=True))
    place.set_xlabel(label)
    place.set_ylabel(value)
    place.legend(fontsize=7, frameon=False)
    return figure


def write_figure(path: Path, figure: Figure) -> None:
    """Writes a figure as ``.png`` and ``.svg``, the same bytes for the same figure.

    Raises:
        RunError: It cannot be written; what was there stays.
    """
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        content = io.BytesIO()
        with rc_context({"svg.hashsalt": "stgcn"}):
            figure.savefig(content, format=kind, dpi=150, metadata=metadata)
        write_bytes(path.with_suffix(f".{kind}"), content.getvalue())


def _axes(panels: int) -> tuple[Figure, list[Axes]]:
    figure = new_figure(WIDTH * panels, HEIGHT)
    axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    for place in axes:
        place.grid(alpha=0.3)
        place.spines[["top", "right"]].set_visible(False)
    return figure, list(axes)
