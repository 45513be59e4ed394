"""Sets of two cameras, in which each person has a tracklet in both: iLIDS-VID and PRID 2011."""

import re
from pathlib import Path

import numpy as np

from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.faults import Report
from stgcn_pyg.data.folders import frames_in_order, tabulate
from stgcn_pyg.errors import UserError


def holder_of(root: Path, folder: str, parent: str) -> Path:
    """``root`` or ``root/parent``, whichever holds the folder."""
    for holder in (root, root / parent):
        if (holder / folder).is_dir():
            return holder
    raise UserError(
        f"{root}: holds neither {folder} nor {parent}/{folder}: pass a folder that does"
    )


def find_beside(holder: Path, file: str | Path) -> Path | None:
    """A file that lies in a data set's folder or beside it; None if it is in neither.

    Args:
        holder: The data set's folder.
        file: The file's name, or its path from the folder that it lies in.
    """
    places = (holder / file, holder.absolute().parent / file)
    return next((place for place in places if place.is_file()), None)


def half_of(people: np.ndarray, split: int) -> np.ndarray:
    """The people for training, of all in ascending order, as the seed ``split`` draws them."""
    return np.random.default_rng([split]).permutation(people)[: len(people) // 2]


def require_split(path: Path, split: int, count: int) -> None:
    """Refuses a split that a file of splits does not have.

    Args:
        path: The file.
        split: The place that is asked for, from 0.
        count: The number of splits in the file.

    Raises:
        UserError: It has no such split.
    """
    if not count:
        raise UserError(f"{path}: holds no split: put back the published file, or move it away")
    if split >= count:
        raise UserError(f"{path}: has no split {split}: pass one from 0 to {count - 1}")


def read_pairs(
    folders: dict[tuple[int, int], Path],
    form: re.Pattern[str],
    example: str,
    report: Report,
    min_frames: int = 1,
) -> list[tuple[int, int, list[Path]]]:
    """The tracklets of the people who have enough frames in both cameras, in ascending order.

    Args:
        folders: That of each person, from 1, in each camera, 1 or 2.
        form: Of the frames' names, as for :func:`frames_in_order`.
        example: Of such a name.
        report: Is called with each file and folder that is passed over; to have fewer frames than
            ``min_frames``, but some, is no fault.
        min_frames: That are enough.
    """
    frames = {}
    for (pid, camid), folder in sorted(folders.items()):
        if (pid, 3 - camid) in folders:
            labels = {"pid": pid, "camid": camid}
            frames[pid, camid] = frames_in_order(folder, form, example, labels, report)
        else:
            report(folder, "its person is in one camera only: restore the other folder")
    return [
        (pid, camid, paths)
        for (pid, camid), paths in frames.items()
        if min(len(paths), len(frames[pid, 3 - camid])) >= min_frames
    ]


def cross_camera_dataset(
    name: str, root: Path, tracklets: list[tuple[int, int, list[Path]]], training: np.ndarray
) -> TrackletDataset:
    """A data set of tracklets ``(pid, camid, frames)`` in which each is a query once at test."""
    table, frames = tabulate(root, tracklets)
    people = table["pid"].nunique()
    if people < 4:
        raise UserError(f"{root}: {people} people in both cameras are too few to train and test on")
    for_training = table["pid"].isin(training)
    test = table[~for_training]
    return TrackletDataset(
        name=name,
        root=root,
        train=table[for_training],
        query=test,
        gallery=test,
        frames=frames,
        protocols=("cross-camera",),
    )
