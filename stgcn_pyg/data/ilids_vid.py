"""iLIDS-VID (Wang et al., ECCV 2014): 300 identities in 2 cameras, a tracklet in each.

i-LIDS-VID/sequences/cam1/person001/cam1_person001_00317.png    camera, identity, frame
train-test people splits/train_test_splits_ilidsvid.mat         its makers' ten splits
"""

import re
from pathlib import Path

import numpy as np

from stgcn_pyg.data.cross_camera import (
    cross_camera_dataset,
    find_beside,
    half_of,
    holder_of,
    read_pairs,
    require_split,
)
from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.label_files import Report, folders_in, read_mat_numbers, stop_at
from stgcn_pyg.errors import UserError

PERSON = re.compile(r"person(\d{3})", re.ASCII)
NAME = re.compile(r"cam(?P<camid>\d)_person(?P<pid>\d{3})_(?P<frame>\d+)\.png", re.ASCII)
EXAMPLE = "cam1_person001_00317.png"
SPLITS = Path("train-test people splits", "train_test_splits_ilidsvid.mat")


def load_ilids_vid(root: Path, split: int = 0, report: Report = stop_at) -> TrackletDataset:
    """Reads iLIDS-VID; half of the identities are for training.

    Its makers' file of splits is used if it lies beside ``i-LIDS-VID`` or in it. Row ``split`` of
    its ``ls_set`` numbers the identities, from 1, in the order of their folders; the first half of
    the row is for test and the second for training, as torchreid reads it after the makers.
    Without the file, ``split`` is the seed by which the half for training is drawn.

    At test each tracklet is a query once, against the tracklets of the other camera. Other work
    takes camera 1 as queries and camera 2 as gallery; here both directions count.

    Args:
        root: The folder that holds ``sequences``, or the one that holds ``i-LIDS-VID``.
        split: The row of the file of splits, from 0, or the seed.
        report: Called with each file and folder that is passed over.

    Raises:
        UserError: There is no such folder or split, or there are too few identities.
    """
    holder = holder_of(root, "sequences", "i-LIDS-VID")
    folders = {
        (int(folder.name[-3:]), camid): folder
        for camid in (1, 2)
        for folder in folders_in(holder / "sequences" / f"cam{camid}", PERSON, "person001", report)
    }
    pids = np.unique([pid for pid, _ in folders])
    file = find_beside(holder, SPLITS)
    training = half_of(pids, split) if file is None else _read_split(file, split, pids)
    tracklets = read_pairs(folders, NAME, EXAMPLE, report)
    return cross_camera_dataset("ilids-vid", holder, tracklets, training)


def _read_split(path: Path, split: int, pids: np.ndarray) -> np.ndarray:
    """The identities for training in one of the makers' splits."""
    numbers = read_mat_numbers(path, ("ls_set",))  # [splits, identities]
    everyone = np.arange(1, len(pids) + 1)
    if any(not np.array_equal(np.sort(row), everyone) for row in numbers):
        raise UserError(
            f"{path}: a row of ls_set does not number the {len(pids)} people that are here: "
            "restore those that are missing, or move the file away"
        )
    require_split(path, split, len(numbers))
    return pids[numbers[split, len(pids) // 2 :] - 1]
