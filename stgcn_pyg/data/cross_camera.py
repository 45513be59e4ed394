"""What iLIDS-VID, PRID 2011 and WARD share: each test tracklet is a query across cameras."""

import re
from pathlib import Path

import numpy as np

from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.label_files import Report, frames_in_order, tabulate
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
    """A file that lies in a data set's folder or beside it; None if it is in neither."""
    places = (holder / file, holder.absolute().parent / file)
    return next((place for place in places if place.is_file()), None)


def half_of(pids: np.ndarray, split: int) -> np.ndarray:
    """The identities for training, of all in ascending order, as the seed ``split`` draws them."""
    return np.random.default_rng([split]).permutation(pids)[: len(pids) // 2]


def require_split(path: Path, split: int, count: int) -> None:
    """Refuses a split, counted from 0, that a file of ``count`` splits does not have."""
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
    """The tracklets ``(pid, camid, frames)`` of identities with enough frames in both cameras.

    Args:
        folders: The folder of each ``(pid, camid)``; cameras are 1 and 2.
        form: The form of the frames' names, as for :func:`frames_in_order`.
        example: A name of that form.
        report: Called with each file and folder that is passed over; to have fewer frames than
            ``min_frames``, but some, is no fault.
        min_frames: The fewest frames in each camera.

    Returns:
        The tracklets in ascending order of pid and camid.
    """
    frames = {}
    for (pid, camid), folder in sorted(folders.items()):
        if (pid, 3 - camid) in folders:
            labels = {"pid": pid, "camid": camid}
            frames[pid, camid] = frames_in_order(folder, form, example, labels, report)
        else:
            report(folder, "its identity is in one camera only: restore the other folder")
    return [
        (pid, camid, paths)
        for (pid, camid), paths in frames.items()
        if min(len(paths), len(frames[pid, 3 - camid])) >= min_frames
    ]


def cross_camera_dataset(
    name: str, root: Path, tracklets: list[tuple[int, int, list[Path]]], training: np.ndarray
) -> TrackletDataset:
    """A data set in which every test tracklet is a query and in the gallery.

    Args:
        name: The data set's name.
        root: The folder that its paths start from.
        tracklets: All tracklets, each as ``(pid, camid, frames)``.
        training: The identities for training; all others are for test.

    Raises:
        UserError: There are fewer than four identities.
    """
    table, frames = tabulate(root, tracklets)
    if (count := table["pid"].nunique()) < 4:
        raise UserError(
            f"{root}: {count} identities with enough frames are too few to train and test on: "
            "at least 4 are needed"
        )
    for_training = table["pid"].isin(training)
    test = table[~for_training]
    return TrackletDataset(name, root, table[for_training], test, test, frames, ("cross-camera",))
