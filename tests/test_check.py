"""`stgcn check`: each fault and note is found by name, and nothing else is."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stgcn_pyg.cli import main
from stgcn_pyg.data import TrackletDataset, check_dataset, load_dataset
from stgcn_pyg.data.check.duplicates import pairs_of_equals, same_pictures
from stgcn_pyg.data.check.kinds import FAULTS, NOTES
from stgcn_pyg.data.check.pictures import Picture, read_pictures
from stgcn_pyg.data.check.tables import named_twice
from stgcn_pyg.data.check.tracklets import Tracklets
from stgcn_pyg.errors import UserError

COLUMNS = ["people", "cameras", "tracklets", "frames", "shortest", "median", "longest"]


def found(root, name="mars", **options):
    """The names of the files by the kind of what is found."""
    result = check_dataset(name, root, workers=1, progress=False, **options)
    assert {fault.kind for fault in result.faults} <= set(FAULTS)
    assert {note.kind for note in result.notes} <= set(NOTES)
    names = defaultdict(list)
    for fault in result.faults + result.notes:
        names[fault.kind].append(Path(fault.path).name)
    return dict(names)


def what(root, name="mars", **options):
    """What is said of the one thing that is found."""
    result = check_dataset(name, root, workers=1, progress=False, **options)
    ((_, said, _),) = result.faults + result.notes
    return said


@pytest.fixture
def ward(tmp_path):
    """Five people in two cameras, three frames each, in WARD's layout."""
    root = tmp_path / "ward"
    root.mkdir()
    rng = np.random.default_rng(0)
    for pid in range(1, 6):
        for camid in (1, 2):
            for frame in (1, 2, 3):
                pixels = rng.integers(0, 256, (16, 8, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(root / f"{pid:04d}{camid:04d}{frame:04d}.jpg")
    return root


def test_nothing_is_found_in_sound_data_sets(mars_tree, ward):
    assert found(mars_tree.write()) == {}
    assert found(ward, "ward") == {}


def test_ward_itself_has_frames_that_repeat_and_no_fault(ward_root):
    result = check_dataset("ward", ward_root, progress=False)
    assert result.pictures == 4_786
    assert not result.faults
    assert {note.kind for note in result.notes} == {"repeated frames"}
    repeats = [int(re.search(r"\((\d+) of \d+ do", note.what)[1]) for note in result.notes]
    contents = {path.read_bytes() for path in ward_root.glob("*.jpg")}
    assert sum(repeats) == result.pictures - len(contents) > 0


def test_the_true_labels_of_mars_have_no_fault(mars_labels, monkeypatch):
    def all_different(root, frames, workers):
        return (Picture(i.to_bytes(16, "big")) for i in range(len(frames)))

    monkeypatch.setattr("stgcn_pyg.data.check.read_pictures", all_different)
    names = found(mars_labels)
    assert {kind: len(names[kind]) for kind in names} == {"one camera": 6 + 8, "gap": 11}


# Pictures


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


def as_png(path):
    Image.new("RGB", (24, 48)).save(path, format="PNG")


def as_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: cut(path, 400), "truncated or damaged"),
        (lambda path: cut(path, -1), "truncated or damaged"),
        (lambda path: cut(path, 4), "truncated or damaged"),
        (lambda path: path.write_text("no picture"), "no picture"),
        (as_png, "wrong format"),
        (as_folder, "cannot be read"),
    ],
)
def test_a_bad_picture_is_found(mars_tree, ward, damage, kind):
    root = mars_tree.write()
    damage(root / "bbox_train" / "0004" / "0004C2T0001F003.jpg")
    assert found(root) == {kind: ["0004C2T0001F003.jpg"]}
    damage(ward / "000200010003.jpg")  # the last of a tracklet, or its absence is a gap
    if kind == "missing":
        assert found(ward, "ward") == {}  # nothing says that there was one
    else:
        assert found(ward, "ward") == {kind: ["000200010003.jpg"]}


def test_a_png_by_another_name_is_told_what_it_is(mars_tree):
    root = mars_tree.write()
    as_png(root / "bbox_train" / "0004" / "0004C2T0001F003.jpg")
    assert what(root) == "PNG, not JPEG as its name says"


def test_a_folder_in_a_pictures_place_is_told_as_the_system_tells_it(mars_tree):
    root = mars_tree.write()
    as_folder(root / "bbox_train" / "0004" / "0004C2T0001F003.jpg")
    assert what(root) == "cannot be read (Is a directory)"


