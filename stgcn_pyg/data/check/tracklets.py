"""All tracklets of a data set side by side, which image is in which, and what pairs share."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from stgcn_pyg import JUNK
from stgcn_pyg.data.dataset import TrackletDataset, frames_of
from stgcn_pyg.data.label_files import Fault


class Tracklets:
    """The tracklets of a data set, each once, and the images that they use, each once.

    Attributes:
        table: A row a tracklet: the columns of the data set's tables, and ``split``, which is
            ``"train"``, ``"query"`` (not in the gallery as well) or ``"gallery"``.
        paths: The path of each image, P of them, all different.
        image: Which image each use is of, ``[U]``: the tracklets' frames end to end.
        owner: Which row of the table each use is in, ``[U]``.
        is_junk: Which rows are junk, which every evaluation leaves out.
        first_use: The first use of each image, ``[P]``, by a tracklet that is not junk if there
            is one; -1 where no tracklet has it.
    """

    def __init__(self, dataset: TrackletDataset):
        self.root = dataset.root
        query, gallery = dataset.query, dataset.gallery
        self.table = pd.concat(
            [
                dataset.train.assign(split="train"),
                query[~query.index.isin(gallery.index)].assign(split="query"),
                gallery.assign(split="gallery"),
            ]
        )
        codes, self.paths = pd.factorize(dataset.frames)
        self.owner, frames = frames_of(self.table)
        self.image = codes[frames]
        self.is_junk = (self.table["pid"] == JUNK).to_numpy()
        self._is_in_query = self.table["pid"].isin(query["pid"]).to_numpy()
        # Where an index repeats the last value stays, so the first use is set last.
        uses = np.argsort(self.is_junk[self.owner], kind="stable")[::-1]
        self.first_use = np.full(len(self.paths), -1)
        self.first_use[self.image[uses]] = uses

    def path(self, image: int) -> Path:
        """The path of an image."""
        return self.root / self.paths[image]

    def first_path(self, row: int) -> Path:
        """The path of a tracklet's first frame, by which it is named to a user."""
        return self.path(self.image[np.searchsorted(self.owner, row)])

    def label(self, row: int) -> str:
        """The labels of a tracklet in words."""
        pid, camid, split = (self.table[name].iat[row] for name in ("pid", "camid", "split"))
        return f"identity {pid}, camera {camid}, {split}"

    def sort_pairs(self, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, ...]:
        """Sorts pairs of tracklets that share an image, ``[N]`` rows of the table each.

        Returns:
            Four masks ``[N]``, of which one holds for each pair:

            - The labels contradict each other, so that a result is wrong: identity or camera
              differ, or one is for training and the other for test. Junk contradicts nothing,
              since it counts nowhere; nor do two tracklets of the gallery whose identities are in
              no query, since both are wrong answers to every query.
            - Both are one tracklet.
            - A query, and the same identity and camera in the gallery. Some data sets keep a copy
              of every query there; every protocol leaves it out.
            - Two tracklets share the image without harm.
        """
        pid, camid, split = (self.table[name].to_numpy() for name in ("pid", "camid", "split"))
        trains = split == "train"
        differ = np.any([values[one] != values[other] for values in (pid, camid, trains)], axis=0)
        matters = trains | self._is_in_query
        counts = ~self.is_junk
        wrong = differ & counts[one] & counts[other] & (matters[one] | matters[other])
        own = one == other
        copy = ~differ & ~trains[one] & (split[one] != split[other])
        return wrong, own, copy, ~(wrong | own | copy)

    def repeats(self, images: np.ndarray, owner: np.ndarray, kind: str) -> Iterator[Fault]:
        """A note for each tracklet, ``owner``, that holds an image more than once."""
        for row, repeated in pd.Series(images).groupby(owner):
            frames = self.table["num_frames"].iat[row]
            do = "does" if len(repeated) == 1 else "do"
            what = f"repeats an earlier frame of its tracklet ({len(repeated)} of {frames} {do})"
            yield Fault(str(self.path(repeated.iat[0])), what, kind)

    def overlaps(self, one: np.ndarray, other: np.ndarray, kind: str) -> Iterator[Fault]:
        """A note for each pair of tracklets, rows of the table, that share images."""
        pairs = pd.DataFrame({"first": np.minimum(one, other), "second": np.maximum(one, other)})
        for (first, second), rows in pairs.groupby(["first", "second"]):
            what = (
                f"{len(rows)} of its tracklet's {self.table['num_frames'].iat[first]} frames are "
                f"also in the tracklet that begins with {self.first_path(second)} "
                f"({self.label(second)})"
            )
            yield Fault(str(self.first_path(first)), what, kind)
