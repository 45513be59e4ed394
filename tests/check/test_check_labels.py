"""Wrong labels and names are found by name."""

import shutil

import pytest
from checked import found, what

from stgcn_pyg.cli import main
from stgcn_pyg.data import check_dataset, load_dataset
from stgcn_pyg.errors import UserError


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
        "row 9 says pid 6",
        "row 10 says pid 8",
        "row 10 says camid 4",
        "holds '00-1C1T0001F002.jpg.jpg'",
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


def test_other_names_among_wards_are_a_note(ward_tree):
    before = load_dataset("ward", ward_tree)
    for name in ("00030001001.jpg", "000300010004.JPG", "000300010003 (1).jpg"):
        shutil.copy(ward_tree / "000300010003.jpg", ward_tree / name)
    for name in ("readme.txt", "._000300010001.jpg"):
        (ward_tree / name).write_text("not a picture to anyone")
    names = ["000300010003 (1).jpg", "000300010004.JPG", "00030001001.jpg"]
    assert found(ward_tree, "ward") == {"unused": names}
    assert load_dataset("ward", ward_tree).frames.equals(before.frames)
