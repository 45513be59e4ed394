"""DukeMTMC-VideoReID from folders: its sizes, both forms of names, and what can be wrong."""

import os
import random

import pytest
from checked import found

from stgcn_pyg.cli import main
from stgcn_pyg.data import load_dataset
from stgcn_pyg.errors import UserError

NAME = "dukemtmc-videoreid"


def put(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


@pytest.fixture
def tree(tmp_path):
    """Four tracklets to train on; two queries, of which the gallery holds the first again."""
    root = tmp_path / "DukeMTMC-VideoReID"
    put(root / "train/0001/0001", "0001C1F0001X00011.jpg", "0001C1F0002X00012.jpg")
    put(root / "train/0001/0002", "0001C2F0001X00020.jpg")
    put(root / "train/0005/0003", "0005C1F0001X00030.jpg")
    put(root / "train/0005/0004", "0005C8F0002X00040.jpg")
    put(root / "query/0002/0001", "0002_C3_F0001_X00050.jpg", "0002_C3_F0002_X00051.jpg")
    put(root / "query/0004/0001", "0004C1F0001X00060.jpg")
    put(root / "gallery/0002/0001", "0002C3F0001X00050.jpg", "0002C3F0002X00051.jpg")
    put(root / "gallery/0002/0002", "0002C5F0001X00070.jpg")
    put(root / "gallery/0004/0001", "0004C2F0001X00080.jpg")
    put(root / "gallery/7140/2193", "7140C2F0001D00090.jpg", "7140C2F0002D00091.jpg")
    return root


def labels(table):
    return table[["pid", "camid", "num_frames"]].to_numpy().tolist()


def names(dataset, table, row):
    return [path.relative_to(dataset.root).as_posix() for path in dataset.paths(table.iloc[row])]


@pytest.mark.slow
def test_it_has_its_published_sizes(many_files):
    def add(split, pid, camid, tracklet, frames):
        folder = many_files / split / f"{pid:04d}" / f"{tracklet:04d}"
        put(folder, *[f"{pid:04d}C{camid}F{f:04d}X{tracklet:05d}.jpg" for f in range(frames)])

    for tracklet in range(2_196):
        add("train", 1 + tracklet % 702, 1 + tracklet // 702, tracklet, frames=1)
    for tracklet in range(2_636):
        pid, turn = 1_000 + tracklet % 1_110, tracklet // 1_110
        add("gallery", pid, 1 + turn, tracklet, frames=1 + tracklet % 2)
        if turn == 0 and tracklet < 702:
            add("query", pid, 1, tracklet, frames=1 + tracklet % 2)

    dataset = load_dataset(NAME, many_files)
    assert len(dataset.train) == 2_196
    assert len(dataset.query) == 702
    assert len(dataset.gallery) == 2_636
    assert len(dataset.test()) == 2_636
    assert dataset.gallery_is_query().sum() == 702
    assert dataset.train["pid"].nunique() == 702
    assert dataset.query["pid"].nunique() == 702
    assert dataset.gallery["pid"].nunique() == 702 + 408
    assert len(dataset.frames) == 2_196 + 2_636 + 2_636 // 2
    assert dataset.protocols == ("duke",)


def test_labels_come_from_the_folders_and_from_either_form_of_names(tree):
    dataset = load_dataset(NAME, tree)
    assert labels(dataset.train) == [[1, 1, 2], [1, 2, 1], [5, 1, 1], [5, 8, 1]]
    assert labels(dataset.query) == [[2, 3, 2], [4, 1, 1]]
    assert labels(dataset.gallery) == [[2, 3, 2], [2, 5, 1], [4, 2, 1], [7140, 2, 2]]
    assert names(dataset, dataset.train, 3) == ["train/0005/0004/0005C8F0002X00040.jpg"]


def test_a_distractor_keeps_the_person_of_its_folder(tree):
    dataset = load_dataset(NAME, tree)
    assert dataset.gallery["pid"].iat[3] == 7140
    assert names(dataset, dataset.gallery, 3) == [
        "gallery/7140/2193/7140C2F0001D00090.jpg",
        "gallery/7140/2193/7140C2F0002D00091.jpg",
    ]


def test_a_query_that_stands_in_the_gallery_is_the_same_tracklet_there(tree):
    dataset = load_dataset(NAME, tree)
    assert dataset.train.index.tolist() == [0, 1, 2, 3]
    assert dataset.gallery.index.tolist() == [4, 5, 6, 7]
    assert dataset.query.index.tolist() == [4, 8]  # the second has no copy, though its folder has
    assert dataset.gallery_is_query().tolist() == [True, False, False, False]
    twin = ["gallery/0002/0001/0002C3F0001X00050.jpg", "gallery/0002/0001/0002C3F0002X00051.jpg"]
    assert names(dataset, dataset.query, 0) == names(dataset, dataset.gallery, 0) == twin
    assert names(dataset, dataset.query, 1) == ["query/0004/0001/0004C1F0001X00060.jpg"]


def test_frames_are_in_the_order_of_their_numbers_whatever_the_file_systems(tree, monkeypatch):
    folder = tree / "train/0001/0003"
    by_number = [
        "0001_C1_F0002_X00501.jpg",  # by its characters this is after the next
        "0001C1F0003X00502.jpg",
        "0001C1F9999X00503.jpg",
        "0001C1F10000X00504.jpg",
    ]
    put(folder, *by_number)
    expected = load_dataset(NAME, tree)
    assert [path.name for path in expected.paths(expected.train.iloc[2])] == by_number

    listdir = os.listdir
    for seed in range(5):
        shuffled = random.Random(seed)
        monkeypatch.setattr(
            os, "listdir", lambda *a, rng=shuffled: rng.sample(found := listdir(*a), len(found))
        )
        dataset = load_dataset(NAME, tree)
        assert dataset.frames.equals(expected.frames)
        assert all(table.equals(expected.tables()[s]) for s, table in dataset.tables().items())


def test_the_root_may_be_relative(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert load_dataset(NAME, ".").frames.equals(load_dataset(NAME, tree).frames)


def test_what_is_no_picture_is_passed_over(tree):
    put(tree / "gallery", ".DS_Store", "readme.txt")
    put(tree / "gallery/0002", "Thumbs.db")
    put(tree / "gallery/0002/.cache")
    put(tree / "gallery/0002/0001", "._0002C3F0003X00052.jpg", "Thumbs.db")
    assert labels(load_dataset(NAME, tree).gallery)[0] == [2, 3, 2]


FAULTS = {
    "train/0001/0001/0002C1F0003X00013.jpg": "named pid 2 in a tracklet of pid 1",
    "train/0001/0001/0001C2F0003X00013.jpg": "named camid 2 in a tracklet of camid 1",
    "train/0001/0001/0001_C1_F0002_X00012.jpg": "number 2 of the tracklet, as 0001C1F0002X00012",
    "train/0001/0009/": "holds no frames named like 0001C6F0099X30823.jpg: restore them",
    "train/person1/": "stands where a folder named like 0001 should",
}


def add_fault(tree, fault):
    if fault.endswith("/"):
        (tree / fault).mkdir()
        if "person" in fault:
            put(tree / fault / "0001", "0001C1F0001X00090.jpg")
    else:
        (tree / fault).touch()


@pytest.mark.parametrize(("fault", "words"), FAULTS.items())
def test_a_fault_is_raised_in_one_line_that_names_its_path(tree, fault, words):
    add_fault(tree, fault)
    with pytest.raises(UserError, match=words) as caught:
        load_dataset(NAME, tree)
    assert str(caught.value).startswith(f"{tree / fault}: ")
    assert "\n" not in str(caught.value)


def test_a_folder_of_frames_under_other_names_is_a_fault(tree):
    put(tree / "train/0001/0009", "0001C1F0001.jpg", "Thumbs.jpg")
    with pytest.raises(UserError, match=r"0009: holds no frames named like 0001C6F0099X30823\.jpg"):
        load_dataset(NAME, tree)


def test_stray_pictures_and_empty_folders_are_passed_over_and_noted(tree):
    expected = load_dataset(NAME, tree)
    put(tree / "train/0001/0001", "0001C1F0002X00012 (1).jpg", "Thumbs.jpg")
    put(tree / "train/0001", "0001C1F0003X00013.jpg")
    put(tree / "train", "cover.png")
    (tree / "train/person1").mkdir()
    put(tree / "train/__MACOSX", "._0001C1F0002X00012.jpg")
    dataset = load_dataset(NAME, tree)
    assert dataset.frames.equals(expected.frames)
    unused = [
        "0001C1F0002X00012 (1).jpg",
        "Thumbs.jpg",
        "0001C1F0003X00013.jpg",
        "cover.png",
    ]
    assert found(tree, NAME)["unused"] == unused


def test_a_tracklet_that_begins_at_its_second_frame_loses_none(tree):
    bare = [f"0001C4F{frame:04d}X{500 + frame:05d}.jpg" for frame in range(2, 7)]
    underscored = [f"0001_C4_F{frame:04d}_X{600 + frame:05d}.jpg" for frame in range(2, 7)]
    put(tree / "train/0001/0008", *bare)
    put(tree / "train/0001/0009", *underscored)
    dataset = load_dataset(NAME, tree)
    rows = dataset.train[dataset.train["camid"] == 4]
    assert rows["pid"].tolist() == [1, 1]
    for (_, row), names in zip(rows.iterrows(), (bare, underscored), strict=True):
        assert [path.name for path in dataset.paths(row)] == names
    assert "gap" not in found(tree, NAME)


def test_all_faults_are_reported_and_passed_over(tree):
    expected = load_dataset(NAME, tree)
    for fault in FAULTS:
        add_fault(tree, fault)
    found = []
    dataset = load_dataset(NAME, tree, report=lambda path, what: found.append(path))
    assert sorted(found) == sorted(tree / fault for fault in FAULTS)
    assert dataset.frames.equals(expected.frames)
    assert all(table.equals(expected.tables()[s]) for s, table in dataset.tables().items())


def test_a_stray_first_frame_does_not_speak_for_its_tracklet(tree):
    stray = tree / "train/0005/0003/0004C7F0000X00029.jpg"
    stray.touch()
    found = []
    dataset = load_dataset(NAME, tree, report=lambda path, what: found.append(path))
    assert found == [stray]
    assert labels(dataset.train)[2] == [5, 1, 1]


def test_a_tracklet_that_stands_twice_in_a_split_is_a_fault(tree):
    put(tree / "gallery/0002/0003", "0002C5F0001X00070.jpg")
    with pytest.raises(UserError, match=r"0002/0003: holds the same frames as .*0002/0002"):
        load_dataset(NAME, tree)
    assert len(load_dataset(NAME, tree, report=lambda path, what: None).gallery) == 4


def test_a_root_without_its_three_folders_is_refused(tree):
    with pytest.raises(UserError, match="train/train: no such folder; restore it, or pass the"):
        load_dataset(NAME, tree / "train")
    (tree / "query").rename(tree / "probe")
    with pytest.raises(UserError, match="query: no such folder"):
        load_dataset(NAME, tree)
    (tree / "query").mkdir()
    with pytest.raises(UserError, match="there are no query tracklets"):
        load_dataset(NAME, tree)


def test_the_folder_above_is_taken_too(tree):
    assert load_dataset(NAME, tree.parent).root == tree


def test_a_tracklets_folder_whose_name_is_not_in_utf8_is_a_fault(tree, capsys):
    bad = tree / "train" / "0001" / os.fsdecode(b"caf\xe9")
    put(bad, "0001C1F0001X00091.jpg")
    with pytest.raises(UserError, match="stands where a folder named like 0001 should: rename"):
        load_dataset(NAME, tree)
    assert main(["check", NAME, str(tree), "--workers", "1"]) == 1
    assert r"0001/caf\udce9: stands where" in capsys.readouterr().out
