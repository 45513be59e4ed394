"""MARS and WARD from disk: true labels, and everything that can be wrong with them."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat, savemat
from scipy.sparse import csc_matrix

from stgcn_pyg.data import load_dataset
from stgcn_pyg.errors import UserError


def test_mars_has_its_published_sizes(mars_labels):
    dataset = load_dataset("mars", mars_labels, verify=False)
    assert len(dataset.train) == 8_298
    assert len(dataset.gallery) == 12_180
    assert len(dataset.query) == 1_980
    assert len(dataset.frames) == 509_914 + 681_089
    assert dataset.train["pid"].nunique() == 625
    assert dataset.gallery["pid"].nunique() == 634 + 2
    assert (dataset.gallery["pid"] == -1).sum() == 870
    assert (dataset.gallery["pid"] == 0).sum() == 3_248
    assert dataset.gallery_is_query().sum() == 1_980
    assert dataset.train["num_frames"].agg(["min", "median", "max"]).tolist() == [5, 36, 900]
    assert dataset.protocols[0] == "mars-official"


def test_mars_frames_carry_their_tracklets_labels(mars_labels):
    dataset = load_dataset("mars", mars_labels, verify=False)
    for table in dataset.tables().values():
        for row in np.linspace(0, len(table) - 1, 50).astype(int):
            tracklet = table.iloc[row]
            for path in dataset.paths(tracklet):
                pid = -1 if path.name.startswith("00-1") else int(path.name[:4])
                assert (pid, int(path.name[5])) == (tracklet["pid"], tracklet["camid"])
                assert path.parent.name == path.name[:4]


def test_mars_labels_load_in_a_second_or_two_and_little_memory(mars_labels):
    code = (
        "import resource, sys, time; from stgcn_pyg.data import load_dataset;"
        "base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; start = time.process_time();"
        "load_dataset('mars', sys.argv[1], verify=False);"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "print(time.process_time() - start, (peak - base) / 1e6)"  # kilobytes on Linux
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(mars_labels)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, gigabytes = map(float, done.stdout.split())
    assert seconds < 10
    assert gigabytes < 1


def test_ward_is_split_into_halves_of_people_by_seed(ward_root):
    dataset = load_dataset("ward", ward_root, split=3)
    assert len(dataset.frames) == 4_786
    train, test = set(dataset.train["pid"]), set(dataset.query["pid"])
    assert len(train) == len(test) == 35
    assert not train & test
    assert len(dataset.train) == len(dataset.query) == len(dataset.gallery) == 105
    again, other = (load_dataset("ward", ward_root, split=split) for split in (3, 4))
    assert set(again.train["pid"]) == train
    assert set(other.train["pid"]) != train


def test_ward_frames_are_in_the_order_of_time(ward_root):
    dataset = load_dataset("ward", ward_root)
    for _, tracklet in dataset.gallery.iterrows():
        names = [path.name for path in dataset.paths(tracklet)]
        assert names == sorted(names)
        labels = {(int(name[:4]), int(name[4:8])) for name in names}
        assert labels == {(tracklet["pid"], tracklet["camid"])}
        assert len(names) == tracklet["num_frames"]


def test_a_tree_in_mars_layout_loads(mars_tree):
    dataset = load_dataset("mars", mars_tree.write())
    assert dataset.train["pid"].tolist() == [2, 2, 4, 4, 6, 6, 8, 8]
    assert dataset.query[["pid", "camid"]].to_numpy().tolist() == [[1, 1], [3, 1]]
    assert dataset.gallery["pid"].tolist() == [-1, 0, 1, 3, 1, 3]
    assert dataset.gallery_is_query().tolist() == [False, False, True, True, False, False]
    assert len(dataset.test()) == 6
    paths = dataset.paths(dataset.query.iloc[1], [0, 5])
    assert [path.name for path in paths] == ["0003C1T0001F001.jpg", "0003C1T0001F006.jpg"]
    assert all(path.is_file() for path in paths)


def test_line_ends_may_be_of_either_kind(mars_tree):
    root = mars_tree.write()
    names = root / "info" / "train_name.txt"
    before = load_dataset("mars", root).frames
    names.write_bytes(names.read_bytes().replace(b"\r\n", b"\n"))
    assert load_dataset("mars", root).frames.equals(before)


def test_x_mars_has_other_names_of_the_same_variables(mars_tree):
    root = mars_tree.write()
    before = load_dataset("mars", root)
    for file, old, new in (
        ("tracks_train_info", "track_train_info", "xmars_tracks_train_info"),
        ("tracks_test_info", "track_test_info", "xmars_track_test_info"),
        ("query_IDX", "query_IDX", "xmars_query_IDX"),
    ):
        path = root / "info" / f"{file}.mat"
        savemat(path, {new: loadmat(path)[old]})
    after = load_dataset("mars", root)
    for split, table in before.tables().items():
        assert after.tables()[split].equals(table)


def test_labels_that_matlab_saved_as_floats_are_the_same(mars_tree):
    root = mars_tree.write()
    as_integers = load_dataset("mars", root)
    for variable in ("tracks_train_info", "tracks_test_info", "query_IDX"):
        rewrite(root, variable, lambda numbers: numbers.astype(float))
    for split, table in load_dataset("mars", root).tables().items():
        pd.testing.assert_frame_equal(table, as_integers.tables()[split])


def test_pictures_that_no_tracklet_uses_may_be_missing(mars_tree):
    mars_tree.names["train"].insert(0, "0002C1T0009F001.jpg")
    for tracklet in mars_tree.tracks["train"]:
        tracklet[:2] = [tracklet[0] + 1, tracklet[1] + 1]
    root = mars_tree.write()
    mars_tree.path("0002C1T0009F001.jpg").unlink()
    assert len(load_dataset("mars", root).frames) == 67
    mars_tree.path("0002C1T0001F001.jpg").unlink()
    with pytest.raises(UserError, match=r"1 of 66 images are missing, the first is .*1T0001F001"):
        load_dataset("mars", root)


def rewrite(root, variable, change):
    path = root / "info" / ("query_IDX.mat" if variable == "query_IDX" else f"{variable}.mat")
    name = variable.replace("tracks_", "track_")
    savemat(path, {name: change(loadmat(path)[name].copy())})


def swap_pid(tracks):
    tracks[1, 2] = 4
    return tracks


def swap_camid(tracks):
    tracks[2, 3] = 5
    return tracks


def beyond(tracks):
    tracks[-1, 1] += 1
    return tracks


def undefined_pid(tracks):
    tracks = tracks.astype(float)
    tracks[1, 2] = np.nan
    return tracks


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        (lambda root: (root / "info" / "train_name.txt").unlink(), r"train_name\.txt: cannot be"),
        (lambda root: (root / "info" / "query_IDX.mat").unlink(), r"query_IDX\.mat: no such file"),
        (
            lambda root: savemat(root / "info" / "tracks_test_info.mat", {"other": [1]}),
            r"has no variable track_test_info or xmars_track_test_info \(it has: other\)",
        ),
        (
            lambda root: (root / "info" / "tracks_test_info.mat").write_bytes(b"MATLAB? no"),
            r"tracks_test_info\.mat: no readable \.mat file",
        ),
        (
            lambda root: rewrite(root, "tracks_train_info", lambda t: t[:, :3]),
            r"tracks_train_info\.mat: .* not a row a tracklet of 4 numbers",
        ),
        (
            lambda root: rewrite(root, "tracks_train_info", swap_pid),
            r"tracks_train_info\.mat: row 2 says pid 4, but its frame is named 0002C2T0001F001",
        ),
        (
            lambda root: rewrite(root, "tracks_train_info", swap_camid),
            r"row 3 says camid 5, but its frame is named 0004C1T0001F001",
        ),
        (lambda root: rewrite(root, "tracks_test_info", beyond), "points outside the 26 names"),
        (lambda root: rewrite(root, "query_IDX", lambda q: q + 4), "points outside the 6 test"),
        (lambda root: rewrite(root, "query_IDX", lambda q: q * 0 + 3), "names a tracklet twice"),
        (
            lambda root: rewrite(root, "query_IDX", lambda q: q + 0.5),
            r"query_IDX\.mat: query_IDX holds 3\.5 at \(1, 1\), which is no whole number: put back",
        ),
        (
            lambda root: rewrite(root, "tracks_test_info", undefined_pid),
            r"tracks_test_info\.mat: track_test_info holds nan at \(2, 3\), which is no whole",
        ),
        (
            lambda root: rewrite(root, "tracks_test_info", lambda t: t + 0.5j),
            r"track_test_info is no array of real numbers \(ndarray of complex128\): put back",
        ),
        (
            lambda root: rewrite(root, "query_IDX", lambda q: q.astype(object)),
            r"query_IDX is no array of real numbers \(ndarray of object\)",
        ),
        (
            lambda root: rewrite(root, "query_IDX", lambda q: csc_matrix(q.astype(float))),
            r"query_IDX is no array of real numbers \(csc_matrix of float64\)",
        ),
        (lambda root: rewrite(root, "query_IDX", lambda q: "3 4"), "is no array of real numbers"),
        (
            lambda root: (root / "info" / "test_name.txt").write_text("a.jpg\n"),
            r"test_name\.txt: holds 'a\.jpg' where a name like",
        ),
        (
            lambda root: (root / "bbox_test" / "0003" / "0003C1T0001F002.jpg").unlink(),
            r"1 of 66 images are missing, the first is .*0003C1T0001F002\.jpg",
        ),
    ],
)
def test_a_bent_tree_is_refused_in_one_line(mars_tree, bend, words):
    root = mars_tree.write()
    bend(root)
    with pytest.raises(UserError, match=words) as caught:
        load_dataset("mars", root)
    assert "\n" not in str(caught.value)


def test_frames_out_of_order_are_refused(mars_tree):
    names = mars_tree.names["train"]
    names[1], names[2] = names[2], names[1]
    with pytest.raises(UserError, match=r"out of order at 0002C1T0001F002\.jpg"):
        load_dataset("mars", mars_tree.write())


def test_the_folder_above_is_taken_too(mars_tree):
    mars = load_dataset("mars", mars_tree.write())
    above = load_dataset("mars", mars.root.parent)
    assert mars.root.name == "mars" and above.root == mars.root


@pytest.mark.parametrize("split", ["1", 1.0, None, -1])
def test_a_split_that_is_no_whole_number_is_refused(mars_tree, split):
    with pytest.raises(UserError, match=r"^split=.*: pass a whole number of at least 0$"):
        load_dataset("mars", mars_tree.write(), split=split)


def test_wrong_roots_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        load_dataset("mars", tmp_path / "absent")
    with pytest.raises(UserError, match=r"train_name\.txt: cannot be read"):
        load_dataset("mars", tmp_path)
    with pytest.raises(UserError, match=r"no images named like 000100020003\.jpg"):
        load_dataset("ward", tmp_path)
    with pytest.raises(UserError, match="data set 'market' is unknown"):
        load_dataset("market", tmp_path)
