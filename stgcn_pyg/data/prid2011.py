"""PRID 2011 (Hirzer et al., SCIA 2011), its multi-shot part: 2 cameras.

prid_2011/multi_shot/cam_a/person_0001/0001.png   camera, person, frame

People 1 to 200 are in both cameras. From 201 on a number is one person in camera a and another,
who is not the same, in camera b.
"""

import re
from pathlib import Path

import numpy as np

from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.faults import Report, stop_at
from stgcn_pyg.data.folders import folders_in
from stgcn_pyg.data.two_cameras import cross_camera_dataset, half_of, holder_of, read_pairs

PERSON = re.compile(r"person_(\d{4})", re.ASCII)
NAME = re.compile(r"(?P<frame>\d+)\.png", re.ASCII)
IN_BOTH_CAMERAS = 200
MIN_FRAMES = 27


def load_prid2011(root: Path, split: int = 0, report: Report = stop_at) -> TrackletDataset:
    """Reads PRID 2011; half of the people, drawn by the seed ``split``, are for training.

    Of the people in both cameras, those with at least 27 frames in each are taken, 178 of 200, as
    in the splits that others use; which half of them is for training differs from theirs.

    At test each tracklet is a query once, against the tracklets of the other camera. Elsewhere
    camera a alone is searched for, in camera b: here both directions count.

    Args:
        root: The folder that holds ``multi_shot``, or the one that holds ``prid_2011``.
        split: The seed.
        report: Is called with each file and folder that is passed over.

    Raises:
        UserError: There is no such folder, or there are too few people.
    """
    holder = holder_of(root, "multi_shot", "prid_2011")
    folders = {
        (int(folder.name[-4:]), camid): folder
        for camid, camera in ((1, "cam_a"), (2, "cam_b"))
        for folder in folders_in(holder / "multi_shot" / camera, PERSON, "person_0001", report)
        if int(folder.name[-4:]) <= IN_BOTH_CAMERAS
    }
    tracklets = read_pairs(folders, NAME, "0001.png", report, MIN_FRAMES)
    training = half_of(np.unique([pid for pid, *_ in tracklets]), split)
    return cross_camera_dataset("prid2011", holder, tracklets, training)
