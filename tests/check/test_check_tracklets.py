"""Sound data sets have no fault; what is wrong with tracklets, people and splits is found."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checked import found, what

from stgcn_pyg.data import TrackletDataset, check_dataset, load_dataset
from stgcn_pyg.data.check.images import ReadImage, same_images
from stgcn_pyg.data.check.labels import named_twice
from stgcn_pyg.data.check.tracklets import Tracklets


def test_nothing_is_found_in_sound_data_sets(mars_tree, ward_tree):
    assert found(mars_tree.write()) == {}
    assert found(ward_tree, "ward") == {}


@pytest.mark.slow
def test_ward_itself_has_frames_that_repeat_and_no_fault(ward_root):
    result = check_dataset("ward", ward_root, progress=False)
    assert result.images == 4_786
    assert not result.faults
    assert {note.kind for note in result.notes} == {"repeated frames"}
    repeats = [int(re.search(r"\((\d+) of \d+ do", note.what)[1]) for note in result.notes]
    contents = {path.read_bytes() for path in ward_root.glob("*.jpg")}
    assert sum(repeats) == result.images - len(contents) > 0


@pytest.mark.slow
def test_the_true_labels_of_mars_have_no_fault(mars_labels, monkeypatch):
    def all_different(root, frames, workers):
        return (ReadImage(i.to_bytes(16, "big")) for i in range(len(frames)))

    monkeypatch.setattr("stgcn_pyg.data.check.read_images", all_different)
    names = found(mars_labels)
    assert {kind: len(names[kind]) for kind in names} == {"one camera": 6 + 8, "gap": 11}


def test_a_name_that_stands_twice_in_the_list_is_found(mars_tree):
    mars_tree.add("train", 2, 1, frames=2)  # as the first tracklet begins
    root = mars_tree.write()
    assert found(root) == {"listed twice": ["0002C1T0001F001.jpg"]}
    assert what(root).startswith("2 of its tracklet's 5 frames are also in the tracklet that")


def test_short_tracklets_are_found_by_their_first_frame(mars_tree, ward_tree):
    mars_tree.add("train", 2, 3, frames=1)
    mars_tree.add("test", -1, 1, frames=2, tracklet=2)
    root = mars_tree.write()
    assert found(root) == {}
    assert found(root, min_frames=2) == {"too short": ["0002C3T0001F001.jpg"]}
    assert what(root, min_frames=2) == "its tracklet has 1 frame, fewer than 2"
    both = {"too short": ["0002C3T0001F001.jpg", "00-1C1T0002F001.jpg"]}
    assert found(root, min_frames=3) == both
    assert len(found(root, min_frames=7)["too short"]) == 9 + 7  # queries once, with the gallery
    for path in ward_tree.glob("00030001*[23].jpg"):
        path.unlink()
    assert found(ward_tree, "ward") == {}
    assert found(ward_tree, "ward", min_frames=2) == {"too short": ["000300010001.jpg"]}


def test_people_in_train_and_test_are_found(mars_tree):
    for camid in (1, 2):
        mars_tree.add("train", 1, camid, frames=3, tracklet=2)
    root = mars_tree.write()
    assert found(root) == {"in train and test": ["0001C1T0001F001.jpg"]}
    first = root / "bbox_train" / "0001" / "0001C1T0002F001.jpg"
    assert what(root) == f"identity 1 is at test here, and in train as {first}"


def test_a_query_without_a_match_is_a_fault_only_if_all_are_such(mars_tree):
    mars_tree.add("test", 5, 1, frames=3)
    mars_tree.add("test", 5, 1, frames=3, tracklet=2)
    mars_tree.queries.append(7)
    assert found(mars_tree.write()) == {"query without a match": ["0005C1T0001F001.jpg"]}
    mars_tree.queries = [7]
    assert found(mars_tree.write()) == {"no match": ["0005C1T0001F001.jpg"]}


def test_junk_as_a_query_or_to_train_on_is_found(mars_tree):
    mars_tree.queries.append(1)
    root = mars_tree.write()
    assert found(root) == {"wrong name or label": ["query_IDX.mat"]}
    assert what(root) == "query_IDX names junk, of pid -1 (tracklet 1)"
    mars_tree.queries.pop()
    mars_tree.add("train", -1, 1, frames=3)
    mars_tree.add("train", 8, 3, frames=3)
    result = check_dataset("mars", mars_tree.write(), workers=1, progress=False)
    kinds = {fault.kind for fault in result.faults}
    assert kinds == {"wrong name or label"} and "says pid -1" in result.faults[0].what
    assert result.dataset.train["pid"].tolist() == [2, 2, 4, 4, 6, 6, 8, 8, 8]


def test_others_in_one_camera_are_a_note(mars_tree):
    mars_tree.add("train", 10, 3, frames=3)
    mars_tree.add("test", 7, 1, frames=3)
    assert found(mars_tree.write()) == {
        "one camera": ["0010C3T0001F001.jpg", "0007C1T0001F001.jpg"]
    }


def test_one_camera_of_ward_is_a_note_at_test_and_in_train(ward_tree):
    dataset = load_dataset("ward", ward_tree)
    for pid in (dataset.query["pid"].iat[0], dataset.train["pid"].iat[0]):
        for path in ward_tree.glob(f"{pid:04d}0001*"):
            path.unlink()
    at_test, in_train = (
        f"{t['pid'].iat[0]:04d}00020001.jpg" for t in (dataset.query, dataset.train)
    )
    assert found(ward_tree, "ward") == {
        "query without a match": [at_test],
        "one camera": [in_train],
    }


def test_a_number_left_out_is_a_note_by_the_frame_after_it(mars_tree, ward_tree):
    (ward_tree / "000400020002.jpg").unlink()
    assert found(ward_tree, "ward") == {}  # of two frames one cannot tell
    mars_tree.add("train", 2, 3, frames=9)
    del mars_tree.names["train"][-5:-3]
    mars_tree.tracks["train"][-1][1] -= 2
    root = mars_tree.write()
    assert found(root) == {"gap": ["0002C3T0001F007.jpg"]}
    assert what(root).startswith("2 numbers are left out of its tracklet")


def test_strides_are_no_gaps(mars_tree):
    mars_tree.add("train", 2, 3, frames=9)
    del mars_tree.names["train"][-8::2]
    mars_tree.tracks["train"][-1][1] -= 4
    assert found(mars_tree.write()) == {}


def test_pictures_that_nothing_uses_are_a_note(mars_tree):
    mars_tree.names["train"].append("0008C2T0001F006.jpg")
    root = mars_tree.write()
    (root / "bbox_test" / "0099").mkdir()
    for folder, name in (("bbox_train/0002", "0002C1T0001F006.jpg"), ("bbox_test/0099", "x.png")):
        shutil.copy(root / "bbox_train/0002/0002C1T0001F001.jpg", root / folder / name)
    (root / "bbox_test" / "0099" / "notes.txt").touch()
    one, other = (
        root / "bbox_train" / name
        for name in ("0002/0002C1T0001F001.jpg", "0008/0008C2T0001F006.jpg")
    )
    shutil.copy(one, other)  # no duplicate: it is not used
    assert found(root) == {"unused": ["0008C2T0001F006.jpg", "x.png", "0002C1T0001F006.jpg"]}


def test_a_query_is_told_from_other_tracklets_that_share_its_pictures(tmp_path):
    labels = {"pid": [1, 1, 1, 2], "camid": [1, 1, 2, 1], "num_frames": 2}
    table = pd.DataFrame(labels).assign(first_frame=0)
    tables = table[:1].set_axis([9]).assign(first_frame=2), table[:1], table[1:]
    frames = pd.Series([f"{i}.jpg" for i in range(4)])
    tracklets = Tracklets(TrackletDataset("any", tmp_path, *tables, frames, ("full-gallery",)))
    assert tracklets.table["split"].tolist() == ["train", "query", "gallery", "gallery", "gallery"]
    rows = np.arange(5)
    copy = tracklets.sort_pairs(rows, rows * 0 + 1)[2]
    assert copy.nonzero()[0].tolist() == [2]
    copy = tracklets.sort_pairs(rows * 0 + 2, rows)[2]
    assert copy.nonzero()[0].tolist() == [1]
    twice = [fault.what.partition(") and ")[2] for fault in named_twice(tracklets)]
    assert [what[:20] for what in twice[::2]] == ["identity 1, camera 2", "identity 2, camera 1"]


@pytest.mark.parametrize("query_first", [True, False])
def test_a_query_with_a_copy_in_the_gallery_is_a_note(tmp_path, query_first):
    table = pd.DataFrame(
        {"pid": [1, 2, 2, 2], "camid": [1, 1, 1, 2], "first_frame": [0, 2, 4, 6], "num_frames": 2}
    )
    query, copy = (1, 2) if query_first else (2, 1)
    dataset = TrackletDataset(
        name="any",
        root=tmp_path,
        train=table[:1],
        query=table.iloc[[query]],
        gallery=table.iloc[[copy, 3]],
        frames=pd.Series([f"{i}.jpg" for i in range(8)]),
        protocols=("full-gallery",),
    )
    digests = np.zeros((8, 16), dtype=np.uint8)
    digests[:, 3] = [0, 1, 2, 3, 2, 3, 6, 0]  # the last is also in train
    found = list(same_images(Tracklets(dataset), digests, np.ones(8, dtype=bool)))
    assert [(Path(fault.path).name, fault.kind) for fault in found] == [
        ("7.jpg", "same image"),
        (f"{2 * query}.jpg", "query in the gallery"),
    ]
    assert found[1].what == (
        f"2 of its tracklet's 2 frames are also in the tracklet that begins with "
        f"{tmp_path / f'{2 * copy}.jpg'} (identity 2, camera 1, gallery)"
    )
