"""Tracks to tracklets: where they are split, what is kept, and which pixels are cut."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks import Tracks
from stgcn_pyg.tracks.tracklets import make_tracklets, require_fitting

SIZE = (100, 80)


def boxes(frames, track="1", left=10.0, top=20.0, width=10.0, height=20.0):
    frames = list(frames)
    columns = {"left": left, "top": top, "width": width, "height": height}
    return pd.DataFrame({"frame": frames, "track": track} | columns)


def frames_of(table):
    return [group["frame"].tolist() for _, group in table.groupby("tracklet")]


def test_a_track_is_split_at_a_gap_that_is_too_long():
    # Between 3 and 7 three frames are missing, between 7 and 12 four.
    table = boxes([1, 2, 3, 7, 12, 13])
    assert frames_of(make_tracklets(table, SIZE, max_gap=3)) == [[1, 2, 3, 7], [12, 13]]
    assert frames_of(make_tracklets(table, SIZE, max_gap=2)) == [[1, 2, 3], [7], [12, 13]]


def test_tracklets_are_numbered_by_first_frame():
    table = pd.concat([boxes([5, 6], "a"), boxes([2, 9], "b"), boxes([2], "c")])
    made = make_tracklets(table, SIZE, max_gap=3)
    assert made.groupby("tracklet")["track"].first().tolist() == ["b", "c", "a", "b"]


def test_one_frame_of_each_stretch_is_kept():
    made = make_tracklets(boxes([3, 4, 5, 6, 8, 9, 12]), SIZE, every=3)
    # Stretches from the first frame on: 3-5, 6-8, 9-11, 12-14.
    assert frames_of(made) == [[3, 6, 9, 12]]


def test_tracklets_with_too_few_kept_frames_are_left_out():
    table = pd.concat([boxes(range(5), "long"), boxes([1, 2], "short")])
    made = make_tracklets(table, SIZE, every=2, min_frames=2)
    assert made["track"].unique().tolist() == ["long"]
    assert make_tracklets(table, SIZE, min_frames=9).empty


def test_boxes_are_cut_within_the_picture_with_a_margin():
    made = make_tracklets(boxes([0], left=-2.6, top=70.0, width=10, height=20), SIZE, margin=0.1)
    # left -3.6 .. 8.4 and top 68 .. 92, rounded to the nearest edge and cut off at 0 and 80
    assert made[["x0", "y0", "x1", "y1"]].values.tolist() == [[0, 68, 8, 80]]


def test_boxes_without_a_pixel_are_left_out():
    table = pd.concat([boxes([0], left=100.0), boxes([1], width=0.2), boxes([2])])
    assert make_tracklets(table, SIZE)["frame"].tolist() == [2]


@settings(deadline=None, max_examples=50)
@given(
    st.sets(st.tuples(st.integers(0, 40), st.sampled_from("ab")), min_size=1),
    st.integers(0, 6),
    st.integers(1, 4),
)
def test_any_track_is_split_as_by_a_plain_loop(places, max_gap, every):
    made = make_tracklets(
        pd.concat([boxes([frame], track) for frame, track in sorted(places)]),
        SIZE,
        max_gap=max_gap,
        every=every,
    )
    wanted = []
    for track in "ab":
        pieces: list[list[int]] = []
        for frame in sorted(frame for frame, name in places if name == track):
            if not pieces or frame - pieces[-1][-1] > max_gap + 1:
                pieces.append([])
            pieces[-1].append(frame)
        for piece in pieces:
            kept = [piece[0]]
            for frame in piece[1:]:
                if (frame - piece[0]) // every > (kept[-1] - piece[0]) // every:
                    kept.append(frame)
            wanted.append((kept[0], track, kept))
    assert frames_of(made) == [kept for _, _, kept in sorted(wanted)]


class Video:
    path = "hall.mp4"
    count = 60
    size = SIZE


@pytest.mark.parametrize(
    ("table", "told", "said"),
    [
        (boxes([]), {}, "its tracks hold no box"),
        (boxes([-1, 0]), {}, "begin at frame -1, before the video's frame 0"),
        (
            boxes([0, 60]),
            {},
            r"end at frame 60 \(counted from 0\), but the video has 60 frames: is it truncated",
        ),
        (boxes([0, 59]), {"image_size": (50, 40)}, "is of 100 x 80 pixels, the tracks of 50 x 40"),
        (boxes([0, 59], left=300.0), {}, "2 of 2 boxes have their middle beyond"),
    ],
)
def test_tracks_of_another_video_are_refused(table, told, said):
    with pytest.raises(UserError, match=f"hall.mp4: .*{said}"):
        require_fitting("hall.mp4", Tracks(table, "boxmot", **told), Video())


def test_what_is_odd_but_can_be_right_is_said():
    def said(frames, **told):
        return require_fitting("hall.mp4", Tracks(boxes(frames), "boxmot", **told), Video())

    assert said(range(60), image_size=SIZE, num_frames=60) == []
    assert said([0, 59]) == []  # the video's last frame
    of_another, every_second = said(range(30), num_frames=30)
    assert "the tracks are of a video of 30" in of_another
    assert "pass --stride 2" in every_second
    assert "every 5th frame only" in said([0, 5, 55])[0]


def test_corners_in_place_of_width_and_height_are_noticed():
    places = np.random.default_rng(0).uniform(0, [SIZE[0] - 20, SIZE[1] - 40], (40, 2))
    right = boxes(range(40), left=places[:, 0], top=places[:, 1], width=20.0, height=40.0)
    corners = right.assign(width=right["left"] + 20, height=right["top"] + 40)
    assert require_fitting("hall.mp4", Tracks(right, "boxmot"), Video()) == []
    (said,) = require_fitting("hall.mp4", Tracks(corners, "boxmot"), Video())
    assert "look like its right and lower edge" in said
    of_the_right = corners[corners["left"] + corners["width"] / 2 > SIZE[0]]
    with pytest.raises(UserError, match=r"beyond.*look like its right"):
        require_fitting("hall.mp4", Tracks(of_the_right, "boxmot"), Video())


@pytest.mark.parametrize(
    "wrong", [{"every": 0}, {"max_gap": -1}, {"min_frames": 0}, {"margin": -1}]
)
def test_numbers_that_cut_nothing_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        make_tracklets(boxes([0]), SIZE, **wrong)
