"""What the figures share: colours, sheets to place images on, and encoding as PNG and SVG."""

import io
import re
from base64 import b64encode
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import BboxImage
from matplotlib.transforms import Affine2D, Bbox, TransformedBbox
from PIL import Image

from stgcn_pyg.files import write_output

# Okabe and Ito, "Color universal design" (2008), without its yellow, too pale for thin lines.
BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, BLACK, GREY = "#56B4E9", "#CC79A7", "#000000", "#8C8C8C"
COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

# One of Matplotlib's sequential colour maps whose lightness alone tells the order.
SCALE = colormaps["inferno"]

DPI = 120
WEBP_QUALITY = 82  # of frames within a page
SHORTER = (  # what Matplotlib writes into SVG, and what says the same in a page
    (r"<!--.*?-->|<defs>\s*<style.*?</style>\s*</defs>", ""),
    (r"font: ([\d.]+px)[^;\"]*", r"font-size: \1"),
    (r"; font-family: [^;\"]*", ""),
    (r"; stroke-(linejoin: \w+|dashoffset: 0)(?=[;\"])", ""),
    (r' transform="rotate\(-0 [^"]*"', ""),
    (r">\s+<", "><"),
    (r"\s+", " "),
)

THEME = {BLACK: "ink", GREY: "style-5"} | {
    colour: f"style-{place}" for place, colour in enumerate(COLOURS[:5])
}
"""The CSS variables of a page that stand for the colours, so that they fit light and dark."""


@lru_cache(maxsize=4096)
def text_width(text: str, fontsize: float = 8) -> float:
    """Inches that the longest line of a text takes."""
    return Figure(dpi=DPI).text(0, 0, text, fontsize=fontsize).get_window_extent().width / DPI


