"""Bad frames at which a run would fail after its training, found before it."""

import numpy as np
import pandas as pd
from tqdm import tqdm

from stgcn_pyg.data.datamodule import TrackletDataModule
from stgcn_pyg.data.packed_frames import PackedFrames
from stgcn_pyg.data.reading import reading
from stgcn_pyg.progress import bar_options


def require_good_frames(
    data: TrackletDataModule, tracklets: pd.DataFrame, rank: int = 0, world_size: int = 1
) -> None:
    """Refuses what is sure to fail at a bad frame later, as far as that can be known soon.

    Where bad frames are passed over, a good one of each tracklet is read: a tracklet without any
    is refused. Where a run stops at a bad frame, those that a pack names as bad are refused if the
    test reads them; pictures are not decoded for this.

    Args:
        data: Whose settings read the frames.
        tracklets: N rows that the run needs.
        rank: This process among R that share the tracklets.
        world_size: R.

    Raises:
        UserError: There is such a frame, or such a tracklet.
    """
    if data.reader.on_bad_frame == "skip":
        _require_one_each(data, tracklets, rank, world_size)
    elif isinstance(data.reader.source, PackedFrames) and data.reader.source.bad:
        test = data.dataset.test()
        for first, length in zip(test["first_frame"], test["num_frames"], strict=True):
            rows = np.unique(first + data.clips_of(int(length)))
            data.reader.source.require_good(rows.tolist())


def _require_one_each(
    data: TrackletDataModule, tracklets: pd.DataFrame, rank: int, world_size: int
) -> None:
    first_frames = [np.zeros((1, 1), np.int64)] * len(tracklets)
    loader = data.clip_dataloader(tracklets, rank, world_size, clips=first_frames)
    total = len(range(rank, len(tracklets), world_size))
    bar = tqdm(total=total, desc="looking for good frames", unit="tracklet", **bar_options())
    with bar, reading(loader) as batches:
        for batch in batches:
            bar.update(len(batch.labels))
