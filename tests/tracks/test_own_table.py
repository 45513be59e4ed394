"""A table of tracks is written and read as it is."""

import math

import pandas as pd
import pytest
from full_disk import largest_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks import read_tracks, tracks_of, write_tracks
from stgcn_pyg.tracks.formats.numbers import one_id

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
names = texts.map(one_id).filter(lambda text: text and not text.lstrip("-").isdigit())
ids = names | st.integers(0).map(str)
coordinates = st.floats(-1e6, 1e6)
lengths = st.floats(1e-3, 1e6)
unknown = st.floats(0, 1) | st.just(math.nan)
rows = st.fixed_dictionaries(
    {
        "camera": texts,
        "frame": st.integers(0, 2**40),
        "track": ids,
        "left": coordinates,
        "top": coordinates,
        "width": lengths,
        "height": lengths,
        "confidence": unknown,
        "class": texts,
        "visibility": unknown,
    }
)


@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(rows, min_size=1, max_size=5, unique_by=lambda r: (r["camera"], r["frame"])))
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_is_written_is_read_again(tmp_path, suffix, rows):
    tracks = tracks_of(pd.DataFrame(rows))
    path = tmp_path / f"tracks{suffix}"
    write_tracks(tracks, path)
    again = read_tracks(path)
    assert_frame_equal(again.table, tracks.table, check_exact=True)
    assert (again.format, again.dropped) == ("table", {})


ROWS = "frame,track,left,top,width,height\n0,a,1,2,3,4\n1,a,1,2,3,4\n"


@pytest.mark.parametrize(
    "old, new, what",
    [
        ("top", "above", "is in no format of tracks|lacks the columns top"),
        ("1,a,1", "1,a,x", "row 2: its left is no number"),
        ("1,a,1", "1.5,a,1", "row 2: its frame is no whole number"),
        ("1,a,1", ",a,1", "row 2: has no frame"),
        (ROWS, "frame,track,left,top,width,height\n7,0,a,1,2,3,4\n", "its rows have more columns"),
        ("1,a,1", "0,a,1", "row 2: track a is in frame 0 again, after row 1"),
        ("1,a,1", "-1,a,1", "row 2: is of frame -1, but this format counts from 0: number frames"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_line(tmp_path, old, new, what):
    path = tmp_path / "tracks.csv"
    path.write_text(ROWS.replace(old, new, 1))
    with pytest.raises(UserError, match=rf"^{path}: ({what})[^\n]*$"):
        read_tracks(path)


def test_a_table_needs_no_more_than_boxes_and_ids(tmp_path):
    path = tmp_path / "tracks.csv"
    path.write_text(ROWS)
    tracks = read_tracks(path, camera="door")
    assert tracks.table["camera"].tolist() == ["door", "door"]


BOX = {"left": 1, "top": 2, "width": 3, "height": 4}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_ids_that_became_floats_as_one_was_missing_are_whole_numbers(tmp_path, suffix):
    path = tmp_path / f"tracks.{suffix}"
    rows = pd.DataFrame({"frame": range(4), "track": [7.0, -1.0, None, -0.0], **BOX})
    rows.to_csv(path, index=False) if suffix == "csv" else rows.to_parquet(path)
    tracks = read_tracks(path)
    assert tracks.table[["frame", "track"]].to_numpy().tolist() == [[0, "7"], [3, "0"]]
    assert tracks.dropped == {"without an id": 1, "nobody yet (id -1)": 1}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_one_id_that_is_written_in_two_ways_is_one_track(tmp_path, suffix):
    path = tmp_path / f"tracks.{suffix}"
    ids = ["3.0", "3", "007", "7", "10e1", "1e02"]
    rows = pd.DataFrame({"frame": range(6), "track": ids, **BOX})
    rows.to_csv(path, index=False) if suffix == "csv" else rows.to_parquet(path)
    tracks = read_tracks(path)
    assert tracks.table["track"].tolist() == ["3", "3", "007", "7", "10e1", "1e02"]


def test_ids_of_several_types_are_texts():
    ids = pd.Series([7, "7", 7.0, -1.0, None], dtype=object)
    tracks = tracks_of(pd.DataFrame({"frame": range(5), "track": ids, **BOX}))
    assert tracks.table["track"].tolist() == ["7", "7", "7"]
    assert tracks.dropped == {"without an id": 1, "nobody yet (id -1)": 1}


@pytest.mark.parametrize("name", ["track", "camera", "left"])
def test_a_list_in_a_cell_is_refused_in_one_line(tmp_path, name):
    path = tmp_path / "tracks.parquet"
    rows = pd.DataFrame({"frame": [0], "track": [1], **BOX}).assign(**{name: [[1]]})
    rows.to_parquet(path)
    with pytest.raises(UserError, match=rf"^{path}: (row 1: )?its {name} is no [^\n]*$"):
        read_tracks(path)


def test_a_name_with_another_end_is_refused_and_a_full_disk_leaves_nothing(tmp_path):
    path = tmp_path / "big.csv"
    path.write_text(ROWS)
    tracks = read_tracks(path)
    with pytest.raises(UserError, match=r"ends in neither \.csv nor \.parquet"):
        write_tracks(tracks, tmp_path / "tracks.txt")
    path.unlink()
    with largest_file(10), pytest.raises(UserError, match="cannot be written"):
        write_tracks(tracks, path)
    assert list(tmp_path.iterdir()) == []
