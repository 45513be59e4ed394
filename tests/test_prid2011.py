"""PRID 2011 from folders: which people are taken, the split by seed, and what can be wrong."""

import json
import os
import shutil

import numpy as np
import pytest
from conftest import DATA

from stgcn_pyg.data import load_dataset
from stgcn_pyg.errors import UserError

PEOPLE = [1, 5, 17, 199, 200]


def put(root, camera, pid, frames=27):
    folder = root / "prid_2011" / "multi_shot" / camera / f"person_{pid:04d}"
    folder.mkdir(parents=True)
    for frame in range(1, frames + 1):
        (folder / f"{frame:04d}.png").touch()


@pytest.fixture
def root(tmp_path):
    """Five people who count, and such as do not."""
    for pid in PEOPLE:
        put(tmp_path, "cam_a", pid)
        put(tmp_path, "cam_b", pid, frames=28)
    put(tmp_path, "cam_a", 2, frames=26)
    put(tmp_path, "cam_b", 2)
    put(tmp_path, "cam_a", 3)
    put(tmp_path, "cam_b", 3, frames=26)
    put(tmp_path, "cam_a", 201)  # two people of one number
    put(tmp_path, "cam_b", 201)
    put(tmp_path, "cam_b", 749)
    return tmp_path


def people(table):
    return sorted(set(table["pid"]))


def test_of_the_whole_178_people_are_taken_and_89_are_for_training(many_files):
    for pid in range(1, 201):
        for camera in ("cam_a", "cam_b"):
            put(many_files, camera, pid, frames=27 if pid > 22 else 26)
    for camera, last in (("cam_a", 385), ("cam_b", 749)):
        for pid in range(201, last + 1):
            put(many_files, camera, pid, frames=1)
    dataset = load_dataset("prid2011", many_files)
    assert len(people(dataset.train)) == len(people(dataset.query)) == 89
    assert not set(dataset.train["pid"]) & set(dataset.query["pid"])
    assert len(dataset.train) == len(dataset.query) == len(dataset.gallery) == 178
    assert len(dataset.frames) == 178 * 2 * 27


def test_people_of_both_cameras_with_enough_frames_in_each_are_taken(root):
    dataset = load_dataset("prid2011", root)
    assert sorted(people(dataset.train) + people(dataset.query)) == PEOPLE
    lengths = {1: 27, 2: 28}
    for table in (dataset.train, dataset.query):
        assert table["num_frames"].tolist() == [lengths[camid] for camid in table["camid"]]


def test_half_of_the_people_are_drawn_by_the_seed(root):
    for split in (0, 3):
        dataset = load_dataset("prid2011", root, split=split)
        drawn = np.random.default_rng([split]).permutation(PEOPLE)
        assert people(dataset.train) == sorted(drawn[:2])
        assert people(dataset.query) == sorted(drawn[2:])


def put_splits(folder, *splits):
    named = [
        {side: [f"person_{pid:04d}" for pid in pids] for side, pids in split.items()}
        for split in splits
    ]
    (folder / "splits_prid2011.json").write_text(json.dumps(named))


TWO_SPLITS = (
    {"train": [1, 200], "test": [5, 17, 199]},
    {"train": [2, 17, 199], "test": [1, 5]},  # the second has a person of few frames
)


@pytest.mark.parametrize("place", ["", "prid_2011"])
@pytest.mark.parametrize("passed", ["", "prid_2011"])
def test_the_published_split_counts_if_it_is_there(root, place, passed):
    put_splits(root / place, *TWO_SPLITS)
    for split, halves in enumerate(TWO_SPLITS):
        dataset = load_dataset("prid2011", root / passed, split=split)
        assert people(dataset.train) == halves["train"]
        assert people(dataset.query) == people(dataset.gallery) == halves["test"]
        assert len(dataset.train) == 2 * len(halves["train"])


def test_all_ten_published_splits_are_read(tmp_path):
    file = DATA / "prid2011_splits" / "splits_prid2011.json"
    if not file.is_file():
        pytest.skip(f"PRID's splits are not at {file}; STGCN_DATA says where to look")
    for pid in range(1, 201):
        for camera in ("cam_a", "cam_b"):
            put(tmp_path, camera, pid, frames=1)
    shutil.copy(file, tmp_path)
    halves = set()
    for split, published in enumerate(json.loads(file.read_text())):
        dataset = load_dataset("prid2011", tmp_path, split=split)
        names = [f"person_{pid:04d}" for pid in people(dataset.train)]
        assert names == sorted(published["train"]) and len(names) == 89
        assert len(people(dataset.query)) == 89
        halves.add(tuple(names))
    assert len(halves) == 10
    with pytest.raises(UserError, match="has no split 10: pass one from 0 to 9"):
        load_dataset("prid2011", tmp_path, split=10)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "no list of splits"),
        ('{"train": [], "test": []}', "no list of splits"),
        ('[{"train": ["person_0001"]}]', "no list of splits"),
        ('[{"train": ["person_0001"], "test": ["0005"]}]', "no list of splits"),
        ('[{"train": [1], "test": [5]}]', "no list of splits"),
        ("[]", "holds no split: put back the published file"),
        ("{}", "holds no split"),
        ('[{"train": ["person_0001"], "test": ["person_0001"]}]', "person_0001 in both train and"),
        (
            '[{"train": ["person_0001"], "test": ["person_0006"]}]',
            "0006, who is not in both",
        ),
        (
            '[{"train": ["person_0001"], "test": ["person_0201"]}]',
            "0201, who is not in both",
        ),
    ],
)
def test_splits_that_do_not_fit_are_refused_in_one_line(root, content, words):
    (root / "splits_prid2011.json").write_text(content)
    with pytest.raises(UserError, match=words) as caught:
        load_dataset("prid2011", root)
    assert str(caught.value).startswith(f"{root / 'splits_prid2011.json'}: ")
    assert "\n" not in str(caught.value)


