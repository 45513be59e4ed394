"""`stgcn tracklets`: from a video and a file of tracks to a data set, or one line that says why."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import DATA
from PIL import Image
from small_video import SIZE, write_video

from stgcn_pyg.cli import main
from stgcn_pyg.data.tracked_frames import read_tracked_frames
from stgcn_pyg.files import PART


@pytest.fixture
def sample():
    folder = DATA / "tracks" / "mot17_04_first8"
    if not folder.is_dir():
        pytest.skip(f"MOT17-04's first frames are not at {folder}; STGCN_DATA says where to look")
    return str(folder / "demo.mp4"), str(folder / "gt" / "gt.txt")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a video of 30 frames, and a tracker's file of two people in the first 20."""
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "hall.mp4")
    rows = [
        f"{frame},{track},{10 * track},20,12,30,0.9,0,-1"
        for frame in range(1, 21)
        for track in (1, 2)
    ]
    (tmp_path / "hall.txt").write_text("\n".join(rows) + "\n")
    return tmp_path


def run(*arguments):
    return main(["tracklets", *map(str, arguments)])


def test_the_people_of_mot17_04_are_cut(sample, tmp_path, capsys):
    assert run(tmp_path / "cut", "--camera", "hall", *sample, "--fps", 30) == 0
    said = capsys.readouterr().out
    assert "336 boxes of 42 tracks" in said and "456 ignore flag" in said
    table = pd.read_csv(tmp_path / "cut" / "manifest.csv")
    assert len(table) == 336 and table["tracklet"].nunique() == 42
    np.testing.assert_allclose(table["time"], table["frame"] / 30, atol=1e-6)
    # The first line of gt.txt: 1,1,1363,569,103,241
    first = table[(table["track"] == 1) & (table["frame"] == 0)].iloc[0]
    assert Image.open(tmp_path / "cut" / first["path"]).size == (103, 241)


def test_a_preview_draws_boxes_and_cuts_nothing(place, capsys):
    assert run("cut", "--camera", "hall", "hall.mp4", "hall.txt", "--preview", "boxes.jpg") == 0
    drawn = np.asarray(Image.open("boxes.jpg")).astype(int)
    assert drawn.shape == (SIZE[1], 3 * SIZE[0], 3)  # three frames beside each other
    # The frames are grey: what has a colour is a border, the nearest to the left at 10.
    coloured = np.flatnonzero(np.ptp(drawn[40, : SIZE[0]], axis=1) > 60)
    assert abs(coloured[0] - 10) <= 1
    assert not (place / "cut").exists()


