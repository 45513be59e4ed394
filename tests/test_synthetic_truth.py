"""What is known of every frame is true of its image."""

import numpy as np
import pandas as pd
import pytest
from rendered import PARTS, bare, covered, lists, tiny, truth_of

from stgcn_pyg.synthetic.bodies import Joint, random_body, walk
from stgcn_pyg.synthetic.exact import Stream, generator


def test_ground_truth_has_a_row_for_each_image():
    truth = truth_of(covered())
    assert len(truth) == covered().frames
    for split in ("train", "test"):
        names, _ = lists(covered().path, split)
        assert truth[truth.split == split].path.str.rsplit("/", n=1).str[1].tolist() == names
    people = truth[truth.pid > 0]
    assert (
        people[["phase", "heading", "hidden", "box_dx", "box_dy", "box_scale"]]
        .notna()
        .all(axis=None)
    )
    assert (people.body_right > people.body_left).all()
    assert people.body_bottom.max() <= 64 and people.body_right.max() <= 32


def test_body_masks_lie_in_the_body_box_and_lose_what_is_occluded():
    truth = truth_of(covered()).query("pid > 0")
    body, seen = (
        np.unpackbits(np.frombuffer(b"".join(truth[name]), np.uint8)).reshape(-1, 16, 8)
        for name in ("body_mask", "seen_mask")
    )
    assert (seen <= body).all()
    rows = body.any(axis=2)
    first, last = rows.argmax(axis=1), 15 - rows[:, ::-1].argmax(axis=1)
    assert (4 * (first + 1) > truth.body_top).all() and (4 * last < truth.body_bottom).all()
    lost = 1 - seen.sum(axis=(1, 2)) / body.sum(axis=(1, 2))
    assert np.corrcoef(lost, truth.hidden)[0, 1] > 0.9


def test_joints_lie_on_the_body_that_the_image_shows():
    truth = truth_of(covered()).query("pid > 0")
    # Where the body's box lies inside the image nothing of it is cut off.
    whole = (truth.body_left > 1) & (truth.body_right < 31)
    truth = truth[whole & (truth.body_top > 1) & (truth.body_bottom < 63)]
    assert len(truth) > 100
    x, y = np.stack(truth.joints.tolist()).reshape(-1, 18, 2).transpose(2, 0, 1)
    assert np.abs(y[:, Joint.CROWN] - truth.body_top).max() < 4
    feet = [Joint.LEFT_ANKLE, Joint.LEFT_TOE, Joint.RIGHT_ANKLE, Joint.RIGHT_TOE]
    assert np.abs(y[:, feet].max(axis=1) - truth.body_bottom).max() < 4
    assert (x.min(axis=1) > truth.body_left - 1).all() and (
        x.max(axis=1) < truth.body_right + 1
    ).all()
    body = np.unpackbits(np.frombuffer(b"".join(truth.body_mask), np.uint8)).reshape(-1, 16, 8)
    pelvis = (y[:, Joint.PELVIS] // 4).astype(int), (x[:, Joint.PELVIS] // 4).astype(int)
    assert body[np.arange(len(body)), *pelvis].mean() > 0.95


def test_junk_says_what_is_wrong_with_it_and_has_joints_only_where_somebody_is():
    truth = truth_of(covered())
    assert set(truth[truth.pid >= 0].fault) == {"none"}
    junk = truth[truth.pid == -1]
    assert set(junk.fault) == {"half", "size", "empty"}
    assert (junk.joints.isna() == (junk.fault == "empty")).all()
    assert (junk.hidden.isna() | (junk.fault != "empty")).all()


def test_strangers_bodies_are_known_as_those_of_identities():
    people = pd.read_parquet(covered().path / "people.parquet")
    strangers = pd.read_parquet(covered().path / "strangers.parquet")
    assert strangers.columns.tolist()[3:] == people.columns.tolist()[3:]
    keys = ["pid", "camid", "tracklet"]
    seen = truth_of(covered()).query("pid <= 0")[keys].drop_duplicates()
    assert sorted(map(tuple, seen.values)) == sorted(map(tuple, strangers[keys].values))
    assert strangers.height.between(1.54, 1.94).all() and strangers.height.nunique() == 19


@pytest.mark.parametrize("asked", [0.15, 0.7])
def test_as_much_is_occluded_on_average_as_asked(tmp_path, asked):
    benchmark = tiny(
        tmp_path / "set", test_people=12, frames=(4, 6), tracklets_per_camera=3, occlusion=asked
    )
    people = truth_of(benchmark).query("pid >= 0")
    assert people.hidden.mean() == pytest.approx(asked, abs=0.05)
    assert benchmark.occlusion == pytest.approx(people.hidden.mean())
    assert people.groupby(["pid", "camid", "tracklet"]).hidden.mean().std() > 0.02


def test_the_occluded_share_is_that_of_the_parts():
    truth = truth_of(covered()).query("pid > 0")
    shares = truth[[f"hidden_{part}" for part in PARTS]]
    assert (shares.min(axis=1) <= truth.hidden + 1e-9).all()
    assert (shares.max(axis=1) >= truth.hidden - 1e-9).all()
    assert truth.hidden.between(0, 1).all() and truth.hidden.mean() == pytest.approx(0.3, abs=0.06)


def test_what_is_occluded_in_one_frame_shows_in_another():
    truth = truth_of(covered()).query("pid > 0")
    parts = truth[[f"hidden_{part}" for part in PARTS]]
    grouped = parts.groupby([truth.pid, truth.camid, truth.tracklet])
    changes = (grouped.max() - grouped.min()).max(axis=1)
    assert (changes > 0.2).mean() > 0.9
    often_hidden = grouped.max() > 0.8
    shown_elsewhere = grouped.min() < 0.2
    assert (often_hidden & shown_elsewhere).sum(axis=None) > 0.4 * often_hidden.sum(axis=None)


def test_without_occlusion_nothing_is_occluded():
    truth = truth_of(bare())
    assert (truth.hidden == 0).all()
    assert (truth.body_mask == truth.seen_mask).all()


def test_a_walker_keeps_a_foot_on_the_ground_and_all_bones_their_length():
    body = random_body(generator(0, Stream.BODY, 1))
    pose = walk(body, np.linspace(0, 2 * np.pi, 20))
    feet = pose[:, [Joint.LEFT_ANKLE, Joint.LEFT_TOE, Joint.RIGHT_ANKLE, Joint.RIGHT_TOE], 2]
    assert np.allclose((feet - [0.075, 0.035, 0.075, 0.035]).min(axis=1), 0)
    for start, end in ((Joint.LEFT_SHOULDER, Joint.LEFT_ELBOW), (Joint.NECK, Joint.CROWN)):
        bone = np.linalg.norm(pose[:, start] - pose[:, end], axis=-1)
        assert np.allclose(bone, bone[0])
    assert pose[:, Joint.CROWN, 2].max() == pytest.approx(body.height, rel=0.04)
