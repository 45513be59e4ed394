"""The same bytes under two names."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from stgcn_pyg.data.check.tracklets import Tracklets
from stgcn_pyg.data.faults import Fault


def pairs_of_equals(digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each digest that occurred before, and where it first did.

    Args:
        digests: ``[P]`` of 16 bytes.

    Returns:
        The places of the later ones in ascending order, and of the first of each, ``[L]`` both.
    """
    halves = digests.view(np.uint64).reshape(len(digests), 2)
    order = np.lexsort((halves[:, 1], halves[:, 0]))  # stable: equals stay in ascending order
    new = np.ones(len(order), dtype=bool)
    new[1:] = (halves[order[1:]] != halves[order[:-1]]).any(axis=1)
    first = order[np.flatnonzero(new)[np.cumsum(new) - 1]]
    later = order[~new].argsort()
    return order[~new][later], first[~new][later]


def same_pictures(tracklets: Tracklets, digests: np.ndarray, sound: np.ndarray) -> Iterator[Fault]:
    """Pictures whose bytes another tracklet has under another name.

    Args:
        tracklets: All of them.
        digests: Of every picture, ``[P]`` of 16 bytes.
        sound: Which of them were read, ``[P]``.

    Yields:
        The faults; and notes of those that repeat one of their own tracklet, which is common where
        a video was sampled faster than it was taken, and of queries that the gallery holds too.
    """
    looked_at = np.flatnonzero(sound & (tracklets.first_use >= 0))
    later, first = (looked_at[places] for places in pairs_of_equals(digests[looked_at]))
    owner, owner_of_first = (tracklets.owner[tracklets.first_use[one]] for one in (later, first))
    own = owner == owner_of_first
    copy = tracklets.is_query_in_gallery(owner, owner_of_first)
    for picture, other in zip(later[~own & ~copy], first[~own & ~copy], strict=True):
        what = f"holds the same picture as {tracklets.path(other)}"
        yield Fault(str(tracklets.path(picture)), what, "same picture")
    yield from _repeats(tracklets, later[own], owner[own])
    yield from _copies(tracklets, owner[copy], owner_of_first[copy])


def _repeats(tracklets: Tracklets, pictures: np.ndarray, owner: np.ndarray) -> Iterator[Fault]:
    for row, repeats in pd.Series(pictures).groupby(owner):
        frames = tracklets.table["num_frames"].iat[row]
        do = "does" if len(repeats) == 1 else "do"
        what = f"repeats an earlier frame of its tracklet ({len(repeats)} of {frames} {do})"
        yield Fault(str(tracklets.path(repeats.iat[0])), what, "repeated frames")


def _copies(tracklets: Tracklets, one: np.ndarray, other: np.ndarray) -> Iterator[Fault]:
    one_is_query = tracklets.table["split"].to_numpy()[one] == "query"
    query, gallery = np.where(one_is_query, (one, other), (other, one))
    pairs = pd.DataFrame({"query": query, "gallery": gallery})
    for (query, gallery), rows in pairs.groupby(["query", "gallery"]):
        what = (
            f"{len(rows)} of its query's {tracklets.table['num_frames'].iat[query]} frames are "
            f"also in the gallery's tracklet that begins with {tracklets.first_path(gallery)}"
        )
        yield Fault(str(tracklets.first_path(query)), what, "query in the gallery")
