"""iLIDS-VID from folders: its makers' splits, the split by seed, and what can be wrong."""

import os

import numpy as np
import pytest
from scipy.io import savemat

from stgcn_pyg.data import load_dataset
from stgcn_pyg.errors import UserError

PEOPLE = [1, 3, 7, 12, 30, 319]
NUMBERS = (100000, 99999, 317, 9)  # neither in order nor in the order of their characters


def put_person(root, pid, numbers=NUMBERS, cameras=(1, 2)):
    for camid in cameras:
        folder = root / "i-LIDS-VID" / "sequences" / f"cam{camid}" / f"person{pid:03d}"
        folder.mkdir(parents=True)
        for number in numbers:
            (folder / f"cam{camid}_person{pid:03d}_{number:05d}.png").touch()


def put_splits(folder, rows, variable="ls_set"):
    folder = folder / "train-test people splits"
    folder.mkdir(parents=True)
    savemat(folder / "train_test_splits_ilidsvid.mat", {variable: np.array(rows, dtype=float)})


@pytest.fixture
def root(tmp_path):
    for pid in PEOPLE:
        put_person(tmp_path, pid)
    return tmp_path


def people(table):
    return sorted(set(table["pid"]))


def test_it_has_its_published_sizes(many_files):
    for pid in range(1, 301):
        put_person(many_files, pid, numbers=[1])
    put_splits(many_files, [np.random.default_rng(i).permutation(300) + 1 for i in range(10)])
    dataset = load_dataset("ilids-vid", many_files, split=9)
    assert len(dataset.frames) == 600
    assert len(dataset.train) == len(dataset.query) == len(dataset.gallery) == 300
    assert len(people(dataset.train)) == len(people(dataset.query)) == 150
    assert not set(dataset.train["pid"]) & set(dataset.query["pid"])


def test_the_root_is_the_folder_of_the_sequences_or_the_one_above(root):
    above = load_dataset("ilids-vid", root)
    here = load_dataset("ilids-vid", root / "i-LIDS-VID")
    assert above.root == here.root == root / "i-LIDS-VID"
    assert above.frames.equals(here.frames)
    assert above.frames[0] == "sequences/cam1/person001/cam1_person001_00009.png"


def test_half_of_the_people_are_drawn_by_the_seed(root):
    for split in (0, 3):
        dataset = load_dataset("ilids-vid", root, split=split)
        drawn = np.random.default_rng([split]).permutation(PEOPLE)
        assert people(dataset.train) == sorted(drawn[:3])
        assert people(dataset.query) == sorted(drawn[3:])


def test_each_test_tracklet_is_a_query_against_the_other_camera(root):
    dataset = load_dataset("ilids-vid", root)
    assert dataset.protocols == ("cross-camera",)
    assert dataset.query.equals(dataset.gallery)
    assert dataset.query["camid"].tolist() == [1, 2] * 3
    assert (dataset.train["num_frames"] == 4).all()
    tracklet = dataset.query.iloc[1]
    names = [f"cam2_person{tracklet['pid']:03d}" for _ in range(4)]
    assert [path.name[:14] for path in dataset.paths(tracklet)] == names


def test_frames_are_in_the_order_of_their_numbers_whatever_the_file_systems(root, monkeypatch):
    listdir = os.listdir
    for order in (sorted, lambda names: sorted(names, reverse=True)):
        monkeypatch.setattr(os, "listdir", lambda *a, order=order: order(listdir(*a)))
        dataset = load_dataset("ilids-vid", root)
        for table in (dataset.train, dataset.query):
            for _, tracklet in table.iterrows():
                paths = dataset.paths(tracklet)
                numbers = [int(path.stem.rsplit("_", 1)[1]) for path in paths]
                assert numbers == [9, 317, 99999, 100000]


@pytest.mark.parametrize("place", ["", "i-LIDS-VID"])
@pytest.mark.parametrize("passed", ["", "i-LIDS-VID"])
def test_the_makers_split_counts_if_it_is_there(root, place, passed):
    # The first half is for test: the people who are fifth, second and third are trained on.
    put_splits(root / place, [[1, 2, 3, 4, 5, 6], [6, 1, 4, 5, 2, 3]])
    dataset = load_dataset("ilids-vid", root / passed, split=1)
    assert people(dataset.train) == [3, 7, 30]
    assert people(dataset.query) == [1, 12, 319]
    assert people(load_dataset("ilids-vid", root, split=0).train) == [12, 30, 319]


def test_the_makers_numbers_are_places_among_the_sorted_folders(root, monkeypatch):
    # Not numbers of people, which have holes, nor places in the file system's order.
    put_splits(root, [[6, 1, 4, 5, 2, 3]])
    listdir = os.listdir
    for seed in range(5):
        shuffled = np.random.default_rng(seed).permutation
        monkeypatch.setattr(os, "listdir", lambda *a, mix=shuffled: mix(listdir(*a)).tolist())
        dataset = load_dataset("ilids-vid", root)
        assert people(dataset.query) == [1, 12, 319]  # the first half of the row is for test
        assert people(dataset.train) == [3, 7, 30]


