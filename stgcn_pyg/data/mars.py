"""MARS (Zheng et al., ECCV 2016), and what has its layout: X-MARS, G2A-VReID.

bbox_train/0001/0001C1T0001F001.jpg ...   identity, camera, tracklet, frame
bbox_test/00-1/..., bbox_test/0000/...    junk and distractors
info/{train,test}_name.txt                the names of all frames, tracklet after tracklet
info/tracks_{train,test}_info.mat         a row a tracklet: start, end, identity, camera
info/query_IDX.mat                        which test tracklets are queries
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.label_files import Report, read_mat_numbers, stop_at
from stgcn_pyg.data.table_checks import JUNK
from stgcn_pyg.errors import UserError

FORM = np.frombuffer(b"0000C0T0000F000.jpg", np.uint8)  # of a name, 0 for any digit
SHOULD_BE = "where a name like 0001C1T0001F001.jpg should be"
JUNK_NAME = np.frombuffer(b"00-1", np.uint8)  # begins a name of junk
TRAIN = ("track_train_info", "xmars_tracks_train_info")  # the variable in MARS, and in X-MARS
TEST = ("track_test_info", "xmars_track_test_info")
QUERIES = ("query_IDX", "xmars_query_IDX")
PROTOCOLS = ("mars-official", "full-gallery", "query-free")


def load_mars(root: Path, report: Report = stop_at) -> TrackletDataset:
    """Reads the labels of MARS and compares them with the names of the files.

    Args:
        root: The folder that holds ``info``, ``bbox_train`` and ``bbox_test``.
        report: Called with each label that disagrees with a name or has another form. Rows that
            point at nothing are passed over; all others are taken as the table has them.

    Raises:
        UserError: A file is missing or is not what it should be, or nothing is left.
    """
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
    """The names of the frames, `[F]`."""

    path: Path  # of the file that holds them
    given: pd.Series
    formed: np.ndarray  # as bytes; empty where a name has not the right form


def _read_names(path: Path) -> _Names:
    try:
        lines = path.read_bytes().split()  # CRLF or LF
    except OSError as error:
        raise UserError(f"{path}: cannot be read; pass the folder that holds MARS") from error
    if not lines:
        raise UserError(f"{path}: holds nothing {SHOULD_BE}")
    formed = np.array(lines, dtype=f"S{len(FORM)}")  # cuts what is longer
    fits = _fit(formed) & (np.array([len(line) for line in lines]) == len(FORM))
    wrong = np.flatnonzero(~fits)
    shown = [lines[i].decode(errors="replace") for i in wrong]
    if not fits.any():
        raise UserError(f"{path}: holds {shown[0]!r} {SHOULD_BE} (name 1)")
    formed[wrong] = b""
    given = pd.Series(formed.astype(str))
    given[wrong] = shown
    return _Names(path, given, formed)


def _characters(names: np.ndarray) -> np.ndarray:
    return names.view(np.uint8).reshape(len(names), len(FORM))


def _fit(names: np.ndarray) -> np.ndarray:
    """Which names have the right form."""
    characters = _characters(names)
    digit = (characters >= ord("0")) & (characters <= ord("9"))
    fits = np.where(np.equal(FORM, ord("0")), digit, characters == FORM)
    fits[(characters[:, :4] == JUNK_NAME).all(axis=1), :4] = True
    return np.all(fits, axis=1)


def _read_numbers(path: Path, variables: tuple[str, ...]) -> np.ndarray:
    """The first of these variables that a file of labels has."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; pass the folder that holds MARS")
    return read_mat_numbers(path, variables)


def _read_tracks(
    path: Path, variables: tuple[str, ...], names: _Names, report: Report, lowest_pid: int
) -> pd.DataFrame:
    """The tracklets; the index is the row in the file, from 0."""
    variable, tracks = variables[0], _read_numbers(path, variables)
    if tracks.ndim != 2 or tracks.shape[1] != 4:
        raise UserError(f"{path}: {variable} is {tracks.shape}, not a row a tracklet of 4 numbers")
    start, end, pid, camid = tracks.T  # 1-based, end included
    outside = (start < 1) | (end < start) | (end > len(names.formed))
    what = f"{variable} points outside the {len(names.formed):,} names of frames"
    if outside.all():  # also if there are no rows
        raise UserError(f"{path}: {what}")
    for row in np.flatnonzero(outside):
        report(path, f"{what} (row {row + 1})")
    nobody = ~outside & (pid < lowest_pid)
    for row in np.flatnonzero(nobody):
        what = f"{variable} says pid {pid[row]}, where {lowest_pid} is the lowest (row {row + 1})"
        report(path, what)
    if (outside | nobody).all():
        raise UserError(f"{path}: {variable} has no person")
    table = pd.DataFrame(
        {"pid": pid, "camid": camid, "first_frame": start - 1, "num_frames": end - start + 1}
    )[~outside & ~nobody]
    _check_against_names(path, table, names, report)
    return table


def _check_against_names(path: Path, table: pd.DataFrame, given: _Names, report: Report) -> None:
    """Compares the identity, camera and order in each frame's name with the table's.

    Names that no tracklet uses are not looked at.
    """
    names = given.formed
    characters = _characters(names)
    pid, camid = _number(characters[:, 0:4]), _number(characters[:, 5:6])
    pid[(characters[:, 0:4] == JUNK_NAME).all(axis=1)] = JUNK
    number = _number(characters[:, 12:15])
    length = table["num_frames"].to_numpy()
    begins = np.cumsum(length) - length
    tracklet = np.repeat(np.arange(len(table)), length)
    frame = table["first_frame"].to_numpy()[tracklet] + np.arange(len(tracklet)) - begins[tracklet]
    named = names[frame] != b""  # has the right form
    for i in np.unique(frame[~named]):
        report(given.path, f"holds {given.given[i]!r} {SHOULD_BE} (name {i + 1})")
    for label, named_so in (("pid", pid), ("camid", camid)):
        wrong = np.flatnonzero((table[label].to_numpy()[tracklet] != named_so[frame]) & named)
        for i in _first_of_each(tracklet, wrong):
            row = tracklet[i]
            report(
                path,
                f"row {table.index[row] + 1} says {label} {table[label].iat[row]}, "
                f"but its frame is named {names[frame[i]].decode()}",
            )
    follows = (np.diff(tracklet) == 0) & named[1:] & named[:-1]
    backwards = np.flatnonzero(follows & (np.diff(number[frame]) <= 0)) + 1
    # The same name again is the same frame shown for longer, and not out of order.
    backwards = backwards[names[frame[backwards]] != names[frame[backwards - 1]]]
    for i in _first_of_each(tracklet, backwards):
        name = names[frame[i]].decode()
        report(path, f"the frames of a tracklet are out of order at {name}")


def _first_of_each(tracklet: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The first of the places in each tracklet."""
    return places[np.unique(tracklet[places], return_index=True)[1]]


def _number(digits: np.ndarray) -> np.ndarray:
    """ASCII digits `[F, n]` to numbers `[F]`."""
    value = digits.astype(np.int64) - ord("0")
    return value @ (10 ** np.arange(value.shape[1])[::-1])


def _read_queries(path: Path, test: pd.DataFrame, report: Report) -> np.ndarray:
    """The rows of the queries in the table of test tracklets."""
    queries = _read_numbers(path, QUERIES).ravel()  # 1-based
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
