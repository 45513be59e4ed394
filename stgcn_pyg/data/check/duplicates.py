"""The same bytes under two names."""

from collections.abc import Iterator

import numpy as np

from stgcn_pyg.data.check.shared import in_two_tracklets, within_one_tracklet
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
    """Pictures whose bytes stand under another name too.

    A fault for each picture whose labels contradict those of another one with the same bytes. The
    other cases are notes: a tracklet that repeats a picture of its own, which is common where a
    video was sampled faster than it was taken; two tracklets of one identity and camera, which
    MARS has where they overlap; and a query with a copy in the gallery.

    Args:
        tracklets: All tracklets.
        digests: The digest of every picture, ``[P]`` of 16 bytes.
        sound: Which of the pictures were read, ``[P]``.
    """
    looked_at = np.flatnonzero(sound)
    owner_of = tracklets.owner[tracklets.first_use[looked_at]]
    # Junk comes last, so that what is compared with the first is compared with a label that counts.
    order = np.argsort(tracklets.is_junk[owner_of], kind="stable")
    looked_at, owner_of = looked_at[order], owner_of[order]
    later, first = pairs_of_equals(digests[looked_at])
    pictures, owner, owner_of_first = looked_at[later], owner_of[later], owner_of[first]
    wrong = tracklets.contradict(owner, owner_of_first)
    own = owner == owner_of_first
    copy = tracklets.is_query_in_gallery(owner, owner_of_first)
    shared = ~(wrong | own | copy)
    for i in np.flatnonzero(wrong):
        what = (
            f"holds the same picture as {tracklets.path(looked_at[first[i]])}: "
            f"{tracklets.label(owner[i])} here, {tracklets.label(owner_of_first[i])} there"
        )
        yield Fault(str(tracklets.path(pictures[i])), what, "same picture")
    yield from within_one_tracklet(tracklets, pictures[own], owner[own], "repeated frames")
    for some, kind in ((shared, "shared pictures"), (copy, "query in the gallery")):
        yield from in_two_tracklets(tracklets, owner[some], owner_of_first[some], kind)
