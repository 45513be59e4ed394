"""WARD (Martinel and Micheloni, CVPRW 2012): 70 identities in 3 cameras, in one folder.

000100020003.jpg   identity 1, camera 2, frame 3
"""

import os
import re
from itertools import groupby
from pathlib import Path

import numpy as np

from stgcn_pyg.data.cross_camera import cross_camera_dataset, half_of
from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.errors import UserError

NAME = re.compile(r"\d{12}\.jpg", re.ASCII)


def load_ward(root: Path, split: int = 0) -> TrackletDataset:
    """Reads WARD; half of the identities, drawn by the seed ``split``, are for training.

    At test each tracklet is a query once, against the tracklets of the other cameras.

    Args:
        root: The folder that holds the images. Files of other names are passed over.
        split: The seed of the halves.

    Raises:
        UserError: The folder holds no images of such names, or too few identities.
    """
    names = sorted(filter(NAME.fullmatch, os.listdir(root)))
    if not names:
        raise UserError(f"{root}: no images named like 000100020003.jpg; pass WARD's folder")
    tracklets = [
        (int(labels[:4]), int(labels[4:]), [root / name for name in frames])
        for labels, frames in groupby(names, key=lambda name: name[:8])
    ]
    training = half_of(np.unique([pid for pid, *_ in tracklets]), split)
    return cross_camera_dataset("ward", root, tracklets, training)