def test_the_makers_split_is_found_from_within(root, monkeypatch):
    put_splits(root, [[6, 1, 4, 5, 2, 3]])
    monkeypatch.chdir(root / "i-LIDS-VID")
    assert people(load_dataset("ilids-vid", ".").train) == [3, 7, 30]


@pytest.mark.parametrize(
    ("rows", "variable", "words"),
    [
        ([[1, 2, 3, 4, 5, 6]], "other", r"has no variable ls_set \(it has: other\)"),
        ([[1, 2, 3, 4, 5]], "ls_set", "does not number the 6 identities that are here: restore"),
        ([[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 5]], "ls_set", "does not number the 6 identities"),
        ([[0, 1, 2, 3, 4, 5]], "ls_set", "does not number the 6 identities"),
        ([[[1, 2, 3, 4, 5, 6]] * 2], "ls_set", "does not number the 6 identities"),
        ([[1, 2, 3, 4, 5, 6]] * 2, "ls_set", "has no split 2: pass one from 0 to 1"),
        (np.zeros((0, 6)), "ls_set", "holds no split: put back the published file"),
        ([[1, 2, 3.2, 4, 5, 6]], "ls_set", r"ls_set holds 3.2 at \(1, 3\), which is no whole"),
    ],
)
def test_splits_that_do_not_fit_are_refused(root, rows, variable, words):
    put_splits(root, rows, variable)
    with pytest.raises(UserError, match=words) as caught:
        load_dataset("ilids-vid", root, split=2)
    assert "train_test_splits_ilidsvid.mat: " in str(caught.value)


def test_a_damaged_file_of_splits_is_refused(root):
    put_splits(root, [[1]])
    next(root.glob("*/*.mat")).write_bytes(b"MATLAB? no")
    with pytest.raises(UserError, match=r"no readable \.mat file \("):
        load_dataset("ilids-vid", root)


def test_a_negative_split_is_refused(root):
    with pytest.raises(UserError, match="split=-1: pass a whole number of at least 0"):
        load_dataset("ilids-vid", root, split=-1)


FAULTS = {
    "cam1/person001/cam0_person001_00001.png": "named camid 0 in a tracklet of camid 1",
    "cam1/person001/cam1_person000_00001.png": "named pid 0 in a tracklet of pid 1",
    "cam1/person001/cam1_person001_317.png": "has number 317 of the tracklet, as cam1_person001_0",
    "cam2/person42/": "stands where a folder named like person001 should",
    "cam2/person042/": "its identity is in one camera only: restore the other folder",
}


def add_fault(root, fault):
    path = root / "i-LIDS-VID" / "sequences" / fault
    if fault.endswith("/"):
        path.mkdir()
        (path / "cam2_person042_00001.png").touch()
    else:
        path.touch()
    return path


def test_stray_pictures_are_passed_over(root):
    expected = load_dataset("ilids-vid", root)
    for stray in ("cam1/person001/cam1_person001_1.jpg", "cam2/cam1_person001_00001.png"):
        add_fault(root, stray)
    assert load_dataset("ilids-vid", root).frames.equals(expected.frames)


@pytest.mark.parametrize(("fault", "words"), FAULTS.items())
def test_a_fault_is_raised_in_one_line_that_names_its_path(root, fault, words):
    path = add_fault(root, fault)
    with pytest.raises(UserError, match=words) as caught:
        load_dataset("ilids-vid", root)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_all_faults_are_reported_and_passed_over(root):
    expected = load_dataset("ilids-vid", root)
    paths = [add_fault(root, fault) for fault in FAULTS]
    (root / "i-LIDS-VID" / "sequences" / "cam1" / "Thumbs.db").touch()  # no fault
    found = []
    dataset = load_dataset("ilids-vid", root, report=lambda path, what: found.append(path))
    assert sorted(found) == sorted(paths)
    assert dataset.frames.equals(expected.frames)
    assert sorted(people(dataset.train) + people(dataset.query)) == PEOPLE


def test_an_empty_folder_leaves_its_person_out(root):
    put_person(root, 42, numbers=[])
    with pytest.raises(UserError, match="cam1/person042: holds no frames named"):
        load_dataset("ilids-vid", root)
    dataset = load_dataset("ilids-vid", root, report=lambda path, what: None)
    assert sorted(people(dataset.train) + people(dataset.query)) == PEOPLE


def test_wrong_roots_are_refused(root, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(UserError, match="holds neither sequences nor i-LIDS-VID/sequences: pass"):
        load_dataset("ilids-vid", empty)
    for pid in PEOPLE[:3]:
        put_person(empty, pid)
    with pytest.raises(UserError, match="3 identities with enough frames are too few"):
        load_dataset("ilids-vid", empty)
    (root / "i-LIDS-VID" / "sequences" / "cam2").rename(root / "elsewhere")
    with pytest.raises(UserError, match="cam2: no such folder; restore it"):
        load_dataset("ilids-vid", root)
