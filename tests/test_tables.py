"""A data set of one's own is looked at when it is built, and every mistake has its line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stgcn_pyg.data import TrackletDataset, load_dataset
from stgcn_pyg.data.table_checks import PROTOCOLS
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import PROTOCOLS as EVALUATED


def table(index, pid, camid, first_frame, num_frames=2):
    columns = {"pid": pid, "camid": camid, "first_frame": first_frame, "num_frames": num_frames}
    return pd.DataFrame(columns, index=index)


def parts(**changed):
    """What a sound data set is built of: two tracklets to train on, one query, three to search."""
    return {
        "name": "mine",
        "root": Path("pictures"),
        "train": table([0, 1], [7, 8], [1, 2], [0, 2]),
        "query": table([2], [3], [1], [4]),
        "gallery": table([2, 3, 4], [3, 3, -1], [1, 2, 1], [4, 6, 8]),
        "frames": pd.Series([f"{i}.jpg" for i in range(10)]),
        "protocols": ("cross-camera",),
    } | changed


def changed(split, column, values):
    """One column of one table exchanged."""
    return {split: parts()[split].assign(**{column: values})}


def test_a_sound_data_set_is_built():
    dataset = TrackletDataset(**parts())
    assert dataset.train is not None and dataset.frames.iat[3] == "3.jpg"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed("train", "pid", ["7", "8"]), "train tracklet 0: pid '7' is text: write a whole"),
        (changed("train", "pid", ["a", "b"]), "train tracklet 0: pid 'a'"),
        (changed("train", "pid", [7, 0.5]), "train tracklet 1: pid 0.5 is no whole number"),
        (changed("train", "pid", [7, np.nan]), "train tracklet 1: pid nan is no whole number"),
        (changed("train", "pid", [7, None]), "train tracklet 1: pid nan is no whole number"),
        (changed("train", "pid", pd.array([7, None], "Int64")), "train tracklet 1: pid <NA> is no"),
        (changed("train", "pid", [True, False]), "train tracklet 0: pid True is no whole number"),
        (changed("train", "pid", [7, 2.0**60]), "train tracklet 1: pid 1.15.* have been rounded"),
        (changed("train", "pid", np.array([7, 2**63], np.uint64)), "1: pid 9.*8 does not fit in"),
        (
            changed("train", "pid", [7, -1]),
            "train tracklet 1: pid is -1: number identities from 0; -1",
        ),
        (changed("query", "pid", [-1]), "query tracklet 2: pid is -1: number identities from 0"),
        (changed("gallery", "pid", [3, 3, -2]), "gallery tracklet 4: pid is -2"),
        (changed("gallery", "camid", [1, 2, 1.5]), "gallery tracklet 4: camid 1.5 is no whole"),
        (changed("train", "first_frame", [-2, 2]), "train tracklet 0: first_frame is -2: frames"),
        (changed("train", "first_frame", [0, 9]), "train tracklet 1: its frames end beyond the 10"),
        (changed("train", "num_frames", [2, 0]), "train tracklet 1: num_frames is 0"),
        (changed("train", "num_frames", [2**63 - 1, 2]), "train tracklet 0: its frames end beyond"),
        (
            {"train": parts()["train"].set_axis([5, 5])},
            "train tracklet 5: this number stands furth",
        ),
        ({"train": parts()["train"].set_axis([1, 2])}, "number 2 is in the train and in the query"),
        ({"train": parts()["train"].set_axis([1, 3])}, "3 is in the train and in the gallery tabl"),
        ({"train": parts()["train"].set_axis([0, np.nan])}, "train table: the index is empty in"),
        (
            changed("query", "camid", [5]),
            "tracklet 2 has camid 5 in the query and 1 in the gallery",
        ),
        (changed("query", "first_frame", [0]), "tracklet 2 has first_frame 0 in the query and 4"),
        ({"train": parts()["train"].iloc[:0]}, "there are no train tracklets"),
        ({"train": parts()["train"].drop(columns="camid")}, "train table lacks camid"),
        (
            {"train": parts()["train"].iloc[:, [0, 0, 1, 2, 3, 3]]},
            "train table has several columns pid, num_frames: keep one of each",
        ),
        (
            {"train": parts()["train"].set_axis(pd.MultiIndex.from_product([["a"], [0, 1]]))},
            "train table: the index has several levels .*: number every tracklet by one",
        ),
        (
            {"query": parts()["query"].set_axis(["q0"])},
            "tracklet numbers 'q0' of the query and 2 of the gallery cannot be put in order",
        ),
        ({"train": None}, "train table is a NoneType: pass a DataFrame"),
        ({"frames": pd.Series(range(10))}, "frame 0 is 0: write its path as text"),
        ({"frames": pd.Series(["a.jpg"] * 9 + [None])}, "frame 9 is (nan|None): write its path"),
        ({"frames": ["a.jpg"] * 10}, "frames is a list: pass a Series of paths"),
        ({"protocols": ()}, r"pid is \d+ where no protocol is given"),
        ({"protocols": ("crosscamera",)}, "protocol 'crosscamera' is unknown: pass some of"),
    ],
)
def test_a_mistake_is_told_when_it_is_built(change, words):
    with pytest.raises(UserError, match=f"^mine: .*{words}") as caught:
        TrackletDataset(**parts(**change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "kind", [np.float64, np.float32, np.int8, np.uint8, np.int32, object, "Int64"]
)
def test_numbers_of_any_type_become_int64_if_that_changes_nothing(kind):
    tables = {split: parts()[split].astype(kind) for split in ("train", "gallery")}
    if kind == np.uint8:
        tables["gallery"] = parts()["gallery"]
    dataset = TrackletDataset(**parts(**tables))
    for split in tables:
        pd.testing.assert_frame_equal(dataset.tables()[split], parts()[split])


def test_small_integers_are_added_without_overflow():
    frames = pd.Series([f"{i}.jpg" for i in range(200)])
    train = table([0, 1], [7, 8], [1, 2], [100, 50], 100).astype(np.uint8)
    gallery = table([2], [3], [2], [100], 100).astype(np.int8)
    dataset = TrackletDataset(**parts(frames=frames, train=train, gallery=gallery, query=gallery))
    assert len(dataset.paths(dataset.train.iloc[0])) == 100


def test_a_root_and_a_protocol_may_be_text_and_frames_paths():
    frames = pd.Series([Path("a") / f"{i}.jpg" for i in range(10)])
    dataset = TrackletDataset(**parts(root="here", protocols="cross-camera", frames=frames))
    assert (dataset.root, dataset.protocols) == (Path("here"), ("cross-camera",))
    assert dataset.frames.iat[1] == "a/1.jpg"
    assert dataset.paths(dataset.query.iloc[0])[0] == Path("here/a/4.jpg")


def test_the_protocols_are_those_of_the_evaluation():
    assert tuple(protocol.name for protocol in EVALUATED) == PROTOCOLS


def test_labels_that_are_passed_over_leave_every_number_its_own(mars_tree):
    mars_tree.tracks["train"][0][1] = 10_000  # points outside; its row is passed over
    seen = []
    dataset = load_dataset("mars", mars_tree.write(), report=lambda *told: seen.append(told))
    assert len(seen) == 1
    assert not set(dataset.train.index) & set(dataset.gallery.index)
