"""What is occluded of a person, and where the person is."""

from functools import lru_cache

import numpy as np

from stgcn_pyg.synthetic.exact import DECIMALS
from stgcn_pyg.synthetic.parts import BODY_PARTS

MASK_SHAPE = 16, 8
"""Rows and columns of the masks `body_mask` and `seen_mask` in the ground truth."""


def is_body(parts: np.ndarray) -> np.ndarray:
    """(H, W) booleans: pixels that show a part of the body."""
    return parts - np.uint8(BODY_PARTS[0]) < len(BODY_PARTS)  # 0 wraps around to 255


def cells(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(rows, columns) share of each cell of a grid that a (H, W) mask fills."""
    first_row, first_column, area = _grid(*mask.shape, rows, columns)
    bands = np.add.reduceat(mask.view(np.uint8), first_row, axis=0, dtype=np.uint16)
    return np.add.reduceat(bands, first_column, axis=1) / area


@lru_cache
def _grid(
    height: int, width: int, rows: int, columns: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the cells begin, and how many pixels each has."""
    row_ends = np.arange(rows + 1) * height // rows
    column_ends = np.arange(columns + 1) * width // columns
    area = np.outer(np.diff(row_ends), np.diff(column_ends))
    return row_ends[:-1], column_ends[:-1], area


def measure(bare: np.ndarray, seen: np.ndarray, height: int, width: int) -> dict:
    """What is occluded, and where the person is.

    Args:
        bare: (h, w) parts on the sensor before anything passed in front.
        seen: (h, w) parts as seen.
        height: Rows of the image.
        width: Columns of the image.

    Returns:
        `hidden` and `hidden_<part>`: shares of the pixels that would show, NaN where none would;
        `body_left`, `body_top`, `body_right`, `body_bottom`: the box of those pixels in the
        image, the last two exclusive, 0 without any; `body_mask` and `seen_mask`: 16 x 8 bits of
        16 bytes, row by row, set where at least a quarter of the cell shows the body bare and as
        seen.
    """
    before = np.bincount(bare.ravel(), minlength=9).tolist()
    after = np.bincount(seen.ravel(), minlength=9).tolist()
    parts = [int(part) for part in BODY_PARTS]
    row: dict = {"hidden": _share_lost(sum(before[p] for p in parts), sum(after[p] for p in parts))}
    for part in BODY_PARTS:
        row[f"hidden_{part.name.lower()}"] = _share_lost(before[part], after[part])
    body = is_body(bare)
    for first, last, axis, size in (("left", "right", 0, width), ("top", "bottom", 1, height)):
        hit = np.flatnonzero(body.any(axis=axis))
        pixels = body.shape[1 - axis]
        ends = (int(hit[0]), int(hit[-1]) + 1) if len(hit) else (0, 0)
        row[f"body_{first}"] = ends[0] * size // pixels
        row[f"body_{last}"] = -(-ends[1] * size // pixels)
    for name, mask in (("body_mask", body), ("seen_mask", is_body(seen))):
        row[name] = np.packbits(cells(mask, *MASK_SHAPE) >= 0.25).tobytes()
    return row


def _share_lost(before: int, after: int) -> float:
    return round(1 - after / before, DECIMALS) if before else float("nan")
