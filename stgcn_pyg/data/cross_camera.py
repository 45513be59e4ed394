"""iLIDS-VID, PRID 2011 and WARD: half of the identities are for training, half for test.

iLIDS-VID (Wang et al., ECCV 2014): 300 identities in 2 cameras, a tracklet in each.

i-LIDS-VID/sequences/cam1/person001/cam1_person001_00317.png    camera, identity, frame
train-test people splits/train_test_splits_ilidsvid.mat         its makers' ten splits

PRID 2011 (Hirzer et al., SCIA 2011), its multi-shot part: 2 cameras. Identities 1 to 200 are in
both. From 201 on, the same number in camera a and in camera b means two different people.

prid_2011/multi_shot/cam_a/person_0001/0001.png   camera, identity, frame
splits_prid2011.json                              the ten published splits

WARD (Martinel and Micheloni, CVPRW 2012): 70 identities in 3 cameras, in one folder.

000100020003.jpg   identity 1, camera 2, frame 3

At test each tracklet is a query once, against the tracklets of the other cameras. Other work takes
camera 1 or a as queries and camera 2 or b as gallery; here both directions count.
"""

import json
import os
import re
from itertools import groupby
from pathlib import Path

import numpy as np

from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.label_files import (
    LabelledFrames,
    NameForm,
    Report,
    find_holder,
    read_mat_numbers,
    tabulate,
)
from stgcn_pyg.errors import UserError

ILIDS_FOLDER = NameForm(re.compile(r"person\d{3}", re.ASCII), "person001")
ILIDS_NAME = NameForm(
    re.compile(r"cam(?P<camid>\d)_person(?P<pid>\d{3})_(?P<frame>\d+)\.png", re.ASCII),
    "cam1_person001_00317.png",
)
ILIDS_SPLITS = Path("train-test people splits", "train_test_splits_ilidsvid.mat")

PRID_FOLDER = NameForm(re.compile(r"person_\d{4}", re.ASCII), "person_0001")
PRID_NAME = NameForm(re.compile(r"(?P<frame>\d+)\.png", re.ASCII), "0001.png")
PRID_SPLITS = "splits_prid2011.json"
PRID_IN_BOTH_CAMERAS = 200
PRID_MIN_FRAMES = 27

WARD_NAME = re.compile(r"\d{12}\.jpg", re.ASCII)

RESTORE = "put back the published file, or move it away"

Folders = dict[tuple[int, int], Path]  # by pid and camid


def load_ilids_vid(root: Path, split: int, report: Report) -> TrackletDataset:
    """Reads iLIDS-VID from the folder that holds ``sequences``, or the one above.

    Its makers' file of splits is used if it lies beside ``i-LIDS-VID`` or in it. Row ``split`` of
    its ``ls_set`` numbers the identities, from 1, in the order of their folders; the first half of
    the row is for test and the second for training, as torchreid reads it after the makers.
    Without the file, ``split`` is the seed by which the half for training is drawn.
    """
    cameras = ("cam1", "cam2")
    holder, folders = _find_folders(root, "i-LIDS-VID", "sequences", cameras, ILIDS_FOLDER, report)
    pids = np.unique([pid for pid, _ in folders])
    file = _find_beside(holder, ILIDS_SPLITS)
    training = _half_of(pids, split) if file is None else _read_ilids_split(file, split, pids)
    tracklets = _read_pairs(folders, ILIDS_NAME, report)
    return _cross_camera_dataset("ilids-vid", holder, tracklets, training)


def _read_ilids_split(path: Path, split: int, pids: np.ndarray) -> np.ndarray:
    numbers = read_mat_numbers(path, "ls_set")  # [splits, identities]
    places = np.arange(1, len(pids) + 1)
    if any(not np.array_equal(np.sort(row), places) for row in numbers):
        raise UserError(
            f"{path}: a row of ls_set does not number the {len(pids)} identities that are here: "
            "restore those that are missing, or move the file away"
        )
    _require_split(path, split, len(numbers))
    return pids[numbers[split, len(pids) // 2 :] - 1]


def load_prid2011(root: Path, split: int, report: Report) -> TrackletDataset:
    """Reads PRID 2011 from the folder that holds ``multi_shot``, or the one above.

    The file of the ten published splits is used if it lies in ``prid_2011`` or beside it. It names
    the identities of each half, 178 in all. Without it, those with at least 27 frames in each
    camera are taken, and ``split`` is the seed by which the half for training is drawn.
    """
    cameras = ("cam_a", "cam_b")
    holder, folders = _find_folders(root, "prid_2011", "multi_shot", cameras, PRID_FOLDER, report)
    folders = {key: path for key, path in folders.items() if key[0] <= PRID_IN_BOTH_CAMERAS}
    file = _find_beside(holder, PRID_SPLITS)
    if file is None:
        tracklets = _read_pairs(folders, PRID_NAME, report, PRID_MIN_FRAMES)
        training = _half_of(np.unique([tracklet.pid for tracklet in tracklets]), split)
    else:
        in_both = {pid for pid, _ in folders if {(pid, 1), (pid, 2)} <= folders.keys()}
        halves = _read_prid_split(file, split, in_both)
        named = {key: path for key, path in folders.items() if key[0] in set.union(*halves)}
        tracklets = _read_pairs(named, PRID_NAME, report)
        training = np.array(sorted(halves[0]))
    return _cross_camera_dataset("prid2011", holder, tracklets, training)


def _read_prid_split(path: Path, split: int, in_both: set[int]) -> tuple[set[int], set[int]]:
    """The identities for training and for test, all of which must be in both cameras."""
    try:
        splits = [
            (_pids_of(each["train"]), _pids_of(each["test"]))
            for each in json.loads(path.read_text())
        ]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path}: no list of splits with the names of identities, such as person_0001, under "
            f"train and test: {RESTORE}"
        ) from error
    _require_split(path, split, len(splits))
    for_training, for_test = splits[split]
    if twice := for_training & for_test:
        raise UserError(
            f"{path}: split {split} has person_{min(twice):04d} in both train and test: {RESTORE}"
        )
    if absent := (for_training | for_test) - in_both:
        raise UserError(
            f"{path}: split {split} names person_{min(absent):04d}, who is not in both cameras: "
            f"restore the folders ({len(absent)} such identities), or move the file away"
        )
    return for_training, for_test


