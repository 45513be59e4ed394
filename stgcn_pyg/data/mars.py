"""MARS (Zheng et al., ECCV 2016), and what has its layout: X-MARS, G2A-VReID.

bbox_train/0001/0001C1T0001F001.jpg ...   identity, camera, tracklet, frame
bbox_test/00-1/..., bbox_test/0000/...    junk and distractors
info/{train,test}_name.txt                the names of all frames, tracklet after tracklet
info/tracks_{train,test}_info.mat         a row a tracklet: start, end, identity, camera
info/query_IDX.mat                        which test tracklets are queries
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stgcn_pyg import JUNK
from stgcn_pyg.data.dataset import TrackletDataset, frames_of
from stgcn_pyg.data.label_files import Report, find_holder, read_mat_numbers
from stgcn_pyg.errors import UserError

NAME = re.compile(r"(\d{4}|00-1)C(\d)T\d{4}F(\d{3})\.jpg", re.ASCII)
SHOULD_BE = "where a name like 0001C1T0001F001.jpg should be"
TRAIN = ("track_train_info", "xmars_tracks_train_info")  # the variable in MARS, and in X-MARS
TEST = ("track_test_info", "xmars_track_test_info")
QUERIES = ("query_IDX", "xmars_query_IDX")
PROTOCOLS = ("mars-official", "full-gallery", "query-free")


def load_mars(root: Path, report: Report) -> TrackletDataset:
    """Reads the labels of MARS from the folder of ``info``, or above, against the files' names.

    Each label that disagrees with a name is reported. Rows that point at nothing are skipped; all
    others are taken as the table has them.
    """
    root = find_holder(root, "MARS", "info") or find_holder(root, "mars", "info") or root
    info = root / "info"
    train_names = _read_names(info / "train_name.txt")
    test_names = _read_names(info / "test_name.txt")
    train = _read_tracks(info / "tracks_train_info.mat", TRAIN, train_names, report, lowest_pid=0)
    test = _read_tracks(info / "tracks_test_info.mat", TEST, test_names, report, lowest_pid=JUNK)
    queries = _read_queries(info / "query_IDX.mat", test, report)
    test.index += train.index[-1] + 1
    test["first_frame"] += len(train_names.given)
    paths = [
        f"{folder}/" + names.given.str[:4] + "/" + names.given
        for folder, names in (("bbox_train", train_names), ("bbox_test", test_names))
    ]
    frames = pd.concat(paths, ignore_index=True)
    return TrackletDataset("mars", root, train, test.iloc[queries], test, frames, PROTOCOLS)


class _Names(NamedTuple):
    """The names of the frames in a file."""

    path: Path
    given: pd.Series
    labels: np.ndarray  # pid, camid and frame of each name, `[F, 3]`
    fits: np.ndarray  # whether a name has the right form, `[F]`


def _read_names(path: Path) -> _Names:
    try:
        names = path.read_bytes().decode(errors="replace").split()  # CRLF or LF
    except OSError as error:
        raise UserError(f"{path}: cannot be read; pass the folder that holds MARS") from error
    if not names:
        raise UserError(f"{path}: holds nothing {SHOULD_BE}")
    labels: np.ndarray = np.fromiter(map(_labels_in, names), np.dtype((np.int64, 3)), len(names))
    fits = labels[:, 1] >= 0
    if not fits.any():
        raise UserError(f"{path}: holds {names[0]!r} {SHOULD_BE} (name 1)")
    return _Names(path, pd.Series(names, dtype=str), labels, fits)


def _labels_in(name: str) -> tuple[int, int, int]:
    if match := NAME.fullmatch(name):
        pid, camid, frame = match.groups()
        return (JUNK if pid == "00-1" else int(pid)), int(camid), int(frame)
    return -1, -1, -1


def _read_tracks(
    path: Path, variables: tuple[str, ...], names: _Names, report: Report, lowest_pid: int
) -> pd.DataFrame:
    """The tracklets; the index is the row in the file, from 0."""
    variable, tracks = variables[0], read_mat_numbers(path, *variables)
    if tracks.ndim != 2 or tracks.shape[1] != 4:
        raise UserError(f"{path}: {variable} is {tracks.shape}, not a row a tracklet of 4 numbers")
    start, end, pid, camid = tracks.T  # 1-based, end included
    outside = (start < 1) | (end < start) | (end > len(names.given))
    what = f"{variable} points outside the {len(names.given):,} names of frames"
    if outside.all():  # also if there are no rows
        raise UserError(f"{path}: {what}")
    for row in np.flatnonzero(outside):
        report(path, f"{what} (row {row + 1})")
    too_low = ~outside & (pid < lowest_pid)
    for row in np.flatnonzero(too_low):
        what = f"{variable} says pid {pid[row]}, where {lowest_pid} is the lowest (row {row + 1})"
        report(path, what)
    if (outside | too_low).all():
        raise UserError(f"{path}: {variable} has no identity")
    table = pd.DataFrame(
        {"pid": pid, "camid": camid, "first_frame": start - 1, "num_frames": end - start + 1}
    )[~outside & ~too_low]
    _check_against_names(path, table, names, report)
    return table


def _check_against_names(path: Path, table: pd.DataFrame, names: _Names, report: Report) -> None:
    """Compares the identity, camera and order in the names of the tracklets' frames."""
    tracklet, frame = frames_of(table)
    fits, labels, given = names.fits[frame], names.labels[frame], names.given
    for i in np.unique(frame[~fits]):
        report(names.path, f"holds {given[i]!r} {SHOULD_BE} (name {i + 1})")
    for column, label in enumerate(("pid", "camid")):
        differs = table[label].to_numpy()[tracklet] != labels[:, column]
        for i in _first_of_each(tracklet, np.flatnonzero(differs & fits)):
            row = tracklet[i]
            report(
                path,
                f"row {table.index[row] + 1} says {label} {table[label].iat[row]}, "
                f"but its frame is named {given[frame[i]]}",
            )
    follows = (np.diff(tracklet) == 0) & fits[1:] & fits[:-1]
    backwards = np.flatnonzero(follows & (np.diff(labels[:, 2]) <= 0)) + 1
    # The same name again is the same frame shown for longer, and not out of order.
    repeats = given[frame[backwards]].array == given[frame[backwards - 1]].array
    for i in _first_of_each(tracklet, backwards[~repeats.astype(bool)]):
        report(path, f"the frames of a tracklet are out of order at {given[frame[i]]}")


def _first_of_each(tracklet: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The first of the places in each tracklet."""
    return places[np.unique(tracklet[places], return_index=True)[1]]


def _read_queries(path: Path, test: pd.DataFrame, report: Report) -> np.ndarray:
    """The rows of the queries in the table of test tracklets."""
    queries = read_mat_numbers(path, *QUERIES).ravel()  # 1-based
    num_test = test.index[-1] + 1
    outside = (queries < 1) | (queries > num_test)
    what = f"query_IDX points outside the {num_test:,} test tracklets"
    if outside.all():  # also if there are no queries
        raise UserError(f"{path}: {what}")
    for i in np.flatnonzero(outside):
        report(path, f"{what} (query {i + 1})")
    again = pd.Series(queries).duplicated().to_numpy() & ~outside
    for i in np.flatnonzero(again):
        report(path, f"query_IDX names a tracklet twice (tracklet {queries[i]})")
    rows = test.index.get_indexer(queries[~outside & ~again] - 1)
    rows = rows[rows >= 0]  # without those whose tracklet is reported already
    junk = test["pid"].to_numpy()[rows] < 0
    for row in rows[junk]:
        report(path, f"query_IDX names junk, of pid -1 (tracklet {test.index[row] + 1})")
    return rows[~junk]
