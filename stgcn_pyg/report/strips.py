"""Strips of frames, one for each tracklet, and captions below them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stgcn_pyg.data.decoding import read_image
from stgcn_pyg.data.sampling import even_frames
from stgcn_pyg.errors import UserError
from stgcn_pyg.figures import webp_address
from stgcn_pyg.figures.canvas import beside

FRAMES, HEIGHT, WIDTH = 4, 128, 64  # of each tracklet
MOST_BYTES = 14_000_000  # that the frames of a page may take


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


def lines_on_frames(unread: Sequence[str], shown: int, total: int, what: str) -> list[str]:
    """Lines on frames that cannot be read, and on what a page has no room for.

    Example:
        >>> lines_on_frames(["1.jpg: missing"], 2, 3, "identities")
        ['the first 2 of 3 identities are shown', '1 frames cannot be shown, the first: 1.jpg: \
missing']
    """
    gaps = []
    if shown < total:
        gaps.append(f"the first {shown:,} of {total:,} {what} are shown")
    if unread:
        gaps.append(f"{len(unread):,} frames cannot be shown, the first: {unread[0]}")
    return gaps


def count(number: int, noun: str) -> str:
    """A number with its noun.

    Example:
        >>> count(1, "identity"), count(2, "identity"), count(2, "query")
        ('1 identity', '2 identities', '2 queries')
    """
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"
