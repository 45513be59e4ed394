"""What the labels and the names of the files tell, before an image is read."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from stgcn_pyg import JUNK
from stgcn_pyg.data.check.tracklets import Tracklets
from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.label_files import Fault, has_image_suffix

LISTED = {"mars": ("bbox_train", "bbox_test")}
"""Folders whose images are all in the labels, in data sets that have such folders."""


def count(dataset: TrackletDataset) -> pd.DataFrame:
    """Identities, cameras, tracklets and frames of each split; junk and distractors count too."""
    tables = dataset.tables() if dataset.labelled else {"no identities": dataset.gallery}
    return pd.DataFrame(
        {
            split: {
                "people": table["pid"].nunique() if dataset.labelled else 0,
                "cameras": table["camid"].nunique(),
                "tracklets": len(table),
                "frames": int(table["num_frames"].sum()),
                "shortest": int(table["num_frames"].min()),
                "median": int(table["num_frames"].median()),
                "longest": int(table["num_frames"].max()),
            }
            for split, table in tables.items()
        }
    ).T


def named_twice(tracklets: Tracklets) -> Iterator[Fault]:
    """Images that two tracklets have, or one has twice.

    A fault for each image whose two labels contradict each other, else a note for the tracklets.
    """
    first_use = tracklets.first_use[tracklets.image]
    again = np.flatnonzero(first_use != np.arange(len(first_use)))
    image = tracklets.image[again]
    owner, owner_of_first = tracklets.owner[again], tracklets.owner[first_use[again]]
    wrong, own, _, shared = tracklets.sort_pairs(owner, owner_of_first)
    for i in np.flatnonzero(wrong):
        here, there = (
            f"{tracklets.label(row)} (the tracklet that begins with {tracklets.first_path(row)})"
            for row in (owner_of_first[i], owner[i])
        )
        what = f"is in two tracklets: {here} and {there}"
        yield Fault(str(tracklets.path(image[i])), what, "named twice")
    yield from tracklets.repeats(image[own], owner[own], "listed twice")
    yield from tracklets.overlaps(owner[shared], owner_of_first[shared], "listed twice")


def too_short(tracklets: Tracklets, min_frames: int) -> Iterator[Fault]:
    """Tracklets with fewer frames than ``min_frames``."""
    for row in np.flatnonzero(tracklets.table["num_frames"] < min_frames).tolist():
        frames = tracklets.table["num_frames"].iat[row]
        plural = "s" if frames > 1 else ""
        what = f"its tracklet has {frames} frame{plural}, fewer than {min_frames}"
        yield Fault(str(tracklets.first_path(row)), what, "too short")


def in_train_and_test(tracklets: Tracklets) -> Iterator[Fault]:
    """Identities that are in train and in the query or the gallery."""
    table = tracklets.table
    for_training = (table["split"] == "train").to_numpy()
    both = np.intersect1d(table["pid"][for_training], table["pid"][~for_training])
    for pid in both:
        rows = (table["pid"] == pid).to_numpy()
        one, other = (int(np.argmax(rows & part)) for part in (~for_training, for_training))
        what = f"identity {pid} is at test here, and in train as {tracklets.first_path(other)}"
        yield Fault(str(tracklets.first_path(one)), what, "in train and test")


def without_match(dataset: TrackletDataset) -> Iterator[Fault]:
    """Queries whose identity is in no other camera of the gallery.

    Notes, for the evaluation leaves them out and counts them; one fault if all are such. None
    where no identity is known.
    """
    if not dataset.labelled:
        return
    gallery = dataset.gallery[dataset.gallery["pid"] != JUNK]
    cameras = gallery.groupby("pid")["camid"].agg(set).to_dict()
    labels = dataset.query[["pid", "camid"]].to_numpy()
    alone = [row for row, (p, c) in enumerate(labels) if not cameras.get(p, set()) - {c}]
    paths = [str(dataset.paths(dataset.query.iloc[row], [0])[0]) for row in alone]
    if len(alone) == len(labels):
        what = f"no query has a match: this one has none, nor have the {len(labels) - 1} others"
        yield Fault(paths[0], what, "no match")
        return
    for path, (pid, camid) in zip(paths, labels[alone], strict=True):
        what = f"the gallery has its identity, {pid}, in no camera but its own, {camid}"
        yield Fault(path, what, "query without a match")


def in_one_camera(dataset: TrackletDataset) -> Iterator[Fault]:
    """Identities in train, or in the gallery alone, that are in one camera only.

    Junk and distractors, whose pid is not positive, are no identities.
    """
    gallery = dataset.gallery
    gallery = gallery[(gallery["pid"] > 0) & ~gallery["pid"].isin(dataset.query["pid"])]
    for where, table in (("in train", dataset.train), ("in the gallery", gallery)):
        for pid, rows in table.groupby("pid"):
            if rows["camid"].nunique() == 1:
                what = f"identity {pid} is in camera {rows['camid'].iat[0]} only, {where}"
                yield Fault(str(dataset.paths(rows.iloc[0], [0])[0]), what, "one camera")


def gaps(tracklets: Tracklets) -> Iterator[Fault]:
    """Tracklets whose frames' names count one by one and leave out a number."""
    digits = pd.Series(tracklets.paths).str.extract(r"(\d{1,15})\.\w+$", expand=False)
    number = pd.to_numeric(digits).to_numpy(dtype=float)[tracklets.image]
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
        path = tracklets.path(tracklets.image[firsts.iat[0] + 1])
        numbers = "a number is" if left_out == 1 else f"{left_out} numbers are"
        what = f"{numbers} left out of its tracklet, the first before this frame"
        yield Fault(str(path), what, "gap")


def unused(dataset: TrackletDataset, tracklets: Tracklets, known: set[str]) -> Iterator[Fault]:
    """Images that are in no tracklet: on disk where others are, or in the labels alone.

    Paths in ``known`` are faults already and are not reported again.
    """
    for image in np.flatnonzero(tracklets.first_use < 0).tolist():
        yield Fault(str(tracklets.path(image)), "in the labels, but in no tracklet", "unused")
    named = set(tracklets.paths)
    found = (path for path in _images_on_disk(dataset, named) if path not in named)
    for path in sorted(str(dataset.root / path) for path in found):
        if path not in known:
            yield Fault(path, "on disk, but in no tracklet", "unused")


def _images_on_disk(dataset: TrackletDataset, named: set[str]) -> Iterator[str]:
    """The images in the folders of the tracklets and above, relative to the root as the frames.

    The root itself counts only if it holds frames: what else lies there may be anything.
    """
    holders = {Path(folder) for folder in {path.rpartition("/")[0] for path in named}}
    above = {folder for holder in holders for folder in holder.parents} - {Path()}
    folders = {dataset.root / folder for folder in holders | above}
    for top in LISTED.get(dataset.name, ()):
        folders.update(Path(folder) for folder, *_ in os.walk(dataset.root / top))
    for folder in folders:
        if folder.is_dir():
            names = filter(has_image_suffix, os.listdir(folder))
            yield from ((folder.relative_to(dataset.root) / name).as_posix() for name in names)
