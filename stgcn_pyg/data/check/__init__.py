"""Everything that is wrong with a data set, found at once.

A fault makes a result wrong or a run fail. Everything else that is worth knowing is a note.

tracklets    all tracklets side by side, and which image is in which
labels       what labels and names tell: counts, short tracklets, queries without a match, gaps
images       what the images tell, read in parallel: damage, the same bytes under two names
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from stgcn_pyg.data.check.images import read_images, same_images
from stgcn_pyg.data.check.labels import (
    count,
    gaps,
    in_one_camera,
    in_train_and_test,
    named_twice,
    too_short,
    unused,
    without_match,
)
from stgcn_pyg.data.check.tracklets import Tracklets
from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.decoding import DIGEST_SIZE
from stgcn_pyg.data.label_files import Fault
from stgcn_pyg.data.load import load_dataset
from stgcn_pyg.progress import bar_options

__all__ = ["FAULTS", "NOTES", "CheckResult", "check_dataset"]

FAULTS = {
    "wrong name or label": "a name of the wrong form, or a label and a name that disagree",
    "named twice": "images that the labels give to two identities or cameras",
    "missing": "the labels name these images, and they are not on disk",
    "cannot be read": "the system does not let these files be read",
    "empty": "files of 0 bytes",
    "no image": "files whose content is no image",
    "cannot be used": "images whose pixels cannot be turned into 8-bit RGB",
    "truncated or damaged": "images that do not decode to their end",
    "same image": "the same bytes under labels that contradict each other",
    "too short": "tracklets with fewer frames than --min-frames",
    "no match": "no query has its identity in another camera of the gallery",
    "in train and test": "identities to train on that are also in the query or the gallery",
}
"""What must be mended before the data set is used."""

NOTES = {
    "listed twice": "tracklets with images that the labels list again, without contradiction",
    "wrong format": "images of another format than their name says, which are read all the same",
    "repeated frames": "tracklets in which an image repeats an earlier one, byte for byte",
    "shared images": "pairs of tracklets with images in common, byte for byte, whose labels "
    "do not contradict each other",
    "query in the gallery": "tracklets of the query with a copy in the gallery under another name",
    "query without a match": "queries that the evaluation leaves out: their identity is in no "
    "other camera of the gallery",
    "one camera": "identities that one camera alone shows, and that no query has",
    "gap": "tracklets whose frames are numbered in a row, but for a few that are left out",
    "unused": "images that are in no tracklet",
}
"""What is worth knowing and occurs in sound data sets."""


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Attributes:
        dataset: The data set, without what its labels get wrong.
        counts: A row a split: identities, cameras, tracklets, frames, lengths.
        images: The number of images that were read: all that a tracklet uses.
        faults: What makes a result wrong or a run fail, in the order of `FAULTS`.
        notes: What is worth knowing, in the order of `NOTES`.
    """

    dataset: TrackletDataset
    counts: pd.DataFrame
    images: int
    faults: list[Fault]
    notes: list[Fault]

    def to_dict(self) -> dict[str, object]:
        """The result in plain values, as for JSON."""
        return {
            "dataset": self.dataset.name,
            "root": str(self.dataset.root),
            "counts": self.counts.to_dict("index"),
            "pictures": self.images,
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
        name: The data set's name, as for :func:`stgcn_pyg.data.load_dataset`.
        root: The folder that holds it.
        split: The split, where the data set has several.
        min_frames: The fewest frames that a tracklet may have; with 1 all are long enough.
        workers: The number of processes that decode images; 1 decodes in this one.
        progress: Whether to show a progress bar on stderr.

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
    """Reads every used image once; what is wrong with it by itself and beside the others."""
    digests = np.zeros((len(tracklets.paths), DIGEST_SIZE), dtype=np.uint8)
    sound = np.zeros(len(tracklets.paths), dtype=bool)
    style = bar_options() | {"desc": "checking", "unit": "image", "disable": not progress}
    images = read_images(tracklets.root, tracklets.paths[used], workers)
    for i, image in zip(used, tqdm(images, total=len(used), **style), strict=True):
        if image.kind:
            yield Fault(str(tracklets.path(i)), image.what, image.kind)
        if image.digest:
            digests[i] = np.frombuffer(image.digest, dtype=np.uint8)
            sound[i] = True
    yield from same_images(tracklets, digests, sound)