def test_several_cameras_share_a_clock_and_each_has_its_own_numbers(place):
    cameras = ["--camera", "hall", "hall.mp4", "hall.txt", "--camera", "b", "hall.mp4", "hall.txt"]
    assert run("cut", *cameras, "--starts", 5, 7.5, "--every", 10) == 0
    table = pd.read_csv("cut/manifest.csv")
    assert table["camera"].tolist() == ["hall"] * 4 + ["b"] * 4
    assert table["camid"].tolist() == [1] * 4 + [2] * 4
    assert table["tracklet"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert table["time"].tolist() == [5, 6, 5, 6, 7.5, 8.5, 7.5, 8.5]


def write_frames(folder, sizes):
    """A folder of images of these sizes, of which nobody knows the frame rate."""
    folder.mkdir()
    for number, size in enumerate(sizes):
        Image.new("RGB", size, "grey").save(folder / f"{number}.png")


def test_a_camera_without_times_beside_one_with_them_makes_a_manifest_that_can_be_read(
    place, capsys
):
    write_frames(place / "b", [SIZE] * 20)
    cameras = ["--camera", "a", "hall.mp4", "hall.txt", "--camera", "b", "b", "hall.txt"]
    assert run("cut", *cameras) == 0
    assert "b: has no frame rate, so no times are written" in capsys.readouterr().err
    times = read_tracked_frames(place / "cut" / "manifest.csv").groupby("tracklet")["time"]
    assert times.count().tolist() == [20, 20, 0, 0]
    assert times.max()[:2].tolist() == [1.9, 1.9]


def test_images_of_another_size_stop_the_cut_in_one_line_and_leave_no_part(place, capsys):
    write_frames(place / "b", [SIZE] * 10 + [(40, 50)] * 10)
    assert run("cut", "--camera", "b", "b", "hall.txt") == 2
    *_, line = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("stgcn tracklets: error: b/10.png: is of 40 x 50 pixels, ")
    assert not list(place.rglob("*" + PART))
    assert not (place / "cut" / "manifest.csv").exists()


def numbered_greys(folder, form, numbers):
    """A folder of pictures whose grey is ten times the number in their names."""
    folder.mkdir()
    for number in numbers:
        Image.new("RGB", (64, 48), (10 * number,) * 3).save(folder / form.format(number))
    return folder


def numbers_in(folder):
    """The numbers in the names of the pictures that the images of a cut come from."""
    paths = pd.read_csv(folder / "manifest.csv")["path"]
    return [round(np.asarray(Image.open(folder / path)).mean() / 10) for path in paths]


@pytest.mark.parametrize(
    ("form", "numbers"),
    [
        ("{:06d}.png", range(10)),
        ("{:06d}.png", range(1, 10)),
        ("{:06d}.png", range(1, 20, 2)),
        ("frame_{}.png", range(10)),
    ],
)
@pytest.mark.parametrize("kind", ["coco", "ultralytics", "wildtrack"])
def test_tracks_that_name_pictures_are_cut_from_those(tmp_path, form, numbers, kind):
    if kind == "wildtrack":
        form = "{:08d}.png"
    pictures = numbered_greys(tmp_path / "pictures", form, numbers)
    names, tracks = [form.format(number) for number in numbers], tmp_path / "tracks"
    seen = range(3, len(names) - 1)  # nobody in the first pictures
    if kind == "coco":
        images = [{"id": i, "file_name": name} for i, name in enumerate(names)]
        found = {"category_id": 1, "track_id": 7, "bbox": [10, 10, 20, 30]}
        boxes = [{"image_id": i, **found} for i in seen]
        persons = [{"id": 1, "name": "person"}]
        content = {"images": images, "annotations": boxes, "categories": persons}
        tracks.write_text(json.dumps(content))
    elif kind == "ultralytics":
        tracks.mkdir()
        for i in seen:
            path = (tracks / names[i]).with_suffix(".txt")
            path.write_text("0 0.3 0.5 0.3 0.6 0.9 7\n")
    else:
        tracks.mkdir()
        view = {"viewNum": 0, "xmin": 1, "ymin": 1, "xmax": 20, "ymax": 40}
        for i in seen:
            path = (tracks / names[i]).with_suffix(".json")
            path.write_text(json.dumps([{"personID": 3, "views": [view]}]))
        for path in pictures.iterdir():
            Image.open(path).resize((1920, 1080)).save(path)
    assert run(tmp_path / "cut", "--camera", "0", pictures, tracks) == 0
    assert numbers_in(tmp_path / "cut") == [numbers[i] for i in seen]


def test_tracks_of_a_picture_that_is_not_there_are_refused(tmp_path, capsys):
    pictures = numbered_greys(tmp_path / "pictures", "{:02d}.png", range(4))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "04.txt").write_text("0 0.3 0.5 0.3 0.6 0.9 7\n")
    assert run(tmp_path / "cut", "--camera", "a", pictures, tmp_path / "labels") == 2
    said = "the tracks are of picture 4, which is not there: pass the folder that was tracked"
    assert said in capsys.readouterr().err


def test_numbers_are_told_with_their_nouns_and_a_labelled_manifest_is_kept(place, capsys):
    assert run("cut", "--camera", "hall", "hall.mp4", "hall.txt", "--every", 10) == 0
    assert "4 images of 2 tracklets in 1 camera\n" in capsys.readouterr().out
    manifest = place / "cut" / "manifest.csv"
    pd.read_csv(manifest).assign(pid=7, split="gallery").to_csv(manifest, index=False)
    labelled = manifest.read_bytes()
    image = next((place / "cut").rglob("*.jpg"))
    image.unlink()
    assert run("cut", "--camera", "hall", "hall.mp4", "hall.txt", "--every", 10) == 0
    assert manifest.read_bytes() == labelled and image.exists()
    assert "cut/manifest.csv: was changed after it was written, and is kept" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--camera", "hall", "hall.mp4", "hall.txt"] * 2, "two cameras have this name"),
        (["--camera", "a/b", "hall.mp4", "hall.txt"], "'a/b': write its name with letters"),
        (["--camera", "hall", "gone.mp4", "hall.txt"], "gone.mp4: no such video"),
        (["--camera", "hall", "hall.mp4", "gone.txt"], "gone.txt"),
        (["--camera", "hall", "hall.txt", "hall.mp4"], "hall.txt: is text, not a video"),
        (["--camera", "hall", "hall.mp4", "hall.txt", "--stride", "2"], "end at frame 38 "),
        (["--camera", "hall", "hall.mp4", "hall.txt", "--first-frame", "5"], "frame"),
        (["--camera", "hall", "hall.mp4", "hall.txt", "--min-frames", "21"], "--min-frames 21"),
        (["--camera", "hall", "hall.mp4", "hall.txt", "--starts", "1", "2"], "2 times for 1 cam"),
        (["--camera", "hall", "hall.mp4", "hall.txt", "--format", "kitti"], "not in the format"),
        (["--camera", "hall", "hall.mp4"], "expected 3 arguments"),
        ([], "camera"),
    ],
)
def test_a_mistake_is_named_in_one_line_and_nothing_is_written(place, capsys, change, said):
    assert run("cut", *change) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("stgcn tracklets: error: ") and said in lines[-1]
    assert not (place / "cut").exists()