def spread(count: int, most: int = 10) -> range:
    """Places of at most so many of ``count`` things, evenly apart, whose labels do not touch.

    Example:
        >>> list(spread(4)), list(spread(16))
        ([0, 1, 2, 3], [0, 2, 4, 6, 8, 10, 12, 14])
    """
    return range(0, count, -(-count // most))


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, whose parts are laid out without overlaps."""
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")


class Sheet(Figure):
    """A figure on which images, text and lines are placed in inches from its top left corner.

    It becomes wider on either side where text would be cut; ``margin`` is what it gained on the
    left.
    """

    def __init__(self, width: float, height: float, title: str = ""):
        super().__init__(figsize=(width, height), dpi=DPI, facecolor="white")
        self.margin = 0.0
        self.corner = Affine2D().scale(1, -1).translate(0, height)
        self.inches = self.corner + self.dpi_scale_trans
        self.placed: list[tuple[np.ndarray, tuple[float, float, float, float], bool]] = []
        if title:
            self.write(width / 2, 0.08, title, va="top", fontsize=9)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, bytes]:
        return {"image/png": to_bytes(self)}  # notebooks show no figure without axes otherwise

    def place(
        self,
        pixels: np.ndarray,
        left: float,
        top: float,
        width: float,
        height: float,
        cells: bool = False,
    ) -> None:
        """Shows an image ``[H, W, 3]`` of uint8 in a box; that of cells keeps its sharp edges."""
        self.placed.append((pixels, (left, top, width, height), cells))
        # A box whose corners are named the other way round would turn the image upside down.
        box = TransformedBbox(Bbox.from_bounds(left, top, width, height), self.inches)
        image = BboxImage(box)
        image.set_data(pixels)
        self.add_artist(image)

    def place_scale(self, left: float, top: float, height: float, ends: tuple[str, str]) -> None:
        """Shows the colour map upright, with labels at its lower and its upper end."""
        shades = (255 * SCALE(np.linspace(1, 0, 64))[:, None, :3]).astype(np.uint8)
        self.place(shades, left, top, 0.12, height, cells=True)
        for text, y, side in zip(ends, (top + height, top), ("bottom", "top"), strict=True):
            self.write(left + 0.18, y, text, ha="left", va=side)

    def write(self, x: float, y: float, text: object, **look: Any) -> None:
        """Writes lines of text; by default the first one's baseline is centred at the point."""
        look = {"ha": "center", "va": "baseline", "fontsize": 8, **look}
        for i, line in enumerate(str(text).split("\n")):
            down = y + i * look["fontsize"] / 60
            self.text(x, down, line, transform=self.inches, **look)
            if not look.get("rotation"):
                width = text_width(line, look["fontsize"])
                left = x - {"left": 0, "center": 0.5, "right": 1}[look["ha"]] * width
                self._widen(left, left + width)

    def _widen(self, left: float, right: float) -> None:
        """Makes room for what lies between two places, with some free space beyond it."""
        end = self.get_figwidth() - self.margin
        before = 0.08 - left - self.margin if left < -self.margin else 0.0
        after = right + 0.08 - end if right > end else 0.0
        self.margin += before
        self.corner.translate(before, 0)
        self.set_figwidth(self.get_figwidth() + before + after)

    def cut(
        self,
        left: float,
        top: float,
        width: float,
        height: float,
        rows: int = 1,
        columns: int = 1,
        linewidth: float = 0.8,
    ) -> None:
        """Draws white lines that cut a box into equal rows and columns."""
        across = [left + i * width / columns for i in range(1, columns)]
        down = [top + i * height / rows for i in range(1, rows)]
        lines = [[(x, top), (x, top + height)] for x in across]
        lines += [[(left, y), (left + width, y)] for y in down]
        cuts = LineCollection(lines, colors="white", linewidths=linewidth)
        cuts.set_transform(self.inches)
        self.add_artist(cuts)


def beside(frames: np.ndarray) -> np.ndarray:
    """Frames ``[T, H, W, 3]`` in a row, ``[H, T * W, 3]``."""
    return np.concatenate(list(frames), axis=1)


def to_bytes(figure: Figure, kind: str = "png", dpi: float | str = "figure") -> bytes:
    """Encodes a figure; the same figure gives the same bytes.

    Args:
        figure: The figure.
        kind: ``"png"`` or ``"svg"``.
        dpi: Pixels per inch; the figure's own if not given.
    """
    buffer = io.BytesIO()
    metadata = {"Software": None} if kind == "png" else {"Date": None}
    with rc_context({"svg.hashsalt": "stgcn"}):
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as a PNG file, and creates its folder.

    Raises:
        UserError: It cannot be written.
    """
    write_output(path, to_bytes(figure))


def to_page_svg(figure: Figure, name: str) -> str:
    """Encodes a figure as an ``<svg>`` element without a background, to stand in an HTML page.

    Its text is in the page's font, its colours are the page's variables of :data:`THEME`, and its
    frames are WebP images at their own resolution.

    Args:
        figure: The figure.
        name: Name that no other figure of the page has.
    """
    images = ""
    if isinstance(figure, Sheet):
        images = "".join(
            _image_element(pixels, (figure.margin + left, *box), cells)
            for pixels, (left, *box), cells in figure.placed
        )
        for artist in [artist for artist in figure.artists if isinstance(artist, BboxImage)]:
            artist.remove()
    figure.patch.set_visible(False)
    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=metadata)
    width, height = figure.get_size_inches()
    svg = re.sub(
        r"^.*?<svg[^>]*>",
        f'<svg viewBox="0 0 {72 * width:g} {72 * height:g}" aria-hidden="true" '
        f'style="max-width: {96 * width:.0f}px; min-width: {64 * width:.0f}px">{images}',
        buffer.getvalue(),
        flags=re.DOTALL,
    )
    referred = set(re.findall(r"(?:href=\"|url\()#([\w-]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in referred else "", svg)
    for pattern, short in SHORTER:
        svg = re.sub(pattern, short, svg, flags=re.DOTALL)
    svg = re.sub(r"<path[^>]*>|<use[^>]*>|<text[^>]*>", _rounded, svg)
    for colour, variable in THEME.items():
        svg = svg.replace(colour.lower(), f"var(--{variable})")
    return svg


def _rounded(tag: re.Match) -> str:
    return re.sub(r"(\.\d)\d+", r"\1", tag[0])


def _image_element(pixels: np.ndarray, box: tuple[float, ...], cells: bool) -> str:
    """An image in a box in inches, as WebP, which is lossless for cells."""
    x, y, width, height = (72 * inches for inches in box)
    look = ' style="image-rendering: pixelated"' if cells else ""
    return (
        f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"{look} '
        'preserveAspectRatio="none" '
        f'href="{webp_address(pixels, lossless=cells)}"/>'
    )


def webp_address(pixels: np.ndarray, lossless: bool = False) -> str:
    """An image ``[H, W, 3]`` of uint8 as the address that a page shows it by, in WebP."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "webp", lossless=lossless, quality=WEBP_QUALITY, method=6)
    return f"data:image/webp;base64,{b64encode(buffer.getvalue()).decode()}"
