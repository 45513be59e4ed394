"""All tracklets of a data set side by side, and which picture is in which of them."""

from pathlib import Path

import numpy as np
import pandas as pd

from stgcn_pyg.data.dataset import TrackletDataset

JUNK = -1


class Tracklets:
    """The tracklets of a data set, each once, and the pictures that they use, each once.

    Args:
        dataset: Its tables.

    Attributes:
        table: A row a tracklet: the columns of the data set's tables, and ``split``, which is
            ``"train"``, ``"query"`` (not in the gallery as well) or ``"gallery"``.
        paths: The path of each picture, P of them, all different.
        picture: Which picture each use is of, ``[U]``: the tracklets' frames end to end.
        owner: Which row of the table each use is in, ``[U]``.
        is_junk: Which rows are junk, which every evaluation leaves out.
        is_searched_for: Which rows are of an identity that a query searches for.
        first_use: The first use of each picture, ``[P]``, by a tracklet that is not junk if there
            is one; -1 where no tracklet has it.
    """

    def __init__(self, dataset: TrackletDataset):
        self.root = dataset.root
        self.table = _every_tracklet_once(dataset)
        codes, self.paths = pd.factorize(dataset.frames)
        length = self.table["num_frames"].to_numpy()
        begins = np.cumsum(length) - length
        self.owner = np.repeat(np.arange(len(length)), length)
        offset = np.arange(length.sum()) - begins[self.owner]
        self.picture = codes[self.table["first_frame"].to_numpy()[self.owner] + offset]
        self.is_junk = (self.table["pid"] == JUNK).to_numpy()
        self.is_searched_for = self.table["pid"].isin(dataset.query["pid"]).to_numpy()
        # Where an index repeats the last value stays, so the first use is set last.
        uses = np.argsort(self.is_junk[self.owner], kind="stable")[::-1]
        self.first_use = np.full(len(self.paths), -1)
        self.first_use[self.picture[uses]] = uses

    def path(self, picture: int) -> Path:
        """Of a picture."""
        return self.root / self.paths[picture]

    def first_path(self, row: int) -> Path:
        """Of the first frame of a tracklet, which is how a tracklet is named to a user."""
        return self.path(self.picture[np.searchsorted(self.owner, row)])

    def label(self, row: int) -> str:
        """The labels of a tracklet in words."""
        pid, camid, split = (self.table[name].iat[row] for name in ("pid", "camid", "split"))
        return f"identity {pid}, camera {camid}, {split}"

    def contradict(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Which pairs of rows cannot both be right about one picture, so that a result is wrong.

        They are so if identity or camera differ, or if one is for training and the other for test.
        Junk contradicts nothing, since it counts nowhere; nor do two tracklets of the gallery whose
        identities no query searches for, since both are wrong answers to every query.

        Args:
            one: Rows of the table, ``[N]``.
            other: As many rows again.
        """
        pid, camid = (self.table[name].to_numpy() for name in ("pid", "camid"))
        trains = (self.table["split"] == "train").to_numpy()
        differ = np.any([values[one] != values[other] for values in (pid, camid, trains)], axis=0)
        matters = trains | self.is_searched_for
        counts = ~self.is_junk
        return differ & counts[one] & counts[other] & (matters[one] | matters[other])

    def is_query_in_gallery(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Which pairs of rows are a query and the same person and camera in the gallery.

        Some data sets keep a copy of every query in the gallery; every protocol leaves it out.
        """
        split, pid, camid = (self.table[name].to_numpy() for name in ("split", "pid", "camid"))
        at_test = (split[one] != "train") & (split[other] != "train")
        same = (pid[one] == pid[other]) & (camid[one] == camid[other])
        return at_test & same & (split[one] != split[other])


def _every_tracklet_once(dataset: TrackletDataset) -> pd.DataFrame:
    only_query = dataset.query[~dataset.query.index.isin(dataset.gallery.index)]
    return pd.concat(
        [
            dataset.train.assign(split="train"),
            only_query.assign(split="query"),
            dataset.gallery.assign(split="gallery"),
        ]
    )
