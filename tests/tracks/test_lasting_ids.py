"""Trackers that were reset at each picture are refused, and no good file is."""

import numpy as np
import pandas as pd
import pytest

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks import tracks_of

WIDTH, HEIGHT = 40, 100


def people(centres, ids):
    """A table of boxes of one size at the centres ``[frames, people]``, with the ids there."""
    frames, number = centres.shape
    return pd.DataFrame(
        {
            "frame": np.repeat(np.arange(frames), number),
            "track": np.asarray(ids).ravel(),
            "left": centres.ravel(),
            "top": 0,
            "width": WIDTH,
            "height": HEIGHT,
        }
    )


def walking(frames, number, speed=3):
    """Left sides of people who walk to the right, each in a lane of one's own width apart."""
    return np.arange(frames)[:, None] * speed + np.arange(number) * 3 * WIDTH


def test_ids_that_are_dealt_anew_in_each_frame_are_refused():
    rng = np.random.default_rng(0)
    ids = [rng.permutation(4) + 1 for _ in range(20)]
    with pytest.raises(UserError, match=r"ids do not last: \d+ of 76 boxes stay in their place"):
        tracks_of(people(walking(20, 4), ids))


def test_a_still_person_whose_id_changes_all_the_time_is_refused():
    ids = np.arange(12)[:, None] % 2 + 1
    with pytest.raises(UserError, match="11 of 11 boxes stay in their place and change their id"):
        tracks_of(people(walking(12, 1, speed=0), ids))


def test_detections_that_were_numbered_through_are_refused():
    with pytest.raises(UserError, match="ids do not last"):
        tracks_of(people(walking(10, 3, speed=1), np.arange(30)))


def test_ids_by_place_in_the_picture_are_refused_where_people_come_and_go():
    # Numbered from the left, 1 to n: who leaves at the left makes all others one less.
    rows = []
    for frame in range(20):
        sides = walking(20, 9)[frame]
        seen = sides[(sides > 3 * frame * WIDTH / 4) & (sides < 1000)]
        rows += [(frame, i, side, 0, WIDTH, HEIGHT) for i, side in enumerate(seen, 1)]
    names = ["frame", "track", "left", "top", "width", "height"]
    with pytest.raises(UserError, match="ids do not last"):
        tracks_of(pd.DataFrame(rows, columns=names))


def test_ids_that_jump_through_the_picture_are_refused_though_nobody_overlaps():
    rng = np.random.default_rng(0)
    centres = rng.choice(100, size=(20, 3)) * 7 * WIDTH + np.arange(3) * 2 * WIDTH
    with pytest.raises(UserError, match="boxes jump away from a frame to the next"):
        tracks_of(people(centres, np.tile([1, 2, 3], 20)))


def test_the_same_people_in_every_frame_are_good_though_numbered_from_1_to_n():
    tracks = tracks_of(people(walking(30, 4), np.tile([1, 2, 3, 4], 30)))
    assert len(tracks.table) == 120


def test_people_who_are_seen_rarely_and_walk_far_in_between_are_good():
    table = people(walking(30, 4, speed=60), np.tile([1, 2, 3, 4], 30))
    assert len(tracks_of(table.assign(frame=table["frame"] * 25)).table) == 120


def test_a_queue_that_moves_up_by_a_place_from_frame_to_frame_is_good():
    # Each stands where the one before stood in the last frame, but for a little.
    centres = np.arange(30)[:, None] * 50 + np.arange(4) * 55
    ids = np.tile([3, 8, 11, 15], 30)
    table = people(centres, ids)
    assert len(tracks_of(table.assign(frame=table["frame"] * 30)).table) == 120


def test_a_few_mistakes_of_a_tracker_are_good():
    ids = np.tile([1, 2, 3, 4], (40, 1))
    ids[13] = [2, 1, 3, 4]
    assert len(tracks_of(people(walking(40, 4), ids)).table) == 160


def test_boxes_that_lie_on_one_another_are_good():
    centres = np.tile(walking(12, 1), 4)
    assert len(tracks_of(people(centres, np.tile([1, 2, 3, 4], 12))).table) == 48


def test_people_who_stand_in_several_cameras_at_one_place_are_several():
    cameras = [f"camera {number:02}" for number in range(15)]
    table = people(walking(1, 1), [1])
    tables = [table.assign(camera=name, track=name) for name in cameras]
    assert len(tracks_of(pd.concat(tables)).table) == 15


def test_each_camera_is_looked_at():
    # In each the person changes the id once; a camera's last frame is the next one's first.
    table = people(walking(2, 1, speed=0), [1, 2])
    tables = [table.assign(camera=f"{k:02}", frame=table["frame"] + k) for k in range(12)]
    with pytest.raises(UserError, match="12 of 12 boxes stay in their place"):
        tracks_of(pd.concat(tables))
