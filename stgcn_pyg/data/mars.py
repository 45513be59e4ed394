"""MARS, and whatever else is written in its layout (Zheng et al., ECCV 2016).

bbox_train/0001/0001C1T0001F001.jpg ...   person, camera, tracklet, frame
bbox_test/00-1/..., bbox_test/0000/...    junk and distractors
info/{train,test}_name.txt                the names of all frames, tracklet after tracklet
info/tracks_{train,test}_info.mat         a row a tracklet: start, end, person, camera
info/query_IDX.mat                        which test tracklets are queries
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import loadmat

from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.errors import UserError

NAME_LENGTH = len("0001C1T0001F001.jpg")
PROTOCOLS = ("mars-official", "full-gallery", "query-free")


def load_mars(root: Path) -> TrackletDataset:
    """Reads the labels of MARS and holds them against the names of the files.

    Raises:
        UserError: A file is missing or is not what it should be, or labels disagree.
    """
    info = root / "info"
    train_names = _read_names(info / "train_name.txt")
    test_names = _read_names(info / "test_name.txt")
    train = _read_tracks(info / "tracks_train_info.mat", "track_train_info", train_names)
    test = _read_tracks(info / "tracks_test_info.mat", "track_test_info", test_names)
    test.index += len(train)
    test["first_frame"] += len(train_names)
    queries = _read_queries(info / "query_IDX.mat", len(test))
    return TrackletDataset(
        name="mars",
        root=root,
        train=train,
        query=test.iloc[queries],
        gallery=test,
        frames=pd.concat(
            [_paths("bbox_train", train_names), _paths("bbox_test", test_names)], ignore_index=True
        ),
        protocols=PROTOCOLS,
    )


def _read_names(path: Path) -> np.ndarray:
    """The names of the frames, `[F]` of bytes."""
    try:
        lines = path.read_bytes().split()  # CRLF or LF
    except OSError as error:
        raise UserError(f"{path}: cannot be read; pass the folder that holds MARS") from error
    bad = next((line for line in lines if len(line) != NAME_LENGTH), None)
    if bad is not None or not lines:
        shown = f"{bad.decode(errors='replace')!r}" if bad is not None else "nothing"
        raise UserError(f"{path}: holds {shown} where a name like 0001C1T0001F001.jpg should be")
    return np.array(lines)


def _read_matrix(path: Path, variable: str) -> np.ndarray:
    if not path.is_file():
        raise UserError(f"{path}: no such file; pass the folder that holds MARS")
    try:
        content = loadmat(path)
    except Exception as error:  # scipy raises half a dozen types on a damaged file
        raise UserError(f"{path}: no readable .mat file ({error})") from error
    if variable not in content:
        found = ", ".join(key for key in content if not key.startswith("__")) or "none"
        raise UserError(f"{path}: has no variable {variable} (it has: {found})")
    return np.asarray(content[variable])


def _read_tracks(path: Path, variable: str, names: np.ndarray) -> pd.DataFrame:
    tracks = _read_matrix(path, variable)
    if tracks.ndim != 2 or tracks.shape[1] != 4 or not np.issubdtype(tracks.dtype, np.number):
        raise UserError(f"{path}: {variable} is {tracks.shape}, not a row a tracklet of 4 numbers")
    start, end, pid, camid = tracks.astype(np.int64).T  # 1-based, end included
    if len(start) == 0 or start.min() < 1 or (end < start).any() or end.max() > len(names):
        raise UserError(f"{path}: {variable} points outside the {len(names):,} names of frames")
    table = pd.DataFrame(
        {"pid": pid, "camid": camid, "first_frame": start - 1, "num_frames": end - start + 1}
    )
    _check_against_names(path, table, names)
    return table


def _check_against_names(path: Path, table: pd.DataFrame, names: np.ndarray) -> None:
    """Every frame's name must tell the person, camera and order that the table tells."""
    characters = names.view(np.uint8).reshape(len(names), NAME_LENGTH)
    pid = _number(characters[:, 0:4])
    pid[(characters[:, 0:4] == np.frombuffer(b"00-1", np.uint8)).all(axis=1)] = -1
    camid, frame = _number(characters[:, 5:6]), _number(characters[:, 12:15])
    length = table["num_frames"].to_numpy()
    begins = np.cumsum(length) - length
    inside = np.arange(length.sum()) - np.repeat(begins, length)
    row = np.repeat(table["first_frame"].to_numpy(), length) + inside  # [frames in tracklets]
    for label, told in (("pid", pid), ("camid", camid)):
        wrong = np.repeat(table[label].to_numpy(), length) != told[row]
        if wrong.any():
            first = int(wrong.argmax())
            tracklet = int(np.searchsorted(begins, first, side="right")) - 1
            raise UserError(
                f"{path}: row {tracklet + 1} says {label} {table[label].iat[tracklet]}, "
                f"but its frame is named {names[row[first]].decode(errors='replace')}"
            )
    backwards = (np.diff(frame[row]) <= 0) & (inside[1:] > 0)
    if backwards.any():
        name = names[row[int(backwards.argmax()) + 1]].decode(errors="replace")
        raise UserError(f"{path}: the frames of a tracklet are out of order at {name}")


def _number(digits: np.ndarray) -> np.ndarray:
    """ASCII digits `[F, n]` to numbers `[F]`; -2, which no label is, where one is no digit."""
    value = digits.astype(np.int64) - ord("0")
    number = value @ (10 ** np.arange(value.shape[1])[::-1])
    number[((value < 0) | (value > 9)).any(axis=1)] = -2
    return number


def _read_queries(path: Path, num_test: int) -> np.ndarray:
    queries = _read_matrix(path, "query_IDX").ravel().astype(np.int64)
    if len(queries) == 0 or queries.min() < 1 or queries.max() > num_test:
        raise UserError(f"{path}: query_IDX points outside the {num_test:,} test tracklets")
    if len(np.unique(queries)) != len(queries):
        raise UserError(f"{path}: query_IDX names a tracklet twice")
    return queries - 1


def _paths(folder: str, names: np.ndarray) -> pd.Series:
    name = pd.Series(names.astype(str))
    return f"{folder}/" + name.str[:4] + "/" + name
