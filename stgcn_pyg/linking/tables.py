"""Linked tracklets as tables: the identity of each, and the boxes of each in MOT's format."""

import numpy as np
import pandas as pd


def identity_table(
    tracklets: pd.DataFrame, frames: pd.DataFrame, labels: np.ndarray
) -> pd.DataFrame:
    """The identity of each tracklet, with where and when it was seen.

    Identities are numbered from 1 by first appearance: by time where it is known, and else in the
    order of the tracklets.

    Args:
        tracklets: N tracklets with ``camid`` and ``num_frames``; the index is their number.
        frames: Their frames, as :func:`.read_tracked_frames` gives them.
        labels: Cluster of each tracklet, ``[N]``, as :func:`.link_tracklets` numbers them.

    Returns:
        A row a tracklet: ``tracklet``, ``camera`` and ``track`` (empty where they are not known),
        ``camid``, ``identity``, ``first_time`` and ``last_time`` (NaN where they are not known)
        and ``num_frames``.

    Example:
        >>> tracklets = pd.DataFrame({"camid": [1, 2], "num_frames": [1, 1]}, index=[7, 8])
        >>> frames = pd.DataFrame({"tracklet": [7, 8], "time": [5.0, 2.0]})
        >>> identity_table(tracklets, frames, np.array([0, 1]))[["tracklet", "identity"]]
           tracklet  identity
        0         7         2
        1         8         1
    """
    groups = frames.groupby("tracklet")

    def of_each(column: str, which: str, absent: object) -> pd.Series:
        if column not in frames:
            return pd.Series(absent, tracklets.index)
        return groups[column].agg(which).reindex(tracklets.index)

    table = pd.DataFrame(
        {
            "camera": of_each("camera", "first", ""),
            "track": of_each("track", "first", ""),
            "camid": tracklets["camid"],
            "identity": 0,
            "first_time": of_each("time", "min", np.nan),
            "last_time": of_each("time", "max", np.nan),
            "num_frames": tracklets["num_frames"],
        }
    )
    first = table["first_time"].groupby(labels).min().to_numpy()
    number = np.argsort(np.argsort(first, kind="stable"))  # NaN is last
    table["identity"] = number[labels] + 1
    return table.rename_axis("tracklet").reset_index()


def mot_files(identities: pd.DataFrame, frames: pd.DataFrame) -> dict[int, str]:
    """The boxes of each camera with their identities, in the format of MOTChallenge's results.

    A line a box: frame (from 1), identity, left, top, width, height, confidence (1 where it is not
    known), -1, -1, -1.

    Args:
        identities: What :func:`identity_table` gives.
        frames: The frames of the tracklets with their boxes; ``frame`` counts from 0.

    Returns:
        The content of a file for each camera, by its ``camid``.

    Example:
        >>> box = {"frame": [4], "left": [1.5], "top": [2.0], "width": [30.0], "height": [80.0]}
        >>> frames = pd.DataFrame({"tracklet": [7], "camid": [3], **box})
        >>> mot_files(pd.DataFrame({"tracklet": [7], "identity": [1]}), frames)
        {3: '5,1,1.5,2.0,30.0,80.0,1.0,-1,-1,-1\\n'}
    """
    rows = frames.merge(identities[["tracklet", "identity"]], on="tracklet")
    confidence = rows["confidence"].fillna(1.0) if "confidence" in rows else 1.0
    rows = rows.assign(frame=rows["frame"] + 1, confidence=confidence, x=-1, y=-1, z=-1)
    columns = ["frame", "identity", "left", "top", "width", "height", "confidence", *"xyz"]
    return {
        int(camid): of_camera.sort_values(["frame", "identity"])[columns].to_csv(
            header=False, index=False, lineterminator="\n"
        )
        for camid, of_camera in rows.groupby("camid")
    }
