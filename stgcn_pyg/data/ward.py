"""WARD (Martinel and Micheloni, CVPRW 2012): 70 people in 3 cameras, in one folder.

000100020003.jpg   person 1, camera 2, frame 3
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.errors import UserError

NAME = re.compile(r"(\d{4})(\d{4})(\d{4})\.jpg", re.ASCII)


def load_ward(root: Path, split: int = 0) -> TrackletDataset:
    """Reads WARD; half of the people, drawn by the seed ``split``, are for training.

    At test each tracklet is a query once, against the tracklets of the other cameras.

    Args:
        root: The folder that holds the pictures. What is named otherwise is passed over.
        split: The seed of the halves.

    Raises:
        UserError: The folder holds no pictures of such names, or too few people.
    """
    names = sorted(path.name for path in root.iterdir() if NAME.fullmatch(path.name))
    if not names:
        raise UserError(f"{root}: no pictures named like 000100020003.jpg; pass WARD's folder")
    labels = [tuple(map(int, NAME.fullmatch(name).groups())) for name in names]  # type: ignore[union-attr]
    frames = pd.DataFrame(labels, columns=["pid", "camid", "frame"])
    frames["first_frame"] = np.arange(len(frames))
    tracklets = (
        frames.groupby(["pid", "camid"], sort=True)
        .agg(first_frame=("first_frame", "min"), num_frames=("frame", "size"))
        .reset_index()
    )
    people = tracklets["pid"].unique()
    if len(people) < 4:
        raise UserError(f"{root}: {len(people)} people are too few to train and test on")
    shuffled = np.random.default_rng([split]).permutation(people)
    for_training = tracklets["pid"].isin(shuffled[: len(people) // 2])
    test = tracklets[~for_training]
    return TrackletDataset(
        name="ward",
        root=root,
        train=tracklets[for_training],
        query=test,
        gallery=test,
        frames=pd.Series(names),
        protocols=("cross-camera",),
    )
