"""The learned graphs of a data set on average."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stgcn_pyg.explain.figures.style import BLUE, GREY, SCALE, new_figure


def draw_averages(by_time: pd.DataFrame | None, by_stripe: dict[str, pd.DataFrame]) -> Figure:
    """Mean weights by distance in time, and by pair of stripes in each kind of graph.

    Args:
        by_time: As :func:`.weight_by_time` gives it; None where there is no temporal graph.
        by_stripe: As :func:`.weight_by_stripe` gives them, by the name of the graph.
    """
    panels = len(by_stripe) + (by_time is not None)
    figure = new_figure(3.2 * panels + 0.3, 2.9)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    if by_time is not None:
        left, axes = axes[0], axes[1:]
        left.bar(by_time.index, by_time["ratio"], color=BLUE)
        left.axhline(1, color=GREY, linestyle="--", linewidth=1)
        left.set_title("temporal: by frames between", fontsize=9)
        left.set_ylabel("mean weight / equal weights", fontsize=8)
        left.set_xlabel("frames between (dashed: equal weights)", fontsize=8)
        left.set_xticks(by_time.index)
        left.tick_params(labelsize=8)
    for axis, (name, table) in zip(axes, by_stripe.items(), strict=True):
        values = np.ma.masked_invalid(table.to_numpy())
        axis.set_facecolor(GREY)
        axis.imshow(values, cmap=SCALE, vmin=0)
        middle = values.max() / 2
        for (row, column), value in np.ndenumerate(values.filled(np.nan)):
            if np.isfinite(value):
                ink = "black" if value > middle else "white"
                axis.text(
                    column, row, f"{value:.3f}", ha="center", va="center", color=ink, fontsize=8
                )
        stripes = range(len(table))
        axis.set_xticks(stripes, [stripe + 1 for stripe in stripes], fontsize=8)
        axis.set_yticks(stripes, [stripe + 1 for stripe in stripes], fontsize=8)
        axis.set_title(f"{name}: mean weight by stripe", fontsize=9)
        axis.set_ylabel("stripe that gathers", fontsize=8)
        axis.set_xlabel("from stripe (1 is the top)", fontsize=8)
    return figure