def test_each_test_tracklet_is_a_query_against_the_other_camera(root):
    dataset = load_dataset("prid2011", root)
    assert dataset.protocols == ("cross-camera",)
    assert dataset.query.equals(dataset.gallery)
    assert dataset.query["camid"].tolist() == [1, 2] * 3
    first, second = (dataset.paths(dataset.query.iloc[row])[0] for row in (0, 1))
    pid = dataset.query["pid"].iat[0]
    assert first == root / f"prid_2011/multi_shot/cam_a/person_{pid:04d}/0001.png"
    assert second == root / f"prid_2011/multi_shot/cam_b/person_{pid:04d}/0001.png"


def test_the_root_is_the_folder_of_multi_shot_or_the_one_above(root):
    above = load_dataset("prid2011", root)
    here = load_dataset("prid2011", root / "prid_2011")
    assert above.root == here.root == root / "prid_2011"
    assert above.frames.equals(here.frames)


def test_frames_are_in_the_order_of_their_numbers_whatever_the_file_systems(root, monkeypatch):
    folder = root / "prid_2011/multi_shot/cam_a/person_0001"
    for number in range(2, 28):  # 10.png is before 2.png by its characters
        (folder / f"{number:04d}.png").rename(folder / f"{number}.png")
    listdir = os.listdir
    for order in (sorted, lambda names: sorted(names, reverse=True)):
        monkeypatch.setattr(os, "listdir", lambda *a, order=order: order(listdir(*a)))
        dataset = load_dataset("prid2011", root)
        for table in (dataset.train, dataset.query):
            for _, tracklet in table.iterrows():
                numbers = [int(path.stem) for path in dataset.paths(tracklet)]
                assert numbers == list(range(1, tracklet["num_frames"] + 1))


FAULTS = {
    "cam_a/person_0001/01.png": "has number 1 of the tracklet, as 0001.png has",
    "cam_a/person_0006/": "its identity is in one camera only: restore the other folder",
    "cam_b/person7/": "stands where a folder named like person_0001 should",
}
STRAYS = ["cam_a/person_0001/1.jpg", "cam_a/person_0001/0001 (1).png", "cam_a/0001.png"]


def add_fault(root, fault):
    path = root / "prid_2011" / "multi_shot" / fault
    if fault.endswith("/"):
        path.mkdir()
        (path / "0001.png").touch()
    else:
        path.touch()
    return path


def test_stray_pictures_are_passed_over(root):
    expected = load_dataset("prid2011", root)
    for stray in STRAYS:
        add_fault(root, stray)
    assert load_dataset("prid2011", root).frames.equals(expected.frames)


@pytest.mark.parametrize(("fault", "words"), FAULTS.items())
def test_a_fault_is_raised_in_one_line_that_names_its_path(root, fault, words):
    path = add_fault(root, fault)
    with pytest.raises(UserError, match=words) as caught:
        load_dataset("prid2011", root)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_all_faults_are_reported_and_passed_over(root):
    expected = load_dataset("prid2011", root)
    paths = [add_fault(root, fault) for fault in FAULTS]
    found = []
    dataset = load_dataset("prid2011", root, report=lambda path, what: found.append(path))
    assert sorted(found) == sorted(paths)
    assert dataset.frames.equals(expected.frames)
    assert all(table.equals(expected.tables()[s]) for s, table in dataset.tables().items())


def test_wrong_roots_are_refused(root, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(UserError, match="holds neither multi_shot nor prid_2011/multi_shot: pass"):
        load_dataset("prid2011", empty)
    for pid in (1, 2, 3):
        put(empty, "cam_a", pid)
        put(empty, "cam_b", pid)
    with pytest.raises(UserError, match="3 identities with enough frames are too few"):
        load_dataset("prid2011", empty)
    (root / "prid_2011" / "multi_shot" / "cam_b").rename(root / "elsewhere")
    with pytest.raises(UserError, match="cam_b: no such folder; restore it"):
        load_dataset("prid2011", root)
