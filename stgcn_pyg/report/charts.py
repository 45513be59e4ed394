"""Line charts as geometry: what the template draws as SVG."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from matplotlib.ticker import MaxNLocator

from stgcn_pyg.report.tables import Table

# Pixels at the size in which a chart is drawn on a phone; it is never drawn much larger.
WIDTH, HEIGHT = 420, 270
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 10, 42
STYLES = 6  # that the style sheet tells apart, by colour, dashes and marker
CHANCE_STYLE = STYLES - 1
MOST_MARKERS = 24

ToPixels = Callable[[float], float]


@dataclass(frozen=True)
class Series:
    """A line: its name, points, and the number of its style."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: int = 0


@dataclass(frozen=True)
class Tick:
    """A mark of an axis: where it is, and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """A series in pixels: its path, and its points where they are few."""

    name: str
    style: int
    path: str
    points: Sequence[tuple[float, float, str]]


@dataclass(frozen=True)
class LineChart:
    """A chart, ready to be drawn.

    Attributes:
        name: Its id on the page.
        title: What it shows.
        description: The same for those who cannot see it.
        x_label, y_label: Of the axes.
        lines, x_ticks, y_ticks: In pixels.
        table: Its figures; None where they stand elsewhere.
    """

    name: str
    title: str
    description: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    table: Table | None = None


def line_chart(
    name: str,
    title: str,
    x_label: str,
    y_label: str,
    series: Sequence[Series],
    y_limits: tuple[float | None, float | None] = (None, None),
    x_ticks: Sequence[float] = (),
    table: Table | None = None,
) -> LineChart:
    """Lays a chart out. Points that are not finite are passed over.

    Args:
        name: Its id on the page.
        title: What it shows.
        x_label: Of the axis.
        y_label: Of the axis.
        series: At least one finite point among them.
        y_limits: The ends of the axis, where they do not follow from the points.
        x_ticks: Marks of the axis, where they are not to follow from the points.
        table: Its figures.

    Example:
        >>> chart = line_chart("c", "Loss", "epoch", "loss", [Series("a", [1, 2], [0.0, 1.0])])
        >>> chart.lines[0].path
        'M50,228L410,10'
        >>> chart.description
        'Line chart of loss by epoch. a: from 0 to 1, lowest 0, highest 1.'
    """
    kept = [_finite(one) for one in series]
    kept = [one for one in kept if len(one.x)]
    x = np.concatenate([one.x for one in kept])
    y = np.concatenate([one.y for one in kept])
    x_from, x_to = _apart(float(x.min()), float(x.max()))
    marks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(*_limits(y, y_limits))
    y_from, y_to = (
        end if limit is None else limit
        for end, limit in zip((marks[0], marks[-1]), y_limits, strict=True)
    )

    def across(value: float) -> float:
        return round(LEFT + (value - x_from) / (x_to - x_from) * (WIDTH - LEFT - RIGHT), 1)

    def down(value: float) -> float:
        share = (min(max(value, y_from), y_to) - y_from) / (y_to - y_from)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    whole = bool((x == np.rint(x)).all())
    below = x_ticks or MaxNLocator(6, steps=[1, 2, 5, 10], integer=whole).tick_values(x_from, x_to)
    return LineChart(
        name,
        title,
        " ".join([f"Line chart of {y_label} by {x_label}.", *map(_told, kept)]),
        x_label,
        y_label,
        [_line(one, across, down) for one in kept],
        [Tick(across(v), _short(v)) for v in below if x_from <= v <= x_to],
        [Tick(down(v), _short(v)) for v in marks if y_from <= v <= y_to],
        table,
    )


def steps(name: str, edges: Sequence[float], heights: Sequence[float], style: int = 0) -> Series:
    """A histogram as a line.

    Example:
        >>> steps("pairs", [0, 1, 2], [5, 3])
        Series(name='pairs', x=[0, 0, 1, 1, 2, 2], y=[0, 5, 5, 3, 3, 0], style=0)
    """
    x = [edge for edge in edges for _ in range(2)]
    return Series(name, x, [0, *(height for height in heights for _ in range(2)), 0], style)


def _line(series: Series, across: ToPixels, down: ToPixels) -> Line:
    points = [(across(x), down(y)) for x, y in zip(series.x, series.y, strict=True)]
    path = "M" + "L".join(f"{x:g},{y:g}" for x, y in points)
    marked = [
        (*point, f"{series.name}: {y:.4g} at {x:g}")
        for point, x, y in zip(points, series.x, series.y, strict=True)
    ]
    few = 0 < len(points) <= MOST_MARKERS
    return Line(series.name, series.style % STYLES, path, marked if few else marked[:0])


def _finite(series: Series) -> Series:
    pairs = [(x, y) for x, y in zip(series.x, series.y, strict=True) if isfinite(x) and isfinite(y)]
    x, y = zip(*pairs, strict=True) if pairs else ((), ())
    return Series(series.name, x, y, series.style)


def _limits(y: np.ndarray, limits: tuple[float | None, float | None]) -> tuple[float, float]:
    low = float(y.min()) if limits[0] is None else limits[0]
    high = float(y.max()) if limits[1] is None else limits[1]
    return _apart(low, high)


def _short(value: float) -> str:
    """A mark's number in a few characters.

    Example:
        >>> _short(0.25), _short(0.0003), _short(20000)
        ('0.25', '3e-4', '2e4')
    """
    if value and not 1e-3 <= abs(value) < 1e4:
        digits, power = f"{value:.2e}".split("e")
        return f"{float(digits):g}e{int(power)}"
    return f"{value:.4g}"


def _apart(low: float, high: float) -> tuple[float, float]:
    """Two ends that differ, also where all values are equal."""
    if high > low:
        return low, high
    margin = abs(low) / 2 or 0.5
    return low - margin, high + margin


def _told(series: Series) -> str:
    y = series.y
    return (
        f"{series.name}: from {y[0]:.4g} to {y[-1]:.4g}, lowest {min(y):.4g}, highest {max(y):.4g}."
    )
