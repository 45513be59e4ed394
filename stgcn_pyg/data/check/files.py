"""What the names of the files tell: numbers left out, pictures that nothing uses."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from stgcn_pyg.data.check.tracklets import Tracklets
from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.faults import Fault, looks_like_a_picture

LISTED = {"mars": ("bbox_train", "bbox_test")}
"""Folders whose pictures the labels list one and all, in data sets that have such."""


def gaps(tracklets: Tracklets) -> Iterator[Fault]:
    """Tracklets whose frames' names count one by one and leave out a number."""
    digits = pd.Series(tracklets.paths).str.extract(r"(\d{1,15})\.\w+$", expand=False)
    number = pd.to_numeric(digits).to_numpy(dtype=float)[tracklets.picture]
    step, owner = np.diff(number), tracklets.owner[1:]
    inside = owner == tracklets.owner[:-1]
    by_one, others = (
        np.bincount(owner[inside & steps], minlength=len(tracklets.table))
        for steps in (step == 1, ~(step >= 1))
    )
    in_a_row = (by_one * 2 >= tracklets.table["num_frames"].to_numpy() - 1) & (others == 0)
    skips = np.flatnonzero(inside & (step > 1) & in_a_row[owner])
    for _, firsts in pd.Series(skips).groupby(owner[skips]):
        left_out = int((step[firsts] - 1).sum())
        path = tracklets.path(tracklets.picture[firsts.iat[0] + 1])
        numbers = "a number is" if left_out == 1 else f"{left_out} numbers are"
        what = f"{numbers} left out of its tracklet, the first before this frame"
        yield Fault(str(path), what, "gap")


def unused(dataset: TrackletDataset, tracklets: Tracklets, known: set[str]) -> Iterator[Fault]:
    """Pictures that are in no tracklet: on disk where others are, or in the labels alone.

    Args:
        dataset: Where it lies.
        tracklets: What it uses.
        known: Paths that are faults already.
    """
    for picture in np.flatnonzero(tracklets.first_use < 0).tolist():
        yield Fault(str(tracklets.path(picture)), "in the labels, but in no tracklet", "unused")
    named = set(tracklets.paths)
    found = (path for path in _pictures_on_disk(dataset, named) if path not in named)
    for path in sorted(str(dataset.root / path) for path in found):
        if path not in known:
            yield Fault(path, "on disk, but in no tracklet", "unused")


def _pictures_on_disk(dataset: TrackletDataset, named: set[str]) -> Iterator[str]:
    """The pictures in the folders of the tracklets and above, relative to the root as the frames.

    The root itself is looked into only if it holds frames: what else lies there is nobody's.
    """
    holders = {Path(folder) for folder in {path.rpartition("/")[0] for path in named}}
    above = {folder for holder in holders for folder in holder.parents} - {Path()}
    folders = {dataset.root / folder for folder in holders | above}
    for top in LISTED.get(dataset.name, ()):
        folders.update(Path(folder) for folder, *_ in os.walk(dataset.root / top))
    for folder in folders:
        if folder.is_dir():
            names = filter(looks_like_a_picture, os.listdir(folder))
            yield from ((folder.relative_to(dataset.root) / name).as_posix() for name in names)
