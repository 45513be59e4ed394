"""Bad pictures and repeated ones are found by name."""

import shutil

import numpy as np
import pytest
from checked import found, what
from PIL import Image

from stgcn_pyg.data import check_dataset
from stgcn_pyg.data.check.images import pairs_of_equals


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
        (lambda path: path.write_text("no image"), "no image"),
        (as_folder, "cannot be read"),
    ],
)
def test_a_bad_picture_is_found(mars_tree, ward_tree, damage, kind):
    root = mars_tree.write()
    damage(root / "bbox_train" / "0004" / "0004C2T0001F003.jpg")
    assert found(root) == {kind: ["0004C2T0001F003.jpg"]}
    damage(ward_tree / "000200010003.jpg")  # the last of a tracklet, or its absence is a gap
    if kind == "missing":
        assert found(ward_tree, "ward") == {}  # nothing says that there was one
    else:
        assert found(ward_tree, "ward") == {kind: ["000200010003.jpg"]}


def test_a_png_by_another_name_is_a_note_that_tells_what_it_is(mars_tree):
    root = mars_tree.write()
    one = root / "bbox_train" / "0004" / "0004C2T0001F003.jpg"
    as_png(one)
    assert not check_dataset("mars", root, workers=1, progress=False).faults
    assert what(root) == "PNG, not JPEG as its name says"
    shutil.copy(one, root / "bbox_train" / "0002" / "0002C1T0001F002.jpg")
    assert found(root) == {
        "same image": ["0004C2T0001F003.jpg"],
        "wrong format": ["0002C1T0001F002.jpg", "0004C2T0001F003.jpg"],
    }


def test_a_folder_in_a_pictures_place_is_told_as_the_system_tells_it(mars_tree):
    root = mars_tree.write()
    as_folder(root / "bbox_train" / "0004" / "0004C2T0001F003.jpg")
    assert what(root) == "cannot be read (Is a directory)"


def test_the_same_bytes_in_two_tracklets_are_a_fault_that_names_the_other(mars_tree, ward_tree):
    root = mars_tree.write()
    one = root / "bbox_train" / "0002" / "0002C1T0001F002.jpg"
    shutil.copy(one, root / "bbox_test" / "0003" / "0003C2T0001F004.jpg")
    assert found(root) == {"same image": ["0003C2T0001F004.jpg"]}
    assert what(root).startswith(f"holds the same image as {one}: ")
    shutil.copy(ward_tree / "000100010001.jpg", ward_tree / "000100020002.jpg")
    assert found(ward_tree, "ward") == {"same image": ["000100020002.jpg"]}


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
    assert found(root) == {"no image": [path.name for path in paths]}


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
