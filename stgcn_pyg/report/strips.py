"""Strips of frames, one for each tracklet, and captions below them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from tqdm import tqdm

from stgcn_pyg.data.decoding import read_image
from stgcn_pyg.data.sampling import even_frames
from stgcn_pyg.errors import UserError
from stgcn_pyg.figures import webp_address
from stgcn_pyg.figures.canvas import beside
from stgcn_pyg.progress import bar_options
from stgcn_pyg.report.elements import html

FRAMES, HEIGHT, WIDTH = 4, 128, 64  # of each tracklet
MOST_BYTES = 14_000_000  # that the frames of a page may take


def sheets_of_strips(
    sheets: Iterable[tuple[Markup, Sequence[tuple[Sequence[Path], str]]]], total: int, noun: str
) -> tuple[list[Markup], list[str]]:
    """Sheets of tracklets, as many as a page has room for.

    Args:
        sheets: Of each its heading, and the paths of the frames and the caption of its tracklets.
        total: The number of sheets.
        noun: What a sheet is of, such as ``"identity"``.

    Returns:
        The sheets, and lines on frames that cannot be read, and on what the page has no room for.
    """
    drawn, unread, size = [], [], 0
    for heading, tracklets in tqdm(sheets, "drawing", total, unit=noun, **bar_options()):
        strips = []
        for paths, caption in tracklets:
            image, faults = strip(paths)
            unread += faults
            strips.append((image, caption))
        sheet = heading + html.strips(strips)
        size += len(sheet)
        if size > MOST_BYTES:
            break
        drawn.append(sheet)
    gaps = []
    if len(drawn) < total:
        gaps.append(f"the first {len(drawn):,} of {count(total, noun)} are shown")
    if unread:
        gaps.append(f"{len(unread):,} frames cannot be shown, the first: {unread[0]}")
    return drawn, gaps


def strip(paths: Sequence[Path]) -> tuple[str, list[str]]:
    """Some frames of a tracklet beside each other, and what is wrong with those left out."""
    images, faults = [], []
    for place in np.unique(even_frames(len(paths), FRAMES)) if paths else ():
        try:
            images.append(read_image(paths[place], HEIGHT, WIDTH))
        except UserError as error:
            faults.append(str(error))
    return webp_address(beside(np.stack(images))) if images else "", faults


def seen(tracklet: Any) -> list[str]:
    """When a tracklet with ``first_time`` and ``last_time`` was seen, in words, if it is known."""
    if not np.isfinite(tracklet.first_time):
        return []
    return [f"{tracklet.first_time:.1f} to {tracklet.last_time:.1f} s"]


def count(number: int, noun: str) -> str:
    """A number with its noun.

    Example:
        >>> count(1, "identity"), count(2, "identity"), count(2, "query")
        ('1 identity', '2 identities', '2 queries')
    """
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"
