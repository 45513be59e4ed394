"""A data set by its name."""

from pathlib import Path

from stgcn_pyg.data.cross_camera import load_ilids_vid, load_prid2011, load_ward
from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.dukemtmc_videoreid import load_dukemtmc_videoreid
from stgcn_pyg.data.label_files import Report, stop_at
from stgcn_pyg.data.manifest import load_manifest
from stgcn_pyg.data.mars import load_mars
from stgcn_pyg.errors import UserError, whole_number

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
            skipped. By default the first is raised.

    Raises:
        UserError: The name is unknown, or the folder does not hold such a data set.
    """
    root = Path(root)
    loaders = {
        "mars": lambda: load_mars(root, report),
        "dukemtmc-videoreid": lambda: load_dukemtmc_videoreid(root, report),
        "ilids-vid": lambda: load_ilids_vid(root, split, report),
        "prid2011": lambda: load_prid2011(root, split, report),
        "ward": lambda: load_ward(root, split),
        "manifest": lambda: load_manifest(root, report),
    }
    if name not in loaders:
        raise UserError(f"data set {name!r} is unknown: pass one of {', '.join(NAMES)}")
    if name != "manifest" and not root.is_dir():
        raise UserError(f"{root}: no such folder; pass the folder that holds {name}")
    split = whole_number("split", split, least=0)
    dataset = loaders[name]()
    if verify:
        dataset.require_images()
    return dataset
