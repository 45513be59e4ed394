"""What to say of pictures that stand in two places without harm."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from stgcn_pyg.data.check.tracklets import Tracklets
from stgcn_pyg.data.faults import Fault


def in_two_tracklets(
    tracklets: Tracklets, one: np.ndarray, other: np.ndarray, kind: str
) -> Iterator[Fault]:
    """A note for each pair of tracklets that have pictures in common.

    Args:
        tracklets: All tracklets.
        one: The row of one tracklet of each shared picture, ``[N]``.
        other: The row of the other tracklet, ``[N]``.
        kind: The kind of the notes.
    """
    pairs = pd.DataFrame({"first": np.minimum(one, other), "second": np.maximum(one, other)})
    for (first, second), rows in pairs.groupby(["first", "second"]):
        what = (
            f"{len(rows)} of its tracklet's {tracklets.table['num_frames'].iat[first]} frames are "
            f"also in the tracklet that begins with {tracklets.first_path(second)} "
            f"({tracklets.label(second)})"
        )
        yield Fault(str(tracklets.first_path(first)), what, kind)


def within_one_tracklet(
    tracklets: Tracklets, pictures: np.ndarray, owner: np.ndarray, kind: str
) -> Iterator[Fault]:
    """A note for each tracklet that holds pictures more than once.

    Args:
        tracklets: All tracklets.
        pictures: The pictures that stand in their tracklet already, ``[N]``.
        owner: The row of the tracklet of each, ``[N]``.
        kind: The kind of the notes.
    """
    for row, repeats in pd.Series(pictures).groupby(owner):
        frames = tracklets.table["num_frames"].iat[row]
        do = "does" if len(repeats) == 1 else "do"
        what = f"repeats an earlier frame of its tracklet ({len(repeats)} of {frames} {do})"
        yield Fault(str(tracklets.path(repeats.iat[0])), what, kind)
