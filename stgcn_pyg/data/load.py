"""A data set by its name."""

from pathlib import Path

from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.dukemtmc_videoreid import load_dukemtmc_videoreid
from stgcn_pyg.data.ilids_vid import load_ilids_vid
from stgcn_pyg.data.label_files import Report, stop_at
from stgcn_pyg.data.manifest import load_manifest
from stgcn_pyg.data.mars import load_mars
from stgcn_pyg.data.prid2011 import load_prid2011
from stgcn_pyg.data.ward import load_ward
from stgcn_pyg.errors import UserError

NAMES = ("mars", "dukemtmc-videoreid", "ilids-vid", "prid2011", "ward", "manifest")


def load_dataset(
    name: str,
    root: str | Path,
    split: int = 0,
    verify: bool = True,
    report: Report = stop_at,
) -> TrackletDataset:
    """The tracklets of a data set on disk.

    Args:
        name: ``"mars"`` (also the rendered benchmark, which has its layout),
            ``"dukemtmc-videoreid"``, ``"ilids-vid"``, ``"prid2011"``, ``"ward"``, or
            ``"manifest"``, a table of one's own.
        root: The folder that holds it; the table itself if it is a manifest.
        split: Which halves of people, where the data set has no one split of its own: the seed
            (iLIDS-VID, PRID 2011, WARD), or the row of iLIDS-VID's file of splits.
        verify: Whether to look if every picture is there. Without it the labels alone are read.
        report: Is called with the path and a word for each file or row that is wrong and can be
            passed over. By default the first is raised.

    Raises:
        UserError: The name is unknown, or the folder does not hold such a data set.
    """
    root = Path(root)
    if name not in NAMES:
        raise UserError(f"data set {name!r} is unknown: pass one of {', '.join(NAMES)}")
    if name != "manifest" and not root.is_dir():
        raise UserError(f"{root}: no such folder; pass the folder that holds {name}")
    if split < 0:
        raise UserError(f"split {split}: pass 0 or more")
    dataset = _load(name, root, split, report)
    if verify:
        dataset.require_pictures()
    return dataset


def _load(name: str, root: Path, split: int, report: Report) -> TrackletDataset:
    if name == "mars":
        return load_mars(root, report=report)
    if name == "dukemtmc-videoreid":
        return load_dukemtmc_videoreid(root, report=report)
    if name == "ilids-vid":
        return load_ilids_vid(root, split, report=report)
    if name == "prid2011":
        return load_prid2011(root, split, report=report)
    if name == "ward":
        return load_ward(root, split)
    return load_manifest(root, report=report)
