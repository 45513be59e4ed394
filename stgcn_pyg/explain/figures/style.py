"""What the figures share: colours that the colour-blind can tell apart, bare axes, saving."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stgcn_pyg.errors import UserError

# Okabe and Ito, "Color universal design" (2008), without its yellow, too pale for thin lines.
BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, BLACK, GREY = "#56B4E9", "#CC79A7", "#000000", "#8C8C8C"
COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

# One of Matplotlib's sequential scales whose lightness alone tells the order.
SCALE = "inferno"

DPI = 120


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, whose parts make room for each other."""
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")


def bare(axes: Axes) -> None:
    """Takes away ticks, their labels and the frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG, its folder too; the same figure gives the same bytes.

    Raises:
        UserError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", metadata={"Software": None})
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