def _pids_of(names: list[str]) -> set[int]:
    if not all(PRID_FOLDER.pattern.fullmatch(name) for name in names):
        raise ValueError("a name is of another form")
    return {int(name[-4:]) for name in names}


def load_ward(root: Path, split: int) -> TrackletDataset:
    """Reads WARD from the folder of its images; ``split`` is the seed that draws the halves."""
    names = sorted(filter(WARD_NAME.fullmatch, os.listdir(root)))
    if not names:
        raise UserError(f"{root}: no images named like 000100020003.jpg; pass WARD's folder")
    tracklets = [
        LabelledFrames(int(labels[:4]), int(labels[4:]), [root / name for name in frames])
        for labels, frames in groupby(names, key=lambda name: name[:8])
    ]
    training = _half_of(np.unique([tracklet.pid for tracklet in tracklets]), split)
    return _cross_camera_dataset("ward", root, tracklets, training)


def _find_folders(
    root: Path,
    parent: str,
    inner: str,
    cameras: tuple[str, str],
    form: NameForm,
    report: Report,
) -> tuple[Path, Folders]:
    """The folder that holds ``inner``, root or ``root/parent``, and the tracklets' folders."""
    holder = find_holder(root, parent, inner)
    if holder is None:
        raise UserError(
            f"{root}: holds neither {inner} nor {parent}/{inner}: pass a folder that does"
        )
    return holder, {
        (int(folder.name.strip("person_")), camid): folder
        for camid, camera in enumerate(cameras, start=1)
        for folder in form.folders_in(holder / inner / camera, report)
    }


def _find_beside(holder: Path, file: str | Path) -> Path | None:
    """A file that lies in a data set's folder or beside it; None if it is in neither."""
    places = (holder / file, holder.absolute().parent / file)
    return next((place for place in places if place.is_file()), None)


def _half_of(pids: np.ndarray, split: int) -> np.ndarray:
    """The identities for training, of all in ascending order, as the seed ``split`` draws them."""
    return np.random.default_rng([split]).permutation(pids)[: len(pids) // 2]


def _require_split(path: Path, split: int, count: int) -> None:
    if not count:
        raise UserError(f"{path}: holds no split: {RESTORE}")
    if split >= count:
        raise UserError(f"{path}: has no split {split}: pass one from 0 to {count - 1}")


def _read_pairs(
    folders: Folders, form: NameForm, report: Report, min_frames: int = 1
) -> list[LabelledFrames]:
    """The tracklets of identities with enough frames in both cameras, by pid and camid.

    An identity in one camera only is reported; one with fewer frames than ``min_frames``, but some,
    is left out without a report.
    """
    frames = {}
    for (pid, camid), folder in sorted(folders.items()):
        if (pid, 3 - camid) in folders:
            frames[pid, camid] = form.frames_in(folder, {"pid": pid, "camid": camid}, report)
        else:
            report(folder, "its identity is in one camera only: restore the other folder")
    return [
        LabelledFrames(pid, camid, paths)
        for (pid, camid), paths in frames.items()
        if min(len(paths), len(frames[pid, 3 - camid])) >= min_frames
    ]


def _cross_camera_dataset(
    name: str, root: Path, tracklets: list[LabelledFrames], training: np.ndarray
) -> TrackletDataset:
    """A data set in which every test tracklet is a query and in the gallery."""
    table, frames = tabulate(root, tracklets)
    if (count := table["pid"].nunique()) < 4:
        raise UserError(
            f"{root}: {count} identities with enough frames are too few to train and test on: "
            "at least 4 are needed"
        )
    for_training = table["pid"].isin(training)
    test = table[~for_training]
    return TrackletDataset(name, root, table[for_training], test, test, frames, ("cross-camera",))
