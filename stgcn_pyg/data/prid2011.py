"""PRID 2011 (Hirzer et al., SCIA 2011), its multi-shot part: 2 cameras.

prid_2011/multi_shot/cam_a/person_0001/0001.png   camera, identity, frame
splits_prid2011.json                              the ten published splits

Identities 1 to 200 are in both cameras. From 201 on, the same number in camera a and in camera b
means two different people.
"""

import json
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
from stgcn_pyg.data.label_files import Report, folders_in, stop_at
from stgcn_pyg.errors import UserError

PERSON = re.compile(r"person_(\d{4})", re.ASCII)
NAME = re.compile(r"(?P<frame>\d+)\.png", re.ASCII)
SPLITS = "splits_prid2011.json"
IN_BOTH_CAMERAS = 200
MIN_FRAMES = 27


def load_prid2011(root: Path, split: int = 0, report: Report = stop_at) -> TrackletDataset:
    """Reads PRID 2011; half of the identities are for training.

    The file of the ten published splits, ``splits_prid2011.json``, is used if it lies in
    ``prid_2011`` or beside it. It names the identities of each half, 178 in all. Without it, those
    with at least 27 frames in each camera are taken, and ``split`` is the seed by which the half
    for training is drawn.

    At test each tracklet is a query once, against the tracklets of the other camera. Other work
    takes camera a as queries and camera b as gallery; here both directions count.

    Args:
        root: The folder that holds ``multi_shot``, or the one that holds ``prid_2011``.
        split: The place in the file of splits, from 0, or the seed.
        report: Called with each file and folder that is passed over.

    Raises:
        UserError: There is no such folder or split, the file of splits is damaged or names
            identities that are not here, or there are too few identities.
    """
    holder = holder_of(root, "multi_shot", "prid_2011")
    folders = {
        (int(folder.name[-4:]), camid): folder
        for camid, camera in ((1, "cam_a"), (2, "cam_b"))
        for folder in folders_in(holder / "multi_shot" / camera, PERSON, "person_0001", report)
        if int(folder.name[-4:]) <= IN_BOTH_CAMERAS
    }
    file = find_beside(holder, SPLITS)
    if file is None:
        tracklets = read_pairs(folders, NAME, "0001.png", report, MIN_FRAMES)
        training = half_of(np.unique([pid for pid, *_ in tracklets]), split)
    else:
        in_both = {pid for pid, _ in folders if {(pid, 1), (pid, 2)} <= folders.keys()}
        for_training, for_test = _read_split(file, split, in_both)
        named = {
            key: folder for key, folder in folders.items() if key[0] in for_training | for_test
        }
        tracklets = read_pairs(named, NAME, "0001.png", report)
        training = np.array(sorted(for_training))
    return cross_camera_dataset("prid2011", holder, tracklets, training)


def _read_split(path: Path, split: int, in_both: set[int]) -> tuple[set[int], set[int]]:
    """The identities for training and for test in one of the published splits."""
    try:
        splits = json.loads(path.read_text())
        people = [[_numbers(each["train"]), _numbers(each["test"])] for each in splits]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path}: no list of splits with the names of people, such as person_0001, under train "
            "and test: put back the published file, or move it away"
        ) from error
    require_split(path, split, len(people))
    for_training, for_test = people[split]
    if twice := for_training & for_test:
        raise UserError(
            f"{path}: split {split} has person_{min(twice):04d} in both train and test: put back "
            "the published file, or move it away"
        )
    if absent := (for_training | for_test) - in_both:
        raise UserError(
            f"{path}: split {split} names person_{min(absent):04d}, who is not in both cameras: "
            f"restore the folders ({len(absent)} such people), or move the file away"
        )
    return for_training, for_test


def _numbers(names: list[str]) -> set[int]:
    """The identities that names of folders stand for."""
    matches = [PERSON.fullmatch(name) for name in names]
    if not all(matches):
        raise ValueError("a name is of another form")
    return {int(match[1]) for match in matches if match}
