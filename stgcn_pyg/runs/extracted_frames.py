"""The frames of the tracklets that an extraction holds, found by its description."""

from pathlib import Path

import pandas as pd

from stgcn_pyg.data import load_dataset
from stgcn_pyg.data.dataset import frames_of
from stgcn_pyg.data.tracked_frames import read_tracked_frames
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.extraction import StoredEmbeddings


def frames_of_extraction(
    stored: StoredEmbeddings, manifest: Path | None = None
) -> tuple[Path, pd.DataFrame]:
    """The frames of an extraction's tracklets, with what a manifest says of each.

    Args:
        stored: The extraction.
        manifest: Path of the manifest of its tracklets. If not given, the data set is read from
            where it was when it was extracted; a manifest is the file ``manifest.csv`` or
            ``manifest.parquet`` there.

    Returns:
        The folder that the paths start from, and a row a frame, as :func:`.read_tracked_frames`
        gives them; of another data set only ``path``, ``camid``, ``tracklet`` and ``frame``.

    Raises:
        UserError: There is no such manifest or data set, or it has not these tracklets.
    """
    dataset, root = stored.description["dataset"], Path(stored.description["root"])
    if manifest is None and dataset == "manifest":
        names = [root, root / "manifest.csv", root / "manifest.parquet"]
        manifest = next((path for path in names if path.is_file()), None)
        if manifest is None:
            raise UserError(f"{root}: holds no manifest.csv: pass --manifest and its path")
    if manifest is None:
        where, frames = _frames_of_dataset(dataset, root, stored.description["split"])
    else:
        where, frames = manifest.parent, read_tracked_frames(manifest)
    found = frames.groupby("tracklet").agg(camid=("camid", "first"), num_frames=("camid", "size"))
    found = found.reindex(stored.tracklets.index)
    for name in ("camid", "num_frames"):
        differs = (found[name] != stored.tracklets[name]).to_numpy()
        if differs.any():
            number = stored.tracklets.index[differs.argmax()]
            raise UserError(
                f"{manifest or root}: has not tracklet {number} as {stored.folder} has it ({name} "
                f"is {stored.tracklets.at[number, name]} there): pass --manifest and the path of "
                "the manifest that was extracted"
            )
    return where, frames[frames["tracklet"].isin(stored.tracklets.index)]


def _frames_of_dataset(name: str, root: Path, split: int) -> tuple[Path, pd.DataFrame]:
    dataset = load_dataset(name, root, split, verify=False)
    tracklets = dataset.tracklets("all")
    row, frame = frames_of(tracklets)
    frames = pd.DataFrame(
        {
            "path": dataset.frames.to_numpy()[frame],
            "camid": tracklets["camid"].to_numpy()[row],
            "tracklet": tracklets.index.to_numpy()[row],
            "frame": frame,
        }
    )
    return dataset.root, frames
