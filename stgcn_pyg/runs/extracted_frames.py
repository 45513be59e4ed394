"""The frames of the tracklets that an extraction holds, found by its description."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
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
    root, frames, place = find_frames(stored.description, manifest)
    require_frames(tracklets_of(frames), stored.tracklets, place, stored.folder)
    return root, frames[frames["tracklet"].isin(stored.tracklets.index)]


def find_frames(
    source: Mapping[str, Any], manifest: Path | None = None
) -> tuple[Path, pd.DataFrame, Path]:
    """The frames of a whole data set, as :func:`frames_of_extraction` gives them.

    Args:
        source: Its ``dataset``, ``root`` and ``split``, as an extraction is described by.
        manifest: As in :func:`frames_of_extraction`.

    Returns:
        The folder that the paths start from, a row a frame, and the manifest or folder that has
        them.
    """
    dataset, root = source["dataset"], Path(source["root"])
    if manifest is None and dataset == "manifest":
        names = [root, root / "manifest.csv", root / "manifest.parquet"]
        manifest = next((path for path in names if path.is_file()), None)
        if manifest is None:
            raise UserError(f"{root}: holds no manifest.csv: pass --manifest and its path")
    if manifest is None:
        return *_frames_of_dataset(dataset, root, source["split"]), root
    return manifest.parent, read_tracked_frames(manifest), manifest


def tracklets_of(frames: pd.DataFrame) -> pd.DataFrame:
    """What frames say of their tracklets.

    Returns:
        A row a tracklet, its number as the index: ``camid``, ``num_frames``, and ``first_time`` and
        ``last_time``, NaN where frames have no times.

    Example:
        >>> frames = pd.DataFrame({"tracklet": [7, 7], "camid": [1, 1], "time": [2.0, 3.5]})
        >>> tracklets_of(frames).to_dict("index")
        {7: {'camid': 1, 'num_frames': 2, 'first_time': 2.0, 'last_time': 3.5}}
    """
    return (
        frames.assign(time=frames.get("time", np.nan))
        .groupby("tracklet")
        .agg(
            camid=("camid", "first"),
            num_frames=("camid", "size"),
            first_time=("time", "min"),
            last_time=("time", "max"),
        )
    )


def require_frames(
    found: pd.DataFrame, tracklets: pd.DataFrame, place: Path, folder: Path
) -> pd.DataFrame:
    """The rows of :func:`tracklets_of` for some tracklets of an extraction, in their order.

    Args:
        found: What :func:`tracklets_of` gives.
        tracklets: Tracklets of the extraction.
        place: The manifest or data set of the frames, for the message.
        folder: The extraction, likewise.

    Raises:
        UserError: A tracklet is not among them, or has another camera or number of frames.
    """
    found = found.reindex(tracklets.index)
    for name in ("camid", "num_frames"):
        differs = (found[name] != tracklets[name]).to_numpy()
        if differs.any():
            number = tracklets.index[differs.argmax()]
            raise UserError(
                f"{place}: has not tracklet {number} as {folder} has it ({name} "
                f"is {tracklets.at[number, name]} there): pass --manifest and the path of "
                "the manifest that was extracted"
            )
    return found


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
