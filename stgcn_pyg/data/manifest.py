"""A data set as one table of its frames, CSV or Parquet: for tracklets of one's own.

path,pid,camid,tracklet,frame,split
cam2/0007/0001.jpg,7,2,40,1,gallery

A manifest without the columns pid and split is of tracklets whose identities are unknown. Other
columns, such as the times and boxes that `stgcn tracklets` writes, are passed over.

Paths start from the manifest's folder. pid -1 is junk, which only the gallery may hold. Numbers may
have as many digits as fit in 64 bits; those that a program has written as floats are taken below
2^53, where they are exact. An image may be in several tracklets of one identity and camera. A
tracklet has a number of its own in the whole table; a query that also stands in the gallery has its
frames in both splits under one number. Frames are ordered by `frame`, tracklets by their first row.
"""

import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg import JUNK
from stgcn_pyg.data.dataset import TrackletDataset, frames_of
from stgcn_pyg.data.label_files import Report
from stgcn_pyg.data.table_checks import COLUMNS as TABLE_COLUMNS
from stgcn_pyg.data.table_checks import whole_numbers
from stgcn_pyg.errors import UserError, needs_extra
from stgcn_pyg.files import is_csv, write_table

NUMBERS = ("pid", "camid", "tracklet", "frame")
TEXTS = ("path", "split", "camera", "track")
COLUMNS = ("path", *NUMBERS, "split")
LABELS = ("pid", "split")
SPLITS = ("train", "gallery", "query")

ABSOLUTE = r"^(?:[/\\]|[A-Za-z]:)"
UPWARDS = r"(?:^|[/\\])\.\.(?:[/\\]|$)"
UNTIDY = r"(?:^|/)\.?/"  # ./a and a//b, which are a and a/b

Tell = Callable[[str], None]


def load_manifest(path: Path, report: Report) -> TrackletDataset:
    """Reads a manifest, a ``.csv`` or ``.parquet`` file.

    Without identities it has no protocols. Otherwise they are MARS's if some of the gallery's
    tracklets are queries too, ``cross-camera`` if all of them are, and ``full-gallery`` if none is.
    Each row that is skipped is reported by its number, which counts from 1 after the header.
    """

    def tell(what: str) -> None:
        report(path, what)

    rows = read_rows(path)
    labelled = "pid" in rows
    rows = _checked(rows if labelled else rows.assign(pid=JUNK, split="gallery"), tell)
    absent = [split for split in SPLITS if split not in set(rows["split"])]
    if absent and labelled:
        raise UserError(f"{path}: no row has the split {absent[0]}: every split needs tracklets")
    table, frames = _tabulate(rows)
    train, gallery, query = (
        table.loc[table["split"] == split, list(TABLE_COLUMNS)] for split in SPLITS
    )
    if not labelled:
        return TrackletDataset("manifest", path.parent, train, gallery, gallery, frames, ())
    are_queries = gallery.index.isin(query.index)
    if are_queries.all():
        protocols: tuple[str, ...] = ("cross-camera",)
    elif are_queries.any():
        protocols = ("mars-official", "full-gallery", "query-free")
    else:
        protocols = ("full-gallery",)
    return TrackletDataset("manifest", path.parent, train, query, gallery, frames, protocols)