def test_the_same_bytes_in_two_tracklets_are_a_fault_that_names_the_other(mars_tree, ward):
    root = mars_tree.write()
    one = root / "bbox_train" / "0002" / "0002C1T0001F002.jpg"
    shutil.copy(one, root / "bbox_test" / "0003" / "0003C2T0001F004.jpg")
    assert found(root) == {"same picture": ["0003C2T0001F004.jpg"]}
    assert what(root) == f"holds the same picture as {one}"
    shutil.copy(ward / "000100010001.jpg", ward / "000100020002.jpg")
    assert found(ward, "ward") == {"same picture": ["000100020002.jpg"]}


def test_the_same_bytes_within_a_tracklet_are_a_note_with_a_count(mars_tree):
    root = mars_tree.write()
    folder = root / "bbox_train" / "0002"
    shutil.copy(folder / "0002C1T0001F001.jpg", folder / "0002C1T0001F003.jpg")
    assert found(root) == {"repeated frames": ["0002C1T0001F003.jpg"]}
    assert what(root) == "repeats an earlier frame of its tracklet (1 of 5 does)"
    shutil.copy(folder / "0002C1T0001F001.jpg", folder / "0002C1T0001F004.jpg")
    assert what(root) == "repeats an earlier frame of its tracklet (2 of 5 do)"


def test_bad_pictures_are_no_duplicates_of_each_other(mars_tree):
    root = mars_tree.write()
    paths = [next((root / "bbox_train" / pid).iterdir()) for pid in ("0002", "0004")]
    for path in paths:
        path.write_text("the same")
    assert found(root) == {"no picture": [path.name for path in paths]}


def test_digests_are_paired_with_the_first_of_their_kind():
    rng = np.random.default_rng(0)
    digests = rng.integers(0, 256, (50, 16), dtype=np.uint8)
    digests[:, :15] = digests[0, :15]  # most bytes agree
    digests[:, 15] = rng.permutation(np.arange(50) % 40)
    seen = {}
    expected = []
    for i, digest in enumerate(map(bytes, digests)):
        if seen.setdefault(digest, i) != i:
            expected.append((i, seen[digest]))
    assert list(zip(*pairs_of_equals(digests), strict=True)) == expected
    assert len(expected) == 10


# Labels and names


def relabel(column, value):
    def bend(tree):
        tree.add("train", 2, 3, frames=5)
        tree.tracks["train"][-1][column] = value

    return bend


def rename(tree):
    tree.names["test"][-1] = "0003C2T0001F4.jpg"


def swap(tree):
    names = tree.names["train"]
    names[1], names[2] = names[2], names[1]


def point_outside(tree):
    tree.tracks["train"].append([41, 45, 2, 3])


def query_outside(tree):
    tree.queries.append(7)


def query_twice(tree):
    tree.queries.append(3)


@pytest.mark.parametrize(
    ("bend", "file", "words"),
    [
        (relabel(2, 4), "tracks_train_info.mat", "row 9 says pid 4, but its frame is named 0002C3"),
        (relabel(3, 4), "tracks_train_info.mat", "row 9 says camid 4, but its frame is named 0002"),
        (rename, "test_name.txt", "holds '0003C2T0001F4.jpg' where a name like"),
        (swap, "tracks_train_info.mat", "out of order at 0002C1T0001F002.jpg"),
        (point_outside, "tracks_train_info.mat", "points outside the 40 names of frames (row 9)"),
        (query_outside, "query_IDX.mat", "points outside the 6 test tracklets (query 3)"),
        (query_twice, "query_IDX.mat", "names a tracklet twice (tracklet 3)"),
    ],
)
def test_a_wrong_label_or_name_of_mars_is_found(mars_tree, bend, file, words):
    bend(mars_tree)
    root = mars_tree.write()
    assert found(root) == {"wrong name or label": [file]}
    assert words in what(root)
    with pytest.raises(UserError) as caught:
        load_dataset("mars", root)
    assert str(caught.value) == f"{root / 'info' / file}: {what(root)}"


