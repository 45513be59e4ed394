"""A data set by its name."""

from collections.abc import Callable
from functools import partial
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
    name: str, root: str | Path, split: int = 0, verify: bool = True, report: Report = stop_at
) -> TrackletDataset:
    """Reads the tracklets of a data set on disk.

    Args:
        name: ``"mars"`` (also the rendered benchmark, which has its layout),
            ``"dukemtmc-videoreid"``, ``"ilids-vid"``, ``"prid2011"``, ``"ward"``, or
            ``"manifest"``, a table of one's own.
        root: The folder that holds it; the table itself if it is a manifest.
        split: Which identities are for training, where the data set has no one split of its own:
            the seed that draws half of them, or the place in the published file of splits.
        verify: Whether to check that every image is on disk. Without it the labels alone are read.
        report: Called with the path and a few words for each file or row that is wrong and can be
            passed over. By default the first is raised.

    Raises:
        UserError: The name is unknown, or the folder does not hold such a data set.
    """
    root = Path(root)
    loaders: dict[str, Callable[..., TrackletDataset]] = {
        "mars": partial(load_mars, report=report),
        "dukemtmc-videoreid": partial(load_dukemtmc_videoreid, report=report),
        "ilids-vid": partial(load_ilids_vid, split=split, report=report),
        "prid2011": partial(load_prid2011, split=split, report=report),
        "ward": partial(load_ward, split=split),
        "manifest": partial(load_manifest, report=report),
    }
    if name not in loaders:
        raise UserError(f"data set {name!r} is unknown: pass one of {', '.join(NAMES)}")
    if name != "manifest" and not root.is_dir():
        raise UserError(f"{root}: no such folder; pass the folder that holds {name}")
    if split < 0:
        raise UserError(f"split {split}: pass 0 or more")
    dataset = loaders[name](root)
    if verify:
        dataset.require_images()
    return dataset
