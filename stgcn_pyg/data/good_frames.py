"""Bad frames that are known before a picture is decoded: told before a training, not after it."""

import os
from pathlib import Path

import numpy as np

from stgcn_pyg.data.clips import OnBadFrame
from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.packed_frames import read_index
from stgcn_pyg.errors import UserError


def require_good_frames(
    dataset: TrackletDataset, pack: Path | None, on_bad_frame: OnBadFrame
) -> None:
    """Looks whether the tracklets can be read, as far as that is known without decoding.

    A frame is known to be bad if its file is missing or empty, or if it was bad when it was packed.

    Args:
        dataset: The tracklets.
        pack: The pack that their frames are read from, or None where the pictures are read.
        on_bad_frame: What happens at a bad frame: under ``"skip"`` each tracklet needs one good
            frame; under ``"stop"`` none may be bad. Missing files are then looked for by
            :meth:`TrackletDataset.require_pictures`.

    Raises:
        UserError: A tracklet cannot be read; the message names its first frame.
    """
    if pack is None:
        if on_bad_frame == "skip":
            _require_a_file_each(dataset)
        return
    bad = np.zeros(len(dataset.frames) + 1, np.int64)
    rows = np.array([row for row, _ in read_index(pack)["bad"]], np.int64)
    bad[rows[rows < len(dataset.frames)] + 1] = 1
    before = bad.cumsum()  # how many of the frames before each are bad
    for split, table in dataset.tables().items():
        first, length = (table[name].to_numpy() for name in ("first_frame", "num_frames"))
        num_bad = before[first + length] - before[first]
        if on_bad_frame == "skip":
            wrong, what = num_bad == length, "every frame of its {} tracklet is bad"
            advice = "mend the pictures and pack again, or remove the tracklet"
        else:
            wrong, what = num_bad > 0, "a frame of its {} tracklet is bad"
            advice = "pass --on-bad-frame skip, or mend the picture and pack again"
        if wrong.any():
            path = dataset.paths(table.iloc[int(np.argmax(wrong))], [0])[0]
            raise UserError(f"{path}: {what.format(split)} in the pack {pack}: {advice}")


def _require_a_file_each(dataset: TrackletDataset) -> None:
    for split, table in dataset.tables().items():
        for row in range(len(table)):
            paths = dataset.paths(table.iloc[row])
            if not any(_may_be_good(path) for path in paths):
                raise UserError(
                    f"{paths[0]}: no frame of its {split} tracklet is on disk: restore them, or "
                    "remove the tracklet"
                )


def _may_be_good(path: Path) -> bool:
    try:
        return os.stat(path).st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True  # nothing is known of the picture; reading it tells
