"""What is hidden of a person, and where the person is."""

import numpy as np

from stgcn_pyg.data.synthetic.parts import BODY_PARTS


def is_body(parts: np.ndarray) -> np.ndarray:
    """(H, W) booleans: pixels that show a part of the body."""
    return (parts >= BODY_PARTS[0]) & (parts <= BODY_PARTS[-1])


def cells(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(rows, columns) share of each cell that a (H, W) mask fills."""
    height, width = mask.shape
    high, wide = height // rows, width // columns
    # Whole rows first: summed over both axes at once it takes five times as long.
    bands = mask.view(np.uint8).reshape(rows, high, width).sum(axis=1, dtype=np.uint16)
    return bands.reshape(rows, columns, wide).sum(axis=2) / (high * wide)


def measure(bare: np.ndarray, covered: np.ndarray) -> dict:
    """What is hidden, and where the person is.

    Args:
        bare: (H, W) parts before anything passed in front.
        covered: (H, W) parts as seen.

    Returns:
        `hidden` and `hidden_<part>`: shares of the pixels that would show, NaN where none would;
        `body_left`, `body_top`, `body_right`, `body_bottom`: the box of those pixels, the last two
        exclusive, 0 without any; `body_mask` and `seen_mask`: 16 x 8 bits of 16 bytes, row by row,
        set where at least a quarter of the cell shows the body bare and as seen.
    """
    before = np.bincount(bare.ravel(), minlength=9)
    after = np.bincount(covered.ravel(), minlength=9)
    parts = [int(part) for part in BODY_PARTS]
    whole = int(before[parts].sum())
    row: dict = {"hidden": 1 - int(after[parts].sum()) / whole if whole else float("nan")}
    for part in BODY_PARTS:
        share = 1 - after[part] / before[part] if before[part] else float("nan")
        row[f"hidden_{part.name.lower()}"] = float(share)
    body = is_body(bare)
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    row["body_left"], row["body_right"] = (columns[0], columns[-1] + 1) if whole else (0, 0)
    row["body_top"], row["body_bottom"] = (rows[0], rows[-1] + 1) if whole else (0, 0)
    for name, mask in (("body_mask", body), ("seen_mask", is_body(covered))):
        row[name] = np.packbits(cells(mask, 16, 8) >= 0.25).tobytes()
    return row