def test_every_wrong_label_and_name_of_mars_is_found(mars_tree):
    tree = mars_tree
    tree.add("train", 2, 3, frames=5)
    tree.add("train", 4, 3, frames=5)
    tree.tracks["train"][-2][2] = 6
    tree.tracks["train"][-1][2:] = [8, 4]
    tree.names["train"][0] = "0002C1T0001F1.jpg"
    tree.names["train"][5] = "0002X2T0001F001.jpg"
    tree.names["test"][1] = "00-1C1T0001F002.jpg.jpg"
    tree.names["test"][12:18] = [tree.names["test"][i] for i in (13, 12, 14, 15, 17, 16)]
    tree.queries += [3, 9]
    result = check_dataset("mars", tree.write(), workers=1, progress=False)
    said = [fault.what.split(",")[0].split(" where")[0] for fault in result.faults]
    assert said == [
        "holds '0002C1T0001F1.jpg'",
        "holds '0002X2T0001F001.jpg'",
        "holds '00-1C1T0001F002.jpg.jpg'",
        "row 9 says pid 6",
        "row 10 says pid 8",
        "row 10 says camid 4",
        "the frames of a tracklet are out of order at 0003C1T0001F001.jpg",
        "query_IDX points outside the 6 test tracklets (query 4)",
        "query_IDX names a tracklet twice (tracklet 3)",
    ]
    assert not result.notes
    assert len(result.dataset.query) == 2


