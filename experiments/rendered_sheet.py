"""A contact sheet of the rendered benchmark.

    python -m experiments rendered_sheet data/v1 docs/benchmark.jpg

From top to bottom: the four identities of a look-alike group, two images of each; one tracklet as
it is occluded and uncovered; one identity in each of the cameras; junk.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from jsonargparse import auto_cli
from PIL import Image

from stgcn_pyg.files import write_output

COLUMNS, HEIGHT, WIDTH, GAP = 8, 256, 128, 4


def look_alikes(truth: pd.DataFrame) -> list[str]:
    """Two images of each identity of the first group of four, hardly occluded."""
    groups = truth[truth.pid > 0].groupby("group").pid.unique()
    pids = next(pids for pids in groups if len(pids) == 4)
    paths = []
    for pid in pids:
        shown = truth[(truth.pid == pid) & (truth.hidden < 0.05)]
        paths += shown.path.iloc[[0, len(shown) // 2]].tolist()
    return paths


def one_tracklet(truth: pd.DataFrame) -> list[str]:
    """Eight moments of the tracklet whose occluded share varies most."""
    tracklets = truth[truth.pid > 0].groupby(["pid", "camid", "tracklet"])
    chosen = tracklets.get_group(tracklets.hidden.std().idxmax())
    return chosen.path.iloc[np.linspace(0, len(chosen) - 1, COLUMNS).round()].tolist()


def cameras(truth: pd.DataFrame) -> list[str]:
    """The least occluded images of one identity in each camera."""
    seen = truth[truth.pid > 0].groupby("pid").camid.nunique()
    pid = seen[seen == seen.max()].index[-1]
    mine = truth[truth.pid == pid].sort_values("hidden", kind="stable")
    mine = mine.groupby(["camid", "tracklet"], sort=True).head(1).sort_values("path")
    return mine.path.head(COLUMNS).tolist()


def junk(truth: pd.DataFrame) -> list[str]:
    """Bad boxes: people cut in two, far too small or large, and nobody."""
    bad = truth[truth.pid == -1].groupby(["fault", "camid", "tracklet"], sort=True).head(1)
    return bad.groupby("fault").head(3).sort_values("fault").path.head(COLUMNS).tolist()


def main(root: Path, output: Path) -> None:
    """Writes the sheet.

    Args:
        root: The folder of a rendered data set.
        output: The image to write, a JPEG.
    """
    truth = pd.read_parquet(root / "ground_truth.parquet")
    truth = truth[truth.split == "test"]
    rows = [look_alikes(truth), one_tracklet(truth), cameras(truth), junk(truth)]
    size = (COLUMNS * (WIDTH + GAP) - GAP, len(rows) * (HEIGHT + GAP) - GAP)
    sheet = Image.new("RGB", size, "white")
    for row, paths in enumerate(rows):
        for column, path in enumerate(paths):
            with Image.open(root / path) as image:
                sheet.paste(image, (column * (WIDTH + GAP), row * (HEIGHT + GAP)))
    encoded = BytesIO()
    sheet.save(encoded, "JPEG", quality=85)
    write_output(output, encoded.getvalue())


if __name__ == "__main__":
    auto_cli(main)
