"""What the tables tell before a picture is read."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from stgcn_pyg.data.check.shared import in_two_tracklets, within_one_tracklet
from stgcn_pyg.data.check.tracklets import JUNK, Tracklets
from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.faults import Fault


def count(dataset: TrackletDataset) -> pd.DataFrame:
    """People, cameras, tracklets and frames of each split; junk and distractors are people too."""
    return pd.DataFrame(
        {
            split: {
                "people": table["pid"].nunique(),
                "cameras": table["camid"].nunique(),
                "tracklets": len(table),
                "frames": int(table["num_frames"].sum()),
                "shortest": int(table["num_frames"].min()),
                "median": int(table["num_frames"].median()),
                "longest": int(table["num_frames"].max()),
            }
            for split, table in dataset.tables().items()
        }
    ).T


def named_twice(tracklets: Tracklets) -> Iterator[Fault]:
    """Pictures that two tracklets have, or one has twice.

    A fault for each picture whose two labels contradict each other, else a note for the tracklets.
    """
    first_use = tracklets.first_use[tracklets.picture]
    again = np.flatnonzero(first_use != np.arange(len(first_use)))
    picture = tracklets.picture[again]
    owner, owner_of_first = tracklets.owner[again], tracklets.owner[first_use[again]]
    wrong = tracklets.contradict(owner, owner_of_first)
    own = owner == owner_of_first
    shared = ~(wrong | own | tracklets.is_query_in_gallery(owner, owner_of_first))
    for i in np.flatnonzero(wrong):
        here, there = (
            f"{tracklets.label(row)} (the tracklet that begins with {tracklets.first_path(row)})"
            for row in (owner_of_first[i], owner[i])
        )
        what = f"is in two tracklets: {here} and {there}"
        yield Fault(str(tracklets.path(picture[i])), what, "named twice")
    yield from within_one_tracklet(tracklets, picture[own], owner[own], "listed twice")
    yield from in_two_tracklets(tracklets, owner[shared], owner_of_first[shared], "listed twice")


def too_short(tracklets: Tracklets, min_frames: int) -> Iterator[Fault]:
    """Tracklets with fewer frames than ``min_frames``."""
    for row in np.flatnonzero(tracklets.table["num_frames"] < min_frames).tolist():
        frames = tracklets.table["num_frames"].iat[row]
        what = (
            f"its tracklet has {frames} frame{'s' if frames > 1 else ''}, fewer than {min_frames}"
        )
        yield Fault(str(tracklets.first_path(row)), what, "too short")


def in_train_and_test(tracklets: Tracklets) -> Iterator[Fault]:
    """People to train on who are also searched for or among."""
    table = tracklets.table
    for_training = (table["split"] == "train").to_numpy()
    both = np.intersect1d(table["pid"][for_training], table["pid"][~for_training])
    for pid in both:
        rows = (table["pid"] == pid).to_numpy()
        one, other = (int(np.argmax(rows & part)) for part in (~for_training, for_training))
        what = f"person {pid} is at test here, and in train as {tracklets.first_path(other)}"
        yield Fault(str(tracklets.first_path(one)), what, "in train and test")


def without_match(dataset: TrackletDataset) -> Iterator[Fault]:
    """Queries of people whom no other camera of the gallery shows.

    Notes, for the evaluation leaves them out and counts them; one fault if all are such.
    """
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
        what = f"the gallery has its person, {pid}, in no camera but its own, {camid}"
        yield Fault(path, what, "query without a match")


def in_one_camera(dataset: TrackletDataset) -> Iterator[Fault]:
    """People to train on, or in the gallery alone, whom one camera shows.

    The gallery's junk and distractors, whose number is not positive, are nobody in particular.
    """
    gallery = dataset.gallery
    searched_for = gallery["pid"].isin(dataset.query["pid"])
    gallery = gallery[(gallery["pid"] > 0) & ~searched_for]
    for where, table in (("in train", dataset.train), ("in the gallery", gallery)):
        for pid, rows in table.groupby("pid"):
            if rows["camid"].nunique() == 1:
                what = f"person {pid} is in camera {rows['camid'].iat[0]} only, {where}"
                yield Fault(str(dataset.paths(rows.iloc[0], [0])[0]), what, "one camera")