def test_queries_keep_their_tracklets_where_another_points_outside(mars_tree):
    mars_tree.tracks["test"].insert(2, [26, 27, 3, 3])
    mars_tree.queries = [3, 4, 5]
    root = mars_tree.write()
    result = check_dataset("mars", root, workers=1, progress=False)
    assert [fault.what.split()[-1] for fault in result.faults] == ["3)"]
    assert result.dataset.query[["pid", "camid"]].to_numpy().tolist() == [[1, 1], [3, 1]]


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        (lambda tree: tree.names.update(test=["a.jpg"] * 26), "holds 'a.jpg' where"),
        (lambda tree: tree.tracks.update(test=[[27, 28, 1, 1]] * 6), "points outside the 26 names"),
        (lambda tree: setattr(tree, "queries", [0, 9]), "points outside the 6 test tracklets"),
    ],
)
def test_labels_of_which_nothing_is_left_are_refused(mars_tree, bend, words, capsys):
    bend(mars_tree)
    assert main(["check", "mars", str(mars_tree.write())]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert words in line


def test_wrong_names_of_ward_are_found_and_refused(ward):
    for name in ("00030001001.jpg", "000300010004.JPG", "other.png"):
        shutil.copy(ward / "000300010003.jpg", ward / name)
    for name in ("readme.txt", "._000300010001.jpg"):
        (ward / name).write_text("not a picture to anyone")
    names = ["000300010004.JPG", "00030001001.jpg", "other.png"]
    assert found(ward, "ward") == {"wrong name or label": names}
    with pytest.raises(UserError, match=r"000300010004\.JPG: not named like 000100020003\.jpg"):
        load_dataset("ward", ward)


def test_a_picture_in_two_tracklets_or_twice_in_one_is_found(mars_tree):
    start, end, *labels = mars_tree.tracks["train"][1]
    mars_tree.tracks["train"].append([start + 3, end, *labels])
    root = mars_tree.write()
    result = check_dataset("mars", root, workers=1, progress=False)
    assert [Path(fault.path).name[-8:] for fault in result.faults] == ["F004.jpg", "F005.jpg"]
    assert {(fault.kind, fault.what) for fault in result.faults} == {
        (
            "named twice",
            "in two tracklets, of person 2 in camera 2 (5 frames from 0002C2T0001F001.jpg on) "
            "and of person 2 in camera 2 (2 frames from 0002C2T0001F004.jpg on)",
        )
    }
    mars_tree.tracks["train"].pop()
    mars_tree.names["train"][7] = mars_tree.names["train"][6]
    label, name = check_dataset("mars", mars_tree.write(), workers=1, progress=False).faults
    assert label.what == "the frames of a tracklet are out of order at 0002C2T0001F002.jpg"
    assert Path(name.path).name == "0002C2T0001F002.jpg"
    assert name.what.startswith("twice in one tracklet, of person 2 in camera 2 (5 frames")


def test_a_name_that_stands_twice_in_the_list_is_found(mars_tree):
    mars_tree.add("train", 2, 1, frames=2)  # as the first tracklet begins
    assert found(mars_tree.write()) == {
        "named twice": ["0002C1T0001F001.jpg", "0002C1T0001F002.jpg"]
    }


def test_short_tracklets_are_found_by_their_first_frame(mars_tree, ward):
    mars_tree.add("train", 2, 3, frames=1)
    mars_tree.add("test", -1, 1, frames=2, tracklet=2)
    root = mars_tree.write()
    assert found(root) == {"too short": ["0002C3T0001F001.jpg"]}
    assert what(root) == "its tracklet has 1 frame, fewer than 2"
    assert found(root, min_frames=1) == {}
    both = {"too short": ["0002C3T0001F001.jpg", "00-1C1T0002F001.jpg"]}
    assert found(root, min_frames=3) == both
    assert len(found(root, min_frames=7)["too short"]) == 9 + 7  # queries once, with the gallery
    for path in ward.glob("00030001*[23].jpg"):
        path.unlink()
    assert found(ward, "ward") == {"too short": ["000300010001.jpg"]}


def test_people_in_train_and_test_are_found(mars_tree):
    for camid in (1, 2):
        mars_tree.add("train", 1, camid, frames=3, tracklet=2)
    root = mars_tree.write()
    assert found(root) == {"in train and test": ["0001C1T0001F001.jpg"]}
    first = root / "bbox_train" / "0001" / "0001C1T0002F001.jpg"
    assert what(root) == f"person 1 is at test here, and in train as {first}"


def test_a_query_without_a_match_is_a_fault(mars_tree):
    mars_tree.add("test", 5, 1, frames=3)
    mars_tree.add("test", 5, 1, frames=3, tracklet=2)
    mars_tree.queries.append(7)
    assert found(mars_tree.write()) == {"no match": ["0005C1T0001F001.jpg"]}


def test_junk_matches_no_query(mars_tree):
    mars_tree.add("test", -1, 2, frames=3, tracklet=2)
    mars_tree.queries.append(1)
    assert found(mars_tree.write()) == {"no match": ["00-1C1T0001F001.jpg"]}


def test_others_in_one_camera_are_a_note(mars_tree):
    mars_tree.add("train", 10, 3, frames=3)
    mars_tree.add("test", 7, 1, frames=3)
    assert found(mars_tree.write()) == {
        "one camera": ["0010C3T0001F001.jpg", "0007C1T0001F001.jpg"]
    }


def test_one_camera_of_ward_is_a_fault_at_test_and_a_note_in_train(ward):
    dataset = load_dataset("ward", ward)
    for pid in (dataset.query["pid"].iat[0], dataset.train["pid"].iat[0]):
        for path in ward.glob(f"{pid:04d}0001*"):
            path.unlink()
    at_test, in_train = (
        f"{t['pid'].iat[0]:04d}00020001.jpg" for t in (dataset.query, dataset.train)
    )
    assert found(ward, "ward") == {"no match": [at_test], "one camera": [in_train]}


def test_a_number_left_out_is_a_note_by_the_frame_after_it(mars_tree, ward):
    (ward / "000400020002.jpg").unlink()
    assert found(ward, "ward") == {}  # of two frames one cannot tell
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
    assert tracklets.is_query_in_gallery(rows, rows * 0 + 1).nonzero()[0].tolist() == [2]
    assert tracklets.is_query_in_gallery(rows * 0 + 2, rows).nonzero()[0].tolist() == [1]
    twice = [fault.what.partition(" and of ")[2] for fault in named_twice(tracklets)]
    assert [what[:20] for what in twice[::2]] == ["person 1 in camera 2", "person 2 in camera 1"]


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
    found = list(same_pictures(Tracklets(dataset), digests, np.ones(8, dtype=bool)))
    assert [(Path(fault.path).name, fault.kind) for fault in found] == [
        ("7.jpg", "same picture"),
        (f"{2 * query}.jpg", "query in the gallery"),
    ]
    assert found[1].what == (
        f"2 of its query's 2 frames are also in the gallery's tracklet that begins with "
        f"{tmp_path / f'{2 * copy}.jpg'}"
    )


# The command


def bend_twice(tree):
    root = tree.write()
    paths = [root / "bbox_test" / "0001" / f"0001C1T0001F00{i}.jpg" for i in (1, 2, 3)]
    paths[0].write_bytes(b"")
    paths[1].unlink()
    paths[2].unlink()
    return root, paths


def test_different_faults_are_all_shown_counted_and_written(mars_tree, tmp_path, capsys):
    root, paths = bend_twice(mars_tree)
    extra = root / "bbox_train" / "0002" / "0002C1T0001F009.jpg"
    shutil.copy(root / "bbox_train" / "0002" / "0002C1T0001F001.jpg", extra)
    json_path = tmp_path / "new" / "check.json"
    assert main(["check", "mars", str(root), "--show=1", f"--json={json_path}"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == COLUMNS
    assert lines[1].split() == ["train", "4", "2", "8", "40", "5", "5", "5"]
    assert lines[3].split() == ["gallery", "4", "2", "6", "26", "3", "4", "6"]
    assert lines[4:] == [
        "",
        "faults",
        f"  missing (2): {FAULTS['missing']}",
        f"    {paths[1]}",
        "    ... and 1 more (--show prints more, --json has all)",
        f"  empty (1): {FAULTS['empty']}",
        f"    {paths[0]}",
        "",
        "notes (sound data sets have such too)",
        f"  unused (1): {NOTES['unused']}",
        f"    {extra}: on disk, but not in the labels",
        "",
        "66 pictures read: 3 faults, 1 note",
    ]
    written = json.loads(json_path.read_text())
    assert (written["dataset"], written["root"]) == ("mars", str(root))
    assert written["pictures"] == 66
    assert written["counts"]["train"]["tracklets"] == 8
    assert written["faults"] == [
        {"path": str(paths[1]), "what": "missing", "kind": "missing"},
        {"path": str(paths[2]), "what": "missing", "kind": "missing"},
        {"path": str(paths[0]), "what": "empty", "kind": "empty"},
    ]
    assert [note["kind"] for note in written["notes"]] == ["unused"]


def test_the_status_is_0_for_notes_and_2_for_mistakes(mars_tree, tmp_path, capsys):
    mars_tree.add("train", 10, 3, frames=3)
    root = mars_tree.write()
    assert main(["check", "mars", str(root), "--workers=1"]) == 0
    assert capsys.readouterr().out.endswith("69 pictures read: no faults, 1 note\n")
    for arguments, words in (
        (["mras", str(root)], "data set 'mras' is unknown"),
        (["mars", str(tmp_path / "absent")], "no such folder"),
        (["mars", str(root), "--write-manifest=a.txt"], "ends in .csv or .parquet"),
        (["mars", str(root), "--workers=0"], "workers"),
    ):
        assert main(["check", *arguments]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert words in line


def test_the_options_reach_the_check(mars_tree, ward, capsys):
    root = mars_tree.write()
    assert main(["check", "mars", str(root), "--workers=1", "--min-frames=4"]) == 1
    assert "  too short (2): " in capsys.readouterr().out
    counts = set()
    (ward / "000100010003.jpg").unlink()
    for split in range(6):
        assert main(["check", "ward", str(ward), "--workers=1", f"--split={split}"]) == 0
        counts.add(capsys.readouterr().out.splitlines()[1])
    assert len(counts) > 1


def test_a_manifest_is_written_of_a_data_set_without_fault_alone(mars_tree, capsys):
    root = mars_tree.write()
    manifest = root / "manifest.csv"
    command = ["check", "mars", str(root), "--workers=1", f"--write-manifest={manifest}"]
    assert main(command) == 0
    assert f"{manifest} is written" in capsys.readouterr().out
    before = load_dataset("mars", root)
    for split, table in load_dataset("manifest", manifest).tables().items():
        assert table["pid"].tolist() == before.tables()[split]["pid"].tolist()

    manifest.unlink()
    bend_twice(mars_tree)
    assert main(command) == 1
    assert f"{manifest} is not written, for the faults above" in capsys.readouterr().out
    assert not manifest.exists()


# The workers


def test_workers_find_what_one_process_finds_in_the_order_of_the_paths(mars_tree):
    root, _ = bend_twice(mars_tree)
    frames = load_dataset("mars", root, verify=False).frames.tolist() * 10
    alone = list(read_pictures(root, frames, workers=1))
    assert list(read_pictures(root, frames, workers=2)) == alone
    assert [picture.kind for picture in alone[46:49]] == ["empty", "missing", "missing"]


def test_a_killed_worker_is_told_in_one_line(mars_tree):
    root = mars_tree.write()
    stuck = root / "bbox_train" / "0002" / "0002C1T0001F001.jpg"
    stuck.unlink()
    os.mkfifo(stuck)  # whoever opens it waits, so the check cannot be over before the kill
    command = [sys.executable, "-m", "stgcn_pyg.cli", "check", "mars", str(root), "--workers=2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as check:
        worker = wait_for_worker(check.pid)
        start = time.perf_counter()
        os.kill(worker, signal.SIGKILL)
        _, errors = check.communicate(timeout=30)
    assert time.perf_counter() - start < 10
    assert check.returncode == 2
    assert "Traceback" not in errors
    assert errors.strip().splitlines()[-1] == (
        "stgcn check: error: a worker process was killed, most likely for want of memory: "
        "pass fewer --workers"
    )


def wait_for_worker(pid):
    """A process that decodes, by its command line."""
    for _ in range(300):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        time.sleep(0.05)
    raise AssertionError("no worker has started")
