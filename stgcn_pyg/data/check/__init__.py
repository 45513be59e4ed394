"""Whether a data set is what it should be: everything that is wrong with it, at once.

kinds        the kinds of faults and notes
tracklets    all tracklets side by side, and which picture is in which
tables       what the tables tell: counts, short tracklets, people without a match
shared       what to say of pictures that stand in two places without harm
files        what the names of the files tell: numbers left out, pictures that nothing uses
pictures     what their contents tell, read in parallel
duplicates   the same bytes under two names
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from stgcn_pyg.data.check.duplicates import same_pictures
from stgcn_pyg.data.check.files import gaps, unused
from stgcn_pyg.data.check.kinds import FAULTS, NOTES
from stgcn_pyg.data.check.pictures import check_pictures, read_pictures
from stgcn_pyg.data.check.tables import (
    count,
    in_one_camera,
    in_train_and_test,
    named_twice,
    too_short,
    without_match,
)
from stgcn_pyg.data.check.tracklets import Tracklets
from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.decoding import DIGEST_SIZE
from stgcn_pyg.data.faults import Fault
from stgcn_pyg.data.load import load_dataset
from stgcn_pyg.progress import bar_options

__all__ = ["FAULTS", "NOTES", "CheckResult", "check_dataset", "check_pictures"]


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Attributes:
        dataset: What was checked, without what its labels get wrong.
        counts: A row a split: people, cameras, tracklets, frames, lengths.
        pictures: How many pictures were read: all that a tracklet uses.
        faults: What makes a result wrong or a run fail, in the order of `FAULTS`.
        notes: What is worth knowing, in the order of `NOTES`.
    """

    dataset: TrackletDataset
    counts: pd.DataFrame
    pictures: int
    faults: list[Fault]
    notes: list[Fault]

    def to_dict(self) -> dict[str, Any]:
        """All of it in plain values, as for JSON."""
        return {
            "dataset": self.dataset.name,
            "root": str(self.dataset.root),
            "counts": self.counts.to_dict("index"),
            "pictures": self.pictures,
            "faults": [fault._asdict() for fault in self.faults],
            "notes": [note._asdict() for note in self.notes],
        }


def check_dataset(
    name: str,
    root: str | Path,
    split: int = 0,
    min_frames: int = 1,
    workers: int = 2,
    progress: bool = True,
) -> CheckResult:
    """Finds everything that is wrong with a data set on disk.

    Args:
        name: As for :func:`stgcn_pyg.data.load_dataset`.
        root: The folder that holds it.
        split: Which split, where the data set has several.
        min_frames: The fewest frames that a tracklet may have; with 1 all are long enough.
        workers: Processes that decode pictures; 1 decodes in this one.
        progress: Show a progress bar on stderr.

    Raises:
        UserError: There is no such data set to check, or a worker was killed.
    """
    found: list[Fault] = []

    def report(path: Path, what: str) -> None:
        found.append(Fault(str(path), what))

    dataset = load_dataset(name, root, split, verify=False, report=report)
    tracklets = Tracklets(dataset)
    found += named_twice(tracklets)
    found += too_short(tracklets, min_frames)
    found += in_train_and_test(tracklets)
    found += without_match(dataset)
    found += in_one_camera(dataset)
    found += gaps(tracklets)
    found += unused(dataset, tracklets, known={fault.path for fault in found})
    used = np.flatnonzero(tracklets.first_use >= 0)
    found += _read(tracklets, used, workers, progress)
    return CheckResult(
        dataset,
        count(dataset),
        len(used),
        [fault for kind in FAULTS for fault in found if fault.kind == kind],
        [fault for kind in NOTES for fault in found if fault.kind == kind],
    )


def _read(tracklets: Tracklets, used: np.ndarray, workers: int, progress: bool) -> Iterator[Fault]:
    """Reads every used picture once; what is wrong with it by itself and beside the others."""
    digests = np.zeros((len(tracklets.paths), DIGEST_SIZE), dtype=np.uint8)
    sound = np.zeros(len(tracklets.paths), dtype=bool)
    style = bar_options() | {"desc": "checking", "unit": "picture", "disable": not progress}
    pictures = read_pictures(tracklets.root, tracklets.paths[used], workers)
    for i, picture in zip(used, tqdm(pictures, total=len(used), **style), strict=True):
        if picture.kind:
            yield Fault(str(tracklets.path(i)), picture.what, picture.kind)
        if picture.digest:
            digests[i] = np.frombuffer(picture.digest, dtype=np.uint8)
            sound[i] = True
    yield from same_pictures(tracklets, digests, sound)
