"""What a user chooses of the tracks, and what is counted as dropped."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks import COLUMNS, read_tracks, tracks_of


def table(*rows):
    """A table of frame, track, left, top, width and height."""
    return pd.DataFrame(rows, columns=["frame", "track", "left", "top", "width", "height"])


def left_of(tracks):
    return tracks.table["left"].tolist()


def test_a_table_has_all_columns_sorted_by_camera_frame_and_row():
    rows = table([2, 1, 5, 0, 4, 8], [0, 9, 1, 0, 4, 8], [0, 3, 2, 0, 4, 8], [1, 1, 3, 0, 4, 8])
    cameras = pd.Categorical(["a", "b", "b", "a"], ["b", "a"])
    tracks = tracks_of(rows.assign(camera=cameras))
    assert list(tracks.table) == list(COLUMNS)
    assert left_of(tracks) == [3, 5, 1, 2]
    assert tracks.table["frame"].dtype == np.int64
    assert tracks.table.index.tolist() == [0, 1, 2, 3]
    assert tracks.table.iloc[0][["class", "track", "camera"]].tolist() == ["", "1", "a"]
    assert tracks.table[["confidence", "visibility"]].isna().all(axis=None)


def test_boxes_are_clipped_to_the_picture_and_those_beyond_it_go():
    rows = table(
        [0, "whole", 0, 0, 64, 48],
        [0, "over the corner", -3, -4, 10, 10],
        [0, "below", 60, 40, 10, 10],
        [0, "left", -10, 5, 10, 10],
        [0, "right", 64, 5, 10, 10],
        [0, "flat", 5, 5, 10, 0],
    )
    tracks = tracks_of(rows, image_size=(64, 48))
    boxes = tracks.table[["track", "left", "top", "width", "height"]].to_numpy().tolist()
    assert boxes == [
        ["whole", 0, 0, 64, 48],
        ["over the corner", 0, 0, 7, 6],
        ["below", 60, 40, 4, 8],
    ]
    assert tracks.dropped == {"too small": 1, "beyond the picture": 2}
    assert left_of(tracks_of(rows)) == [0, -3, 60, -10, 64]


def test_a_box_within_the_picture_keeps_its_very_numbers():
    row = [0, 1, 0.1, 0.1, 0.2, 0.2]  # 0.1 + 0.2 - 0.1 is another number
    tracks = tracks_of(table(row), image_size=(64, 48))
    assert tracks.table.iloc[0][["left", "width", "height"]].tolist() == [0.1, 0.2, 0.2]


def test_boxes_that_all_lie_beyond_the_picture_are_refused():
    with pytest.raises(UserError, match="all 2 boxes lie beyond the picture of 64 x 48 pixels"):
        tracks_of(table([0, 1, 100, 0, 4, 8], [1, 1, 100, 0, 4, 8]), image_size=(64, 48))


def test_small_hidden_and_short_tracks_go():
    rows = table(
        *([0, "a", 1, 0, 4, 8], [1, "a", 2, 0, 4, 8]),
        *([0, "b", 20, 0, 4, 7], [1, "b", 21, 0, 4, 8]),
        *([0, "c", 40, 0, 4, 8], [1, "c", 41, 0, 4, 8]),
        [0, "d", 60, 0, 4, 8],
    ).assign(visibility=[1, np.nan, 1, 1, 0.25, 0.5, 1])
    assert left_of(tracks_of(rows, min_height=8)) == [1, 40, 60, 2, 21, 41]
    tracks = tracks_of(rows, min_height=8, min_visibility=0.5, min_frames=2)
    assert left_of(tracks) == [1, 2]
    assert tracks.dropped == {"too small": 1, "seen too little": 1, "track too short": 3}


def test_the_height_that_counts_is_that_within_the_picture():
    rows = table([0, 1, 0, 40, 4, 20], [1, 1, 0, 10, 4, 20])
    tracks = tracks_of(rows, image_size=(64, 48), min_height=20)
    assert tracks.table["frame"].tolist() == [1]


def test_a_track_is_too_short_by_camera():
    rows = table([0, 1, 1, 0, 4, 8], [1, 1, 2, 0, 4, 8], [0, 1, 3, 0, 4, 8])
    tracks = tracks_of(rows.assign(camera=["a", "a", "b"]), min_frames=2)
    assert left_of(tracks) == [1, 2]


def test_frames_are_the_videos():
    rows = table([4, 1, 1, 0, 4, 8], [6, 1, 2, 0, 4, 8])
    assert tracks_of(rows, first_frame=4, stride=5).table["frame"].tolist() == [0, 10]
    with pytest.raises(
        UserError, match="row 1: is of frame 4, but first_frame is 5: pass --first-fr"
    ):
        tracks_of(rows, first_frame=5)


def test_a_camera_is_named_or_picked():
    rows = table([0, 1, 1, 0, 4, 8], [0, 1, 2, 0, 4, 8])
    named = tracks_of(rows.assign(track=[1, 2]), camera="door")
    assert named.table["camera"].tolist() == ["door", "door"]
    two = rows.assign(camera=["a", "b"])
    picked = tracks_of(two, camera="b")
    assert (left_of(picked), picked.dropped) == ([2], {"other camera": 1})
    with pytest.raises(UserError, match="has no camera 'c': name one of a, b"):
        tracks_of(two, camera="c")


def test_one_id_may_be_in_a_frame_of_each_camera_but_only_once():
    rows = table([0, 1, 1, 0, 4, 8], [0, 1, 2, 0, 4, 8])
    assert len(tracks_of(rows.assign(camera=["a", "b"])).table) == 2
    with pytest.raises(UserError, match="row 2: track 1 is in frame 0 again, after row 1"):
        tracks_of(rows)


def test_ids_of_any_type_are_text_and_nobody_is_left_out():
    box = [0, 4, 8]
    ids = ["0", "-1", "", None, "b-1", "9007199254740993", "-27"]
    rows = table(*([0, track, 20 * i, *box] for i, track in enumerate(ids)))
    tracks = tracks_of(rows)
    assert tracks.table["track"].tolist() == ["0", "b-1", "9007199254740993"]
    assert tracks.dropped == {"without an id": 2, "nobody yet (id -1)": 2}
    numbers = rows.assign(track=[0, -1, np.nan, np.nan, 7, 8.0, -2])
    assert tracks_of(numbers).table["track"].tolist() == ["0", "7", "8"]
    with pytest.raises(UserError, match="track 9007199254740992 is a float that may have been"):
        tracks_of(rows.assign(track=2.0**53))


def test_a_class_that_is_missing_is_empty():
    rows = table([0, 1, 1, 0, 4, 8], [0, 2, 20, 0, 4, 8]).assign(**{"class": [None, "car"]})
    assert tracks_of(rows).table["class"].tolist() == ["", "car"]


def test_classes_are_taken_by_name():
    rows = table([0, 1, 1, 0, 4, 8], [0, 2, 20, 0, 4, 8]).assign(**{"class": ["Person", "car"]})
    assert left_of(tracks_of(rows)) == [1, 20]
    assert left_of(tracks_of(rows, classes=["person"])) == [1]
    assert left_of(tracks_of(rows, classes="car")) == [20]


@pytest.mark.parametrize(
    "choice",
    [
        {"stride": 0},
        {"first_frame": -1},
        {"min_frames": 0},
        {"min_height": float("nan")},
        {"min_visibility": -1},
        {"image_size": (64, 0)},
        {"image_size": (64,)},
    ],
)
def test_a_choice_that_cannot_be_is_named(choice):
    with pytest.raises(UserError, match=rf"^{next(iter(choice))}=.*: pass [^\n]+$"):
        tracks_of(table([0, 1, 1, 0, 4, 8]), **choice)


def test_detections_are_read_frame_by_frame():
    def seen(xyxy, tracker_id, class_id=None, confidence=None):
        xyxy = np.array(xyxy, dtype=np.float32).reshape(-1, 4)
        return SimpleNamespace(
            xyxy=xyxy, tracker_id=tracker_id, class_id=class_id, confidence=confidence
        )

    one, two = [10, 20, 15, 40], [50, 20, 55, 40]
    frames = [
        seen([], None),
        seen([one], None),
        seen([one, two], np.array([4, -1]), np.array([0, 2]), np.array([0.5, 0.25])),
        seen([two, one], np.array([5, 4]), np.array([2, 0]), np.array([0.25, 0.5])),
    ]
    tracks = tracks_of(frames, first_frame=0, stride=2)
    assert tracks.table.drop(columns=["camera", "visibility"]).to_numpy().tolist() == [
        [4, "4", 10, 20, 5, 20, 0.5, "0"],
        [6, "5", 50, 20, 5, 20, 0.25, "2"],
        [6, "4", 10, 20, 5, 20, 0.5, "0"],
    ]
    assert tracks.dropped == {"without an id": 1, "nobody yet (id -1)": 1}
    with pytest.raises(UserError, match="frame 1: is a dict, not supervision's Detections"):
        tracks_of([frames[0], {}])
    with pytest.raises(UserError, match="there are no frames"):
        tracks_of([])


def test_a_summary_says_what_was_read_assumed_and_dropped(tmp_path):
    path = tmp_path / "tracks.txt"
    path.write_text("1,-1,1,2,30,60,0.9,-1,-1,-1\n4,0,1,2,30,60,0.9,-1,-1,-1\n")
    assert read_tracks(path, camera="door").summary().splitlines() == [
        "trackers: 1 box of 1 track, 1 camera in frames 3 to 3",
        "assumed: written by trackers, by its columns",
        "assumed: columns 3 to 6 are left, top, width and height, in pixels from 0",
        "assumed: frame 1 is the video's first",
        "dropped: 1 nobody yet (id -1)",
    ]