def read_rows(path: Path, others: Sequence[str] | None = None) -> pd.DataFrame:
    """The rows of a manifest's file as they are, the columns of text as str.

    Args:
        path: The manifest.
        others: Columns to read, if they are there, beside path, camid, tracklet and frame. None:
            pid and split, both or none.

    Raises:
        UserError: The file cannot be read, or a column is missing or stands twice.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file: pass the manifest itself")
    read = _read_csv if is_csv(path, "pass a manifest") else _read_parquet
    try:
        rows = read(path, others)
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from error
        said = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read as a table: write it anew ({said})") from error
    if rows.empty:
        raise UserError(f"{path}: has no rows: write one a frame")
    for column in rows.columns.intersection(TEXTS):
        rows[column] = rows[column].astype(object).where(rows[column].notna(), "").astype(str)
    return rows


def _columns(path: Path, found: list[str], others: Sequence[str] | None) -> list[str]:
    """The columns of a manifest to read; a UserError if one is missing."""
    labels = LABELS if others is None and set(LABELS) & set(found) else ()
    needed = [name for name in COLUMNS if name not in LABELS or name in labels]
    if missing := [column for column in needed if column not in found]:
        advice = f"a manifest has {', '.join(needed)}"
        if len(found) == 1 and ("path;" in found[0] or "\t" in found[0]):
            advice = "write commas between the cells"
        raise UserError(
            f"{path}: lacks the columns {', '.join(missing)} (it has: {', '.join(found)}): {advice}"
        )
    wanted = [*needed, *(name for name in others or () if name in found)]
    if twice := [column for column in wanted if found.count(column) > 1]:
        raise UserError(
            f"{path}: has several columns {', '.join(twice)}: remove or rename all but one"
        )
    return wanted


def _read_parquet(path: Path, others: Sequence[str] | None) -> pd.DataFrame:
    with needs_extra("train"):
        from pyarrow import parquet  # takes a while to import

    columns = _columns(path, parquet.read_schema(path).names, others)
    table = parquet.read_table(path, columns=columns)
    # Without the last option a column with an empty cell becomes float, which rounds.
    return table.to_pandas(ignore_metadata=True, integer_object_nulls=True)


def _read_csv(path: Path, others: Sequence[str] | None) -> pd.DataFrame:
    # Of a header pandas would rename a name that stands twice.
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = (line for line in csv.reader(file) if line)
        header, first = next(lines, []), next(lines, [])
    columns = _columns(path, header, others) if header else []
    if any(first[len(header) :]):
        raise UserError(f"{path}: row 1 has more cells than the header: name every column")
    # An image may be named NA. A column must not change its type half-way.
    options: dict[str, Any] = {
        "keep_default_na": False,
        "low_memory": False,
        "index_col": False,  # nor shift where rows end in a comma
    }
    rows = pd.read_csv(path, usecols=columns, dtype=dict.fromkeys(TEXTS, str), **options)
    # One cell that is no integer makes the whole column float, which rounds: take those as text.
    inexact = [column for column in NUMBERS if column in rows and rows[column].dtype != np.int64]
    if inexact:
        texts = pd.read_csv(path, usecols=inexact, dtype=str, **options)
        rows[inexact] = texts.astype(object).where(texts.notna(), "")
    return rows


def _checked(rows: pd.DataFrame, tell: Tell) -> pd.DataFrame:
    for check in (_check_numbers, _check_paths, _check_splits, _check_repeats, _check_tracklets):
        rows = check(rows, tell)
    return rows


def _skip(
    rows: pd.DataFrame, bad: pd.Series, what: str, tell: Tell, once: list[str] | None = None
) -> pd.DataFrame:
    """The rows that are not bad; the bad ones are reported, or one for each value of `once`."""
    if not bad.any():
        return rows
    reported = rows[bad] if once is None else rows[bad].drop_duplicates(once)
    for row in reported.itertuples():
        tell(f"row {row.Index + 1}: {what.format(**row._asdict())}")
    return rows[~bad]


def _check_numbers(rows: pd.DataFrame, tell: Tell) -> pd.DataFrame:
    for column in NUMBERS:
        numbers, wrong = whole_numbers(rows[column])
        for place, what in wrong.items():
            value = rows[column].iloc[place : place + 1].tolist()[0]
            tell(f"row {rows.index[place] + 1}: {column} {value!r} {what}")
        rows = rows.assign(**{column: numbers}).drop(index=rows.index[list(wrong)])
    return rows


def _check_paths(rows: pd.DataFrame, tell: Tell) -> pd.DataFrame:
    for bad, what in (
        (r"^$", "path is empty: write the image's"),
        (ABSOLUTE, "path {path!r} is absolute: write it from the manifest's folder"),
        (UPWARDS, "path {path!r} leads out of the manifest's folder: move the manifest up"),
    ):
        rows = _skip(rows, rows["path"].str.contains(bad), what, tell)
    untidy = rows["path"].str.contains(UNTIDY)
    if not untidy.any():
        return rows
    tidy = rows.loc[untidy, "path"].map(lambda path: PurePosixPath(path).as_posix())
    return rows.assign(path=rows["path"].where(~untidy, tidy))


def _check_splits(rows: pd.DataFrame, tell: Tell) -> pd.DataFrame:
    unknown = ~rows["split"].isin(SPLITS)
    what = "split {split!r} is unknown: write train, query or gallery"
    rows = _skip(rows, unknown, what, tell)
    junk = (rows["pid"] < JUNK) | ((rows["pid"] == JUNK) & (rows["split"] != "gallery"))
    what = "pid {pid} in {split}: number identities from 0; -1, junk, is for the gallery alone"
    return _skip(rows, junk, what, tell)


def _check_repeats(rows: pd.DataFrame, tell: Tell) -> pd.DataFrame:
    """Skips frames that a tracklet has twice, and images with contradicting labels.

    Tracklets of one identity in one camera may overlap, as those of trackers do. Junk contradicts
    nothing, for no evaluation counts it.
    """
    what = "path {path!r} stands further up in this tracklet: list a frame once"
    rows = _skip(rows, rows.duplicated(["path", "tracklet", "split"]), what, tell)
    again = rows[(rows["pid"] != JUNK) & rows.duplicated("path", keep=False)]
    first = again.drop_duplicates("path").set_index("path")[["pid", "camid", "split"]]
    differs = _unlike_first(again, "path")
    what = (
        "path {path!r} is of pid {pid}, camid {camid} in {split}, and further up of pid "
        "{first_pid}, camid {first_camid} in {first_split}: mend the label that is wrong"
    )
    _skip(again.join(first.add_prefix("first_"), on="path"), differs, what, tell)
    rows = rows.drop(index=again.index[differs])
    what = "frame {frame} of tracklet {tracklet} stands further up: number its frames by time"
    return _skip(rows, rows.duplicated(["tracklet", "split", "frame"]), what, tell)


def _unlike_first(rows: pd.DataFrame, by: str) -> pd.Series:
    """Which rows contradict the labels of the first row of the same path or tracklet."""
    labels = rows[["pid", "camid"]].assign(is_train=rows["split"] == "train")
    return (labels != labels.groupby(rows[by]).transform("first")).any(axis=1)


def _check_tracklets(rows: pd.DataFrame, tell: Tell) -> pd.DataFrame:
    what = (
        "tracklet {tracklet} is of pid {pid}, camid {camid} in {split}, unlike further up: "
        "number every tracklet anew"
    )
    once = ["tracklet", "pid", "camid", "split"]
    rows = _skip(rows, _unlike_first(rows, "tracklet"), what, tell, once)

    number, is_query = rows["tracklet"], rows["split"] == "query"
    twins = number.isin(number[is_query]) & number.isin(number[rows["split"] == "gallery"])
    single = twins & ~rows.duplicated(["tracklet", "frame", "path"], keep=False)
    what = (
        "tracklet {tracklet} has other frames as a query than in the gallery: "
        "list the same in both, or number it anew"
    )
    return _skip(rows, is_query & number.isin(number[single]), what, tell, once=["tracklet"])


def _tabulate(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """A row a tracklet of each split, in the order of their first rows, and the paths."""
    block = rows.groupby(["split", "tracklet"], sort=False).ngroup().to_numpy()
    order = np.lexsort((rows["frame"].to_numpy(), block))
    rows, block = rows.iloc[order], block[order]
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    length = np.diff(starts, append=len(rows))
    table = rows.iloc[starts].set_index("tracklet").rename_axis(None)
    again = table.index.duplicated()  # in the other of query and gallery, with the same frames
    own = np.where(again, 0, length)
    first = pd.Series(np.cumsum(own) - own, table.index)[~again]
    table = table.assign(first_frame=first.reindex(table.index), num_frames=length)
    return table, rows["path"][~np.repeat(again, length)].reset_index(drop=True).rename(None)


def write_manifest(dataset: TrackletDataset, path: str | Path) -> None:
    """Writes a data set as a manifest, which :func:`load_dataset` reads by the name `manifest`.

    Loading gives the same tracklets with the same frames, in the same order; frames that are in no
    tracklet are not written. A tracklet in both query and gallery has its rows in each.

    Args:
        dataset: The data set.
        path: The file to write, ``.csv`` or ``.parquet``, in a folder above the images.

    Raises:
        UserError: The images are elsewhere; a manifest cannot hold the data set, as where a
            tracklet lists a frame twice; or the file cannot be written.
    """
    path = Path(path)
    is_csv(path, "name it as one of them")
    folder = Path(os.path.relpath(dataset.root, path.parent))
    if folder.is_absolute() or ".." in folder.parts:
        raise UserError(
            f"{path}: the images at {dataset.root} are not below its folder: write it above "
            "them, or link them into its folder and load them from there"
        )

    def refuse(what: str) -> None:
        raise UserError(f"{path}: is not written, for it could not be read again: {what}")

    rows = _rows_of(dataset)
    if not dataset.labelled:
        rows = rows[rows["split"] == "gallery"]
    rows = _checked(rows.reset_index(drop=True), refuse)
    if not dataset.labelled:
        rows = rows.drop(columns=list(LABELS))
    if folder.parts:
        rows = rows.assign(path=folder.as_posix() + "/" + rows["path"])
    write_table(path, rows)


def _rows_of(dataset: TrackletDataset) -> pd.DataFrame:
    """The rows, such that tracklets and frames first stand in the data set's own order."""
    tables = [
        # Sorted by `place`, the splits are merged by where their frames are; each keeps its order.
        table.assign(split=split, tracklet=table.index, place=table["first_frame"].cummax())
        for split, table in dataset.tables().items()
    ]
    tracklets = pd.concat(tables).sort_values("place", kind="stable")
    row, frame = frames_of(tracklets)
    rows = tracklets.iloc[row].assign(path=dataset.frames.to_numpy()[frame])
    rows["frame"] = frame - rows["first_frame"].to_numpy() + 1
    return rows[list(COLUMNS)]
