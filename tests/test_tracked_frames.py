"""The frames of tracklets as a manifest lists them."""

import numpy as np
import pandas as pd
import pytest

from stgcn_pyg.data.tracked_frames import read_tracked_frames
from stgcn_pyg.errors import UserError

BOTH = pytest.mark.parametrize("suffix", ["csv", "parquet"])


def write(path, rows):
    rows.to_csv(path, index=False) if path.suffix == ".csv" else rows.to_parquet(path)
    return path


@BOTH
def test_rows_are_put_in_order_and_what_stands_in_two_splits_is_taken_once(tmp_path, suffix):
    rows = pd.DataFrame(
        {
            "path": ["NA", "b.jpg", "a.jpg", "a.jpg"],
            "camid": 2,
            "tracklet": [9, 4, 4, 4],
            "frame": [0, 7, 3, 3],
            "time": [5.0, 0.7, 0.3, 0.3],
            "track": ["01", "2", "2", "2"],
            "confidence": [0.5, None, 0.25, 0.25],
            "split": ["gallery", "gallery", "gallery", "query"],
        }
    )
    found = read_tracked_frames(write(tmp_path / f"manifest.{suffix}", rows))
    assert found["path"].tolist() == ["a.jpg", "b.jpg", "NA"]
    assert found["frame"].tolist() == [3, 7, 0]
    assert found["time"].tolist() == [0.3, 0.7, 5]
    assert found["track"].tolist() == ["2", "2", "01"]
    assert found["confidence"].isna().tolist() == [False, True, False]


ROWS = pd.DataFrame(
    {
        "path": list("abcd"),
        "camid": [1, 1, 2, 2],
        "tracklet": [0, 0, 1, 1],
        "frame": [0, 1, 0, 1],
        "time": [0.5, 1.5, None, None],
    }
)


@BOTH
def test_the_times_of_a_tracklet_may_be_unknown_but_not_of_some_of_its_frames(tmp_path, suffix):
    path = tmp_path / f"manifest.{suffix}"
    found = read_tracked_frames(write(path, ROWS))
    assert found["time"].fillna(-1).tolist() == [0.5, 1.5, -1, -1]
    said = (
        r": row 3: time ('None'|''|nan) is no number: write one in every row of tracklet 1, or "
        "leave all of them empty"
    )
    with pytest.raises(UserError, match=f"^{path}{said}$"):
        read_tracked_frames(write(path, ROWS.assign(time=[0.5, 1.5, None, 2.5])))


@BOTH
def test_columns_that_are_empty_are_left_out(tmp_path, suffix):
    rows = ROWS.assign(time=np.nan, left=np.nan, camera=None, track=np.nan, note=[[1]] * 4)
    found = read_tracked_frames(write(tmp_path / f"manifest.{suffix}", rows))
    assert list(found) == ["path", "camid", "tracklet", "frame"]


@BOTH
def test_the_name_of_a_camera_may_be_empty(tmp_path, suffix):
    rows = ROWS.assign(camera=["hall", "hall", None, None], track=[None, None, "a", "a"])
    found = read_tracked_frames(write(tmp_path / f"manifest.{suffix}", rows))
    assert found["camera"].tolist() == ["hall", "hall", "", ""]
    assert found["track"].tolist() == ["", "", "a", "a"]


def test_a_column_of_parquet_may_be_the_index_of_pandas(tmp_path):
    path = tmp_path / "manifest.parquet"
    ROWS.set_index("tracklet").to_parquet(path)
    assert read_tracked_frames(path)["tracklet"].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("a,1,0,0,0.5", "a,1,0,0,0.5,x"), "row 1 has more cells than the header: name every"),
        (("frame,time", "time,frame,time"), "has several columns time: remove or rename all"),
        (("frame", "number"), r"lacks the columns frame \(it has: path, camid, "),
    ],
)
def test_a_table_that_no_manifest_may_be_is_refused(tmp_path, change, said):
    path = tmp_path / "manifest.csv"
    path.write_text(ROWS.to_csv(index=False).replace(*change))
    with pytest.raises(UserError, match=f"^{path}: {said}[^\n]*$"):
        read_tracked_frames(path)
    path.write_text(ROWS.to_csv(index=False).splitlines()[0] + "\n")
    with pytest.raises(UserError, match=f"^{path}: has no rows"):
        read_tracked_frames(path)


def test_rows_that_end_in_a_comma_shift_no_column(tmp_path):
    path = write(tmp_path / "manifest.csv", ROWS)
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *(line + "," for line in lines), ""]))
    assert read_tracked_frames(path)["path"].tolist() == list("abcd")
