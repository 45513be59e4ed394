import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.io import loadmat

from stgcn_pyg.data.synthetic import write_benchmark
from stgcn_pyg.data.synthetic.bodies import Body, random_body
from stgcn_pyg.data.synthetic.clothes import Clothes
from stgcn_pyg.data.synthetic.mars_layout import write_queries
from stgcn_pyg.data.synthetic.streams import Stream, generator
from stgcn_pyg.data.synthetic.walking import Joint, walk
from stgcn_pyg.errors import UserError

SMALL = {"height": 64, "width": 32, "progress": False}
PARTS = ("head", "torso", "left_arm", "right_arm", "left_leg", "right_leg")
NAME = re.compile(r"^(\d{4}|00-1)C(\d)T(\d{4})F(\d{3})\.jpg$")


def tiny(root, **options):
    """A benchmark small enough to write many times."""
    few = {"train_people": 1, "test_people": 2, "cameras": 2, "tracklets_per_camera": 1}
    few |= {"frames": (3, 4), "distractors": 1, "junk": 2}
    return write_benchmark(root, **(few | SMALL | options))


def files(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def truth_of(benchmark):
    return pd.read_parquet(benchmark.path / "ground_truth.parquet")


@pytest.fixture(scope="module")
def covered(tmp_path_factory):
    """Look-alikes, occlusion, distractors and junk."""
    return write_benchmark(
        tmp_path_factory.mktemp("covered") / "set",
        train_people=5,
        test_people=8,
        cameras=4,
        cameras_per_person=3,
        frames=(6, 10),
        occlusion=0.3,
        distractors=7,
        junk=12,
        seed=3,
        **SMALL,
    )


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Look-alikes before plain backgrounds, nothing in front of them."""
    return write_benchmark(
        tmp_path_factory.mktemp("bare") / "set",
        train_people=1,
        test_people=24,
        cameras=3,
        cameras_per_person=3,
        tracklets_per_camera=1,
        frames=(6, 6),
        occlusion=0,
        clutter=0,
        distractors=0,
        junk=0,
        seed=5,
        **SMALL,
    )


def lists(root, split):
    text = (root / "info" / f"{split}_name.txt").read_bytes()
    assert text.endswith(b"\r\n") and text.count(b"\n") == text.count(b"\r\n")
    tracks = loadmat(root / "info" / f"tracks_{split}_info.mat")[f"track_{split}_info"]
    return text.decode().split("\r\n")[:-1], tracks


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_listed_picture_exists_and_no_other(covered, split):
    names, _ = lists(covered.path, split)
    on_disk = {path.name: path for path in covered.path.glob(f"bbox_{split}/*/*.jpg")}
    assert len(names) == len(set(names)) and set(names) == set(on_disk)
    assert all(on_disk[name].parent.name == name[:4] for name in names)
    with Image.open(on_disk[names[0]]) as picture:
        assert picture.size == (32, 64) and picture.mode == "RGB"


@pytest.mark.parametrize("split", ["train", "test"])
def test_tracks_are_one_based_inclusive_contiguous_and_agree_with_the_names(covered, split):
    names, tracks = lists(covered.path, split)
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


def test_people_to_train_and_to_test_on_are_disjoint(covered):
    train, test = (set(lists(covered.path, split)[1][:, 2].tolist()) for split in ("train", "test"))
    assert train == set(range(1, 6)) and test == {-1, 0, *range(6, 14)}
    people = pd.read_parquet(covered.path / "people.parquet")
    groups = people.groupby("split").group.agg(set)
    assert not groups["train"] & groups["test"]


def test_queries_are_one_of_each_person_and_camera_and_have_a_match_elsewhere(covered):
    queries = loadmat(covered.path / "info" / "query_IDX.mat")["query_IDX"]
    assert queries.shape == (1, covered.queries) and queries.dtype == np.uint16
    _, tracks = lists(covered.path, "test")
    labels = [tuple(tracks[index - 1, 2:].tolist()) for index in queries[0].tolist()]
    assert len(labels) == len(set(labels))
    assert set(labels) == {(p, c) for p, c in tracks[:, 2:].tolist() if p > 0}
    for pid in {pid for pid, _ in labels}:
        assert len({camera for one, camera in labels if one == pid}) >= 2


def test_query_indices_beyond_sixteen_bits_are_kept(tmp_path):
    (tmp_path / "info").mkdir()
    write_queries(tmp_path, [1, 70000])
    assert loadmat(tmp_path / "info" / "query_IDX.mat")["query_IDX"].tolist() == [[1, 70000]]


def test_ground_truth_has_a_row_for_each_picture(covered):
    truth = truth_of(covered)
    assert len(truth) == covered.frames
    for split in ("train", "test"):
        names, _ = lists(covered.path, split)
        assert truth[truth.split == split].path.str.rsplit("/", n=1).str[1].tolist() == names
    people = truth[truth.pid > 0]
    assert (
        people[["phase", "heading", "hidden", "box_dx", "box_dy", "box_scale"]]
        .notna()
        .all(axis=None)
    )
    assert (people.body_right > people.body_left).all()
    assert people.body_bottom.max() <= 64 and people.body_right.max() <= 32


def test_body_masks_lie_in_the_body_box_and_lose_what_is_hidden(covered):
    truth = truth_of(covered).query("pid > 0")
    body, seen = (
        np.unpackbits(np.frombuffer(b"".join(truth[name]), np.uint8)).reshape(-1, 16, 8)
        for name in ("body_mask", "seen_mask")
    )
    assert (seen <= body).all()
    rows = body.any(axis=2)
    first, last = rows.argmax(axis=1), 15 - rows[:, ::-1].argmax(axis=1)
    assert (4 * (first + 1) > truth.body_top).all() and (4 * last < truth.body_bottom).all()
    lost = 1 - seen.sum(axis=(1, 2)) / body.sum(axis=(1, 2))
    assert np.corrcoef(lost, truth.hidden)[0, 1] > 0.9


def test_the_manifest_is_that_of_the_pictures(tmp_path):
    root = tiny(tmp_path / "set", seed=4, occlusion=0.2).path
    about = json.loads((root / "benchmark.json").read_text())
    pictures = sorted((path, digest) for path, digest in files(root).items() if ".jpg" in path)
    manifest = "".join(f"{path} {digest}\n" for path, digest in pictures)
    assert about["manifest_sha256"] == hashlib.sha256(manifest.encode()).hexdigest()
    assert about["options"]["seed"] == 4 and about["options"]["occlusion"] == 0.2
    assert "workers" not in about["options"]


def test_the_same_seed_gives_the_same_bytes_whatever_the_workers(tmp_path):
    one = files(tiny(tmp_path / "one", workers=1).path)
    two = files(tiny(tmp_path / "two", workers=2).path)
    assert one == two


def test_another_seed_gives_other_pictures(tmp_path):
    one, two = (files(tiny(tmp_path / str(seed), seed=seed).path) for seed in (0, 1))
    shared = [name for name in one if name.endswith(".jpg") and two.get(name) == one[name]]
    assert not shared


def test_look_alikes_share_clothes_exactly_and_differ_in_body(covered):
    people = pd.read_parquet(covered.path / "people.parquet")
    assert people.group.value_counts().tolist() == [4, 4, 4, 1]
    clothes = list(Clothes.__dataclass_fields__)
    worn = people[clothes].map(
        lambda value: tuple(value) if isinstance(value, np.ndarray) else value
    )
    assert (worn.groupby(people.group).nunique() == 1).all(axis=None)
    assert worn.groupby(people.group).first().shirt.nunique() == 4
    body = people[list(Body.__dataclass_fields__)].drop(columns="bag")
    assert (body.nunique() == len(people)).all()


@pytest.mark.parametrize("asked", [0.15, 0.7])
def test_as_much_is_hidden_on_average_as_asked(tmp_path, asked):
    benchmark = tiny(
        tmp_path / "set", test_people=12, frames=(6, 12), tracklets_per_camera=3, occlusion=asked
    )
    people = truth_of(benchmark).query("pid >= 0")
    assert people.hidden.mean() == pytest.approx(asked, abs=0.05)
    assert benchmark.occlusion == pytest.approx(people.hidden.mean())
    assert people.groupby(["pid", "camid", "tracklet"]).hidden.mean().std() > 0.02


def test_the_share_hidden_is_that_of_the_parts(covered):
    truth = truth_of(covered).query("pid > 0")
    shares = truth[[f"hidden_{part}" for part in PARTS]]
    assert (shares.min(axis=1) <= truth.hidden + 1e-9).all()
    assert (shares.max(axis=1) >= truth.hidden - 1e-9).all()
    assert truth.hidden.between(0, 1).all() and truth.hidden.mean() == pytest.approx(0.3, abs=0.06)


def test_what_is_hidden_in_one_frame_shows_in_another(covered):
    truth = truth_of(covered).query("pid > 0")
    parts = truth[[f"hidden_{part}" for part in PARTS]]
    grouped = parts.groupby([truth.pid, truth.camid, truth.tracklet])
    changes = (grouped.max() - grouped.min()).max(axis=1)
    assert (changes > 0.2).mean() > 0.9
    often_hidden = grouped.max() > 0.8
    shown_elsewhere = grouped.min() < 0.2
    assert (often_hidden & shown_elsewhere).sum(axis=None) > 0.4 * often_hidden.sum(axis=None)


def test_without_occlusion_nothing_is_hidden(bare):
    truth = truth_of(bare)
    assert (truth.hidden == 0).all()
    assert (truth.body_mask == truth.seen_mask).all()


def colour_histograms(benchmark):
    """Mean colour histogram of each test tracklet, (N, 216), and its row of labels.

    Each camera's cast is taken off first, so that the colours have every chance.
    """
    truth = truth_of(benchmark).query("split == 'test'").reset_index(drop=True)
    pixels = [person_pixels(benchmark.path, row) for row in truth.itertuples()]
    histograms = np.zeros((len(truth), 216))
    for _, rows in truth.groupby("camid"):
        seen = np.concatenate([pixels[row] for row in rows.index])
        for row in rows.index:
            level = np.clip((pixels[row] - seen.mean(axis=0)) / seen.std(axis=0) * 1.5 + 3, 0, 5)
            histograms[row] = np.bincount(level.astype(int) @ [36, 6, 1], minlength=216)
            histograms[row] /= len(pixels[row])
    names = ["pid", "camid", "tracklet"]
    means = pd.DataFrame(histograms).groupby([truth[name] for name in names]).mean()
    return means.to_numpy(), truth.drop_duplicates(names).sort_values(names)


def person_pixels(root, row):
    with Image.open(root / row.path) as picture:
        pixels = np.asarray(picture, float)
    mask = np.unpackbits(np.frombuffer(row.seen_mask, np.uint8)).reshape(16, 8).astype(bool)
    return pixels[np.kron(mask, np.ones((4, 4), bool))]


def hits_within_groups(features, table):
    """Share of tracklets whose nearest look-alike in another camera is the same person."""
    distance = np.abs(features[:, None] - features[None]).sum(axis=2)
    same_group = table.group.to_numpy()[:, None] == table.group.to_numpy()
    same_camera = table.camid.to_numpy()[:, None] == table.camid.to_numpy()
    nearest = np.where(same_group & ~same_camera, distance, np.inf).argmin(axis=1)
    return float((table.pid.to_numpy()[nearest] == table.pid.to_numpy()).mean())


def test_colours_do_not_tell_look_alikes_apart_across_cameras(bare):
    hits = hits_within_groups(*colour_histograms(bare))
    assert hits < 0.25 + 0.15


def test_colours_tell_groups_apart_better_than_chance(bare):
    features, table = colour_histograms(bare)
    anywhere = table.assign(group=0, pid=table.group)
    assert hits_within_groups(features, anywhere) > 0.8


def test_true_bodies_tell_look_alikes_apart_even_when_measured_badly(bare):
    people = pd.read_parquet(bare.path / "people.parquet").query("split == 'test'")
    body = people[list(Body.__dataclass_fields__)].drop(columns="bag")
    drawn = [random_body(generator(9, Stream.BODY, number)) for number in range(300)]
    spread = pd.DataFrame([vars(one) for one in drawn]).drop(columns="bag").std()
    rng = np.random.default_rng(0)
    measured = [body / spread + 0.5 * rng.standard_normal(body.shape) for _ in range(2)]
    table = pd.concat([people.assign(camid=camera) for camera in range(2)])
    assert hits_within_groups(np.concatenate(measured), table) == 1


def test_a_walker_keeps_a_foot_on_the_ground_and_all_bones_their_length():
    body = random_body(np.random.default_rng(0))
    pose = walk(body, np.linspace(0, 2 * np.pi, 20))
    feet = pose[:, [Joint.LEFT_ANKLE, Joint.LEFT_TOE, Joint.RIGHT_ANKLE, Joint.RIGHT_TOE], 2]
    assert np.allclose((feet - [0.075, 0.035, 0.075, 0.035]).min(axis=1), 0)
    for start, end in ((Joint.LEFT_SHOULDER, Joint.LEFT_ELBOW), (Joint.NECK, Joint.CROWN)):
        bone = np.linalg.norm(pose[:, start] - pose[:, end], axis=-1)
        assert np.allclose(bone, bone[0])
    assert pose[:, Joint.CROWN, 2].max() == pytest.approx(body.height, rel=0.04)


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


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "set").mkdir()
    tiny(tmp_path / "set")
    assert (tmp_path / "set" / "benchmark.json").exists()


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("stgcn_pyg.data.synthetic.benchmark._write_truth", interrupt)
    with pytest.raises(KeyboardInterrupt):
        tiny(tmp_path / "set")
    assert list(tmp_path.iterdir()) == []
