"""What a rendered data set is on disk: the layout of MARS, whole or not there."""

import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rendered import covered, files, lists, tiny
from scipy.io import loadmat

from stgcn_pyg.errors import UserError
from stgcn_pyg.synthetic.files import write_queries

NAME = re.compile(r"^(\d{4}|00-1)C(\d)T(\d{4})F(\d{3})\.jpg$")


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_listed_image_exists_and_no_other(split):
    names, _ = lists(covered().path, split)
    on_disk = {path.name: path for path in covered().path.glob(f"bbox_{split}/*/*.jpg")}
    assert len(names) == len(set(names)) and set(names) == set(on_disk)
    assert all(on_disk[name].parent.name == name[:4] for name in names)
    with Image.open(on_disk[names[0]]) as image:
        assert image.size == (32, 64) and image.mode == "RGB"


@pytest.mark.parametrize("split", ["train", "test"])
def test_tracks_are_one_based_inclusive_contiguous_and_agree_with_the_names(split):
    names, tracks = lists(covered().path, split)
    assert tracks.dtype == np.int32 and tracks.shape[1] == 4
    assert tracks[0, 0] == 1 and tracks[-1, 1] == len(names)
    assert (tracks[1:, 0] == tracks[:-1, 1] + 1).all()
    assert sorted(map(tuple, tracks[:, 2:])) == list(map(tuple, tracks[:, 2:]))
    seen = set()
    for first, last, pid, camera in tracks.tolist():
        parsed = [NAME.match(name).groups() for name in names[first - 1 : last]]
        assert {(int(p.replace("00-1", "-1")), int(c)) for p, c, _, _ in parsed} == {(pid, camera)}
        assert len({number for _, _, number, _ in parsed}) == 1
        assert [int(frame) for *_, frame in parsed] == list(range(1, last - first + 2))
        seen.add((pid, camera, parsed[0][2]))
    assert len(seen) == len(tracks)


def test_identities_to_train_and_to_test_on_are_disjoint():
    train, test = (
        set(lists(covered().path, split)[1][:, 2].tolist()) for split in ("train", "test")
    )
    assert train == set(range(1, 6)) and test == {-1, 0, *range(6, 14)}
    people = pd.read_parquet(covered().path / "people.parquet")
    groups = people.groupby("split").group.agg(set)
    assert not groups["train"] & groups["test"]


def test_queries_are_one_of_each_identity_and_camera_and_have_a_match_elsewhere():
    queries = loadmat(covered().path / "info" / "query_IDX.mat")["query_IDX"]
    assert queries.shape == (1, covered().queries) and queries.dtype == np.uint16
    _, tracks = lists(covered().path, "test")
    labels = [tuple(tracks[index - 1, 2:].tolist()) for index in queries[0].tolist()]
    assert len(labels) == len(set(labels))
    assert set(labels) == {(p, c) for p, c in tracks[:, 2:].tolist() if p > 0}
    for pid in {pid for pid, _ in labels}:
        assert len({camera for one, camera in labels if one == pid}) >= 2


def test_query_indices_beyond_sixteen_bits_are_kept(tmp_path):
    write_queries(tmp_path / "query_IDX.mat", [1, 70000])
    assert loadmat(tmp_path / "query_IDX.mat")["query_IDX"].tolist() == [[1, 70000]]


def test_the_same_seed_gives_the_same_bytes_whatever_the_workers(tmp_path):
    one = files(tiny(tmp_path / "one", workers=1).path)
    two = files(tiny(tmp_path / "two", workers=2).path)
    assert one == two


def test_another_seed_gives_other_images(tmp_path):
    one, two = (files(tiny(tmp_path / str(seed), seed=seed).path) for seed in (0, 1))
    shared = [name for name in one if name.endswith(".jpg") and two.get(name) == one[name]]
    assert not shared


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("cameras", 1),
        ("cameras", 10),
        ("cameras_per_person", 1),
        ("occlusion", 0.95),
        ("occlusion", -0.1),
        ("clutter", 1.5),
        ("look_alikes", 0),
        ("frames", (5, 4)),
        ("frames", (0, 4)),
        ("frames", (1, 1000)),
        ("train_people", 9999),
        ("height", 100),
        ("quality", 0),
        ("seed", -1),
        ("workers", 0),
    ],
)
def test_options_without_sense_are_refused_before_anything_is_written(tmp_path, option, value):
    with pytest.raises(UserError, match=option) as caught:
        tiny(tmp_path / "set", **{option: value})
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        tiny(tmp_path)
    assert files(tmp_path).keys() == {"notes.txt"}


def test_images_may_be_larger_than_the_noise_of_a_sensor(tmp_path):
    # At 1,312 rows every camera's sensor has more than the 512 that its noise is drawn for.
    few = {"train_people": 1, "test_people": 1, "frames": (1, 1), "distractors": 0, "junk": 0}
    benchmark = tiny(tmp_path / "set", **few, height=1312, width=16)
    with Image.open(next(benchmark.path.rglob("*.jpg"))) as image:
        assert image.size == (16, 1312)


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "set").mkdir()
    tiny(tmp_path / "set")
    assert (tmp_path / "set" / "benchmark.json").exists()


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("stgcn_pyg.synthetic.benchmark.write_files", interrupt)
    with pytest.raises(KeyboardInterrupt):
        tiny(tmp_path / "set")
    assert list(tmp_path.iterdir()) == []
