"""What a real excerpt of MARS holds is a note; labels that contradict each other are a fault."""

import re
import shutil
from collections import Counter

import pytest
from checked import found, what
from mars_excerpt import ONE_CAMERA, SHARED, excerpt_of_mars

from stgcn_pyg.cli import main
from stgcn_pyg.data import check_dataset, load_dataset


@pytest.fixture
def excerpt(tmp_path):
    return excerpt_of_mars(tmp_path / "mars")


def copy(root, one, other):
    """Gives one picture the bytes of another, both by their names."""
    paths = {path.name: path for path in root.rglob("*.jpg")}
    shutil.copy(paths[other], paths[one])


def check(root):
    return check_dataset("mars", root, workers=1, progress=False)


def test_an_excerpt_of_mars_has_notes_and_no_fault(excerpt, capsys):
    root = excerpt.write()
    assert main(["check", "mars", str(root), "--workers=1"]) == 0
    assert "no faults" in capsys.readouterr().out
    result = check(root)
    assert Counter(note.kind for note in result.notes) == {
        "shared images": 16 + 1,
        "query without a match": 1,
        "one camera": ONE_CAMERA,
    }


def test_overlapping_tracklets_are_one_note_each_that_counts_their_pictures(excerpt):
    notes = [note for note in check(excerpt.write()).notes if note.kind == "shared images"]
    counts = [int(re.match(r"(\d+) of its tracklet's \d frames", note.what)[1]) for note in notes]
    assert counts == [SHARED] * 16 + [1]
    assert notes[0].path.endswith("0002C2T0001F001.jpg")
    assert "0002C2T0002F001.jpg (identity 2, camera 2, train)" in notes[0].what


@pytest.mark.parametrize(
    ("one", "other", "labels"),
    [
        ("0002C1T0001F002", "0004C1T0001F002", "identity 4, camera 1, train here, identity 2, c"),
        ("0002C1T0001F002", "0002C2T0001F003", "identity 2, camera 2, train here, identity 2, c"),
        ("0001C1T0001F002", "0001C2T0001F003", "camera 2, gallery here, identity 1, camera 1, g"),
        ("0002C1T0001F002", "0003C1T0001F003", "camera 1, gallery here, identity 2, camera 1, t"),
        ("0001C1T0001F002", "0000C2T0001F003", "identity 1, camera 1, gallery here, identity 0,"),
    ],
)
def test_labels_that_contradict_each_other_are_a_fault_that_names_both(
    mars_tree, one, other, labels
):
    root = mars_tree.write()
    copy(root, f"{one}.jpg", f"{other}.jpg")
    assert list(found(root)) == ["same image"]
    assert labels in what(root)
    assert f"{one}.jpg" in what(root) or f"{other}.jpg" in what(root)


def test_labels_that_no_result_depends_on_contradict_nothing(mars_tree):
    mars_tree.add("test", 0, 3, frames=3)
    mars_tree.add("test", 7, 3, frames=3)
    root = mars_tree.write()
    copy(root, "00-1C1T0001F001.jpg", "0003C1T0001F002.jpg")  # junk and somebody
    copy(root, "00-1C1T0001F002.jpg", "0004C1T0001F002.jpg")  # junk and somebody to train on
    copy(root, "0000C2T0001F001.jpg", "0000C3T0001F002.jpg")  # a distractor in two cameras
    copy(root, "0000C2T0001F002.jpg", "0007C3T0001F002.jpg")  # and somebody never searched for
    names = found(root)
    assert len(names.pop("shared images")) == 4
    assert names == {"one camera": ["0007C3T0001F001.jpg"]}


def test_junk_hides_no_contradiction_of_two_others(mars_tree):
    root = mars_tree.write()
    for name in ("0001C1T0001F002.jpg", "0003C2T0001F002.jpg"):
        copy(root, name, "00-1C1T0001F001.jpg")  # which comes first
    names = found(root)
    assert names["same image"] == ["0003C2T0001F002.jpg"]
    assert names["shared images"] == ["00-1C1T0001F001.jpg"]


def test_what_the_labels_list_twice_is_a_fault_only_where_they_contradict_themselves(mars_tree):
    start, end, pid, camid = mars_tree.tracks["train"][1]
    mars_tree.tracks["train"].append([start + 3, end, pid, camid])
    root = mars_tree.write()
    assert list(found(root)) == ["listed twice"]
    assert what(root).startswith("2 of its tracklet's 5 frames are also in the tracklet that")

    # The pictures of a query under junk's label, which is so wrong that the loader says so as well.
    start, end, *_ = mars_tree.tracks["test"][2]
    mars_tree.tracks["test"].append([start, start + 1, -1, 1])
    names = found(mars_tree.write())
    assert names.keys() == {"wrong name or label", "listed twice"}
    mars_tree.tracks["test"][-1][2] = 3
    assert found(mars_tree.write())["named twice"] == ["0001C1T0001F001.jpg", "0001C1T0001F002.jpg"]


def test_junk_hides_no_contradiction_of_two_labels(mars_tree):
    start, *_ = mars_tree.tracks["test"][2]
    mars_tree.tracks["test"].insert(0, [start, start, -1, 1])
    mars_tree.tracks["test"].append([start, start, 3, 1])
    mars_tree.queries = [4, 5]
    assert found(mars_tree.write())["named twice"] == ["0001C1T0001F001.jpg"]


def test_a_name_that_stands_twice_in_a_row_is_one_frame_shown_longer(mars_tree):
    names = mars_tree.names["train"]
    names[7] = names[6]
    root = mars_tree.write()
    assert found(root) == {"listed twice": ["0002C2T0001F002.jpg"]}
    tracklet = load_dataset("mars", root).train.iloc[1]
    assert tracklet["num_frames"] == 5


def test_damage_that_no_tracklet_sees_is_no_fault(mars_tree):
    mars_tree.names["train"] += ["0008C2T0001F006.jpg", "0008C2T0001F007.jpg", "0008_of_old.jpg"]
    root = mars_tree.write()
    folder = root / "bbox_train" / "0008"
    (folder / "0008C2T0001F006.jpg").unlink()
    (folder / "0008C2T0001F007.jpg").write_bytes(b"")
    load_dataset("mars", root)
    assert found(root) == {
        "unused": ["0008C2T0001F006.jpg", "0008C2T0001F007.jpg", "0008_of_old.jpg"]
    }
    assert check(root).images == 40 + 26
