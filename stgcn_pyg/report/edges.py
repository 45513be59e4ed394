"""A temporal graph's strongest edges over the frames of its clip, as geometry for SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

WIDTH = 64  # of a frame, in the drawing's own units
ABOVE, BELOW = 18, 3  # where the numbers of the frames stand, and arrows swing


@dataclass(frozen=True)
class Arrow:
    """An edge: its path, width, and the stripe that it comes from."""

    path: str
    width: float
    stripe: int


@dataclass(frozen=True)
class EdgeDrawing:
    """Frames beside each other, lines between their stripes, and arrows over them.

    Attributes:
        picture: The frames as a data URI, if there is room.
        width, height: Of the drawing.
        top, frame_width, frame_height, num_frames: Where the frames are.
        borders: Heights of the lines between stripes.
        arrows: The weakest first.
        description: In words.
    """

    picture: str | None
    width: int
    height: int
    top: int
    frame_width: int
    frame_height: int
    num_frames: int
    borders: Sequence[float]
    arrows: Sequence[Arrow]
    description: str


def draw_edges(
    picture: str | None, edges: pd.DataFrame, shape: tuple[int, int, int], num_patches: int
) -> EdgeDrawing:
    """Lays out the edges of one clip.

    Args:
        picture: Its frames beside each other.
        edges: As :func:`.strongest_edges` gives them.
        shape: Of the frames: T, H, W.
        num_patches: P.
    """
    num_frames, height, width = shape
    frame_height = WIDTH * height // width

    def middle(frame: int, patch: int) -> tuple[float, float]:
        return (frame + 0.5) * WIDTH, ABOVE + (patch + 0.5) * frame_height / num_patches

    heaviest = float(edges["weight"].max()) if len(edges) else 1.0
    arrows = [
        Arrow(
            _arc(
                middle(edge.from_frame, edge.from_patch), middle(edge.into_frame, edge.into_patch)
            ),
            round(1 + 1.5 * edge.weight / heaviest, 2),
            int(edge.from_patch),
        )
        for edge in edges.iloc[::-1].itertuples()
    ]
    return EdgeDrawing(
        picture,
        num_frames * WIDTH,
        ABOVE + frame_height + BELOW,
        ABOVE,
        WIDTH,
        frame_height,
        num_frames,
        [ABOVE + patch * frame_height / num_patches for patch in range(1, num_patches)],
        arrows,
        _described(edges),
    )


def _arc(start: tuple[float, float], end: tuple[float, float]) -> str:
    """A curve between two points that bends to the side, as far as they are apart."""
    bend = 0.18
    x = (start[0] + end[0]) / 2 - bend * (end[1] - start[1])
    y = (start[1] + end[1]) / 2 - bend * abs(end[0] - start[0])
    return f"M{start[0]:.1f},{start[1]:.1f}Q{x:.1f},{y:.1f} {end[0]:.1f},{end[1]:.1f}"


def _described(edges: pd.DataFrame) -> str:
    if not len(edges):
        return "No edges between frames."
    first = edges.iloc[0]
    return (
        f"The {len(edges)} strongest edges, from {edges['weight'].min():.4f} to "
        f"{edges['weight'].max():.4f}; the strongest leads from stripe "
        f"{int(first['from_patch']) + 1} of frame {int(first['from_frame']) + 1} to stripe "
        f"{int(first['into_patch']) + 1} of frame {int(first['into_frame']) + 1}."
    )
