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

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
ids = texts.filter(lambda text: text and not text.lstrip("-").isdigit()) | st.integers(0).map(str)
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
        ("1,a,1", "-1,a,1", "row 2: its frame is before frame 0"),
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
