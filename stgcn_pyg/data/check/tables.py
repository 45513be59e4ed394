"""What the tables tell before a picture is read."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from stgcn_pyg.data.check.tracklets import Tracklets
from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.faults import Fault

JUNK = -1


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
    """Pictures that two tracklets have, or one has twice."""
    first_use = tracklets.first_use[tracklets.picture]
    again = first_use != np.arange(len(first_use))
    again &= ~tracklets.is_query_in_gallery(tracklets.owner, tracklets.owner[first_use])
    for use in np.flatnonzero(again):
        first, second = tracklets.owner[first_use[use]], tracklets.owner[use]
        if first == second:
            what = f"twice in one tracklet, of {tracklets.title(first)}"
        else:
            what = f"in two tracklets, of {tracklets.title(first)} and of {tracklets.title(second)}"
        yield Fault(str(tracklets.path(tracklets.picture[use])), what, "named twice")


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
    """Queries of people whom no other camera of the gallery shows."""
    gallery = dataset.gallery[dataset.gallery["pid"] != JUNK]
    cameras = gallery.groupby("pid")["camid"].agg(set).to_dict()
    for row, (pid, camid) in enumerate(dataset.query[["pid", "camid"]].to_numpy()):
        if not cameras.get(pid, set()) - {camid}:
            path = dataset.paths(dataset.query.iloc[row], [0])[0]
            what = f"the gallery has its person, {pid}, in no camera but its own, {camid}"
            yield Fault(str(path), what, "no match")


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
