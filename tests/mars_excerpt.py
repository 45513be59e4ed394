"""A tree like a real excerpt of MARS, of tiny pictures: what is odd about MARS itself is in it."""

from pathlib import Path

from conftest import MarsTree

SHARED = 3  # frames that a person's two tracklets of one camera have in common
ONE_CAMERA = 12  # of the 16 people to train on


def excerpt_of_mars(root: Path) -> MarsTree:
    """A tree to be written, of 16 people to train on and 8 to be searched for.

    Twelve of the 16 are seen by one camera alone. Each of the 16 has two tracklets of one identity
    and camera that overlap: the second holds the last frames of the first once more. Of the 8, one
    has no match, and two lose their only match where query and gallery are kept apart. There is
    junk, of which one picture is also a person's, and a distractor.
    """
    tree = MarsTree(root)
    tree.names, tree.tracks, tree.queries = {"train": [], "test": []}, {"train": [], "test": []}, []
    for person in range(1, 17):
        pid, camid = 2 * person, 1 + person % 6
        tree.add("train", pid, camid, frames=6)
        tree.add("train", pid, camid, frames=5, tracklet=2)
        prefix = f"{pid:04d}C{camid}T000"
        for frame in range(1, SHARED + 1):
            last = f"{prefix}1F{6 - SHARED + frame:03d}.jpg"
            tree.copies[f"{prefix}2F{frame:03d}.jpg"] = last
        if person > ONE_CAMERA:
            tree.add("train", pid, 1 + (person + 1) % 6, frames=5)
    tree.add("test", -1, 1, frames=4)
    tree.add("test", 0, 2, frames=4)
    for pid in range(1, 17, 2):
        for camid in (1, 2) if pid > 1 else (1,):
            tree.add("test", pid, camid, frames=4)
            if camid == 1 or pid in (3, 5):  # the match of these two is a query as well
                tree.queries.append(len(tree.tracks["test"]))
    tree.copies["00-1C1T0001F002.jpg"] = "0003C1T0001F002.jpg"
    return tree
