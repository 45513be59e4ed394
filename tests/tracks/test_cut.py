"""Cutting: which pixels land in which image, and that nothing half-written counts."""

import hashlib
import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from full_disk import largest_file
from PIL import Image
from small_video import SIZE, grey, write_video

from stgcn_pyg.data import load_dataset
from stgcn_pyg.errors import UserError
from stgcn_pyg.files import PART
from stgcn_pyg.tracks.cut import MANIFEST, Camera, cut_tracklets
from stgcn_pyg.tracks.tracklets import make_tracklets
from stgcn_pyg.tracks.video import open_frames


def camera(path, name="hall", frames=range(30), starts=0.0):
    """A camera with a track that stands still and one that moves with the square."""
    still = {"track": "7", "left": 60.0, "top": 40.0, "width": 12.0, "height": 24.0}
    moving = {"track": "8", "top": 16.0, "width": 16.0, "height": 16.0}
    table = pd.concat(
        [
            pd.DataFrame({"frame": frames, **still}),
            pd.DataFrame({"frame": frames, "left": [2.0 * i for i in frames], **moving}),
        ]
    ).assign(confidence=0.5)
    return Camera(name, open_frames(path), make_tracklets(table, SIZE), starts)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "hall.mp4")


def contents(folder):
    """A digest of each file of a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_each_image_holds_its_box_of_its_frame(video, tmp_path):
    cut = cut_tracklets(tmp_path / "cut", [camera(video, frames=range(3, 30, 4), starts=100.0)])
    table = pd.read_csv(tmp_path / "cut" / MANIFEST)
    pd.testing.assert_frame_equal(table, cut.manifest.astype({"track": int}), check_dtype=False)
    assert table["frame"].tolist() == 2 * list(range(3, 30, 4))
    assert table["track"].tolist() == 7 * [7] + 7 * [8]
    np.testing.assert_allclose(table["time"], 100 + table["frame"] / 10)
    for row in table.itertuples():
        pixels = np.asarray(Image.open(tmp_path / "cut" / row.path)).astype(int)
        still = row.track == 7
        assert pixels.shape == ((24, 12, 3) if still else (16, 16, 3))
        assert abs(pixels.mean() - (grey(row.frame) if still else 255)) < 4


def test_the_manifest_is_a_data_set_without_identities(video, tmp_path):
    cameras = [camera(video), camera(video, "stairs", range(5, 15))]
    cut_tracklets(tmp_path / "cut", cameras)
    dataset = load_dataset("manifest", tmp_path / "cut" / MANIFEST)
    assert not dataset.labelled and dataset.train.empty
    assert dataset.gallery["camid"].tolist() == [1, 1, 2, 2]
    assert dataset.gallery["num_frames"].tolist() == [30, 30, 10, 10]
    assert dataset.gallery.index.tolist() == [0, 1, 2, 3]


def test_the_bytes_are_the_same_for_any_number_of_workers(video, tmp_path):
    for workers in (1, 3):
        cut_tracklets(tmp_path / str(workers), [camera(video)], workers=workers)
    assert contents(tmp_path / "1") == contents(tmp_path / "3")


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[3:]
from test_cut import camera, cut_tracklets
from pathlib import Path
def advance(frames):
    advance.passed += frames
    if advance.passed == 20:
        os.kill(os.getpid(), signal.SIGKILL)
advance.passed = 0
cut_tracklets(Path(sys.argv[2]), [camera(Path(sys.argv[1]))], advance=advance)
"""


def test_what_a_kill_interrupts_is_continued_to_the_same_bytes(video, tmp_path):
    there, whole = tmp_path / "cut", tmp_path / "whole"
    cut_tracklets(whole, [camera(video)])
    folders = [os.path.dirname(__file__), os.path.dirname(os.path.dirname(__file__))]
    arguments = [sys.executable, "-c", KILLED, str(video), str(there), *folders]
    assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
    done = list(there.rglob("*.jpg"))
    assert 10 < len(done) < 60 and not (there / MANIFEST).exists()
    (done[0].parent / ("000029.jpg" + PART)).write_bytes(b"half")  # as a kill may leave it
    made = {path: path.stat().st_mtime_ns for path in done}
    cut_tracklets(there, [camera(video)])
    assert contents(there) == contents(whole)
    assert all(path.stat().st_mtime_ns == time for path, time in made.items())


def test_another_cut_is_not_mixed_in(video, tmp_path):
    cut_tracklets(tmp_path / "cut", [camera(video)])
    for other, what in (
        (camera(video, "stairs"), "cameras, video of stairs, times of stairs, boxes of stairs"),
        (camera(video, frames=range(29)), "boxes of hall"),
        (camera(video, starts=1.0), "times of hall"),
    ):
        with pytest.raises(UserError, match=rf"of another cut \({what} differ\)"):
            cut_tracklets(tmp_path / "cut", [other])
    with pytest.raises(UserError, match=r"another cut \(quality differ\)"):
        cut_tracklets(tmp_path / "cut", [camera(video)], quality=50)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").touch()
    with pytest.raises(UserError, match="holds something else"):
        cut_tracklets(tmp_path / "mine", [camera(video)])
    assert os.listdir(tmp_path / "mine") == ["letter"]


def test_other_pictures_of_the_same_names_and_sizes_are_not_mixed_in(tmp_path):
    folder = tmp_path / "img1"
    folder.mkdir()
    for number in range(30):
        Image.new("RGB", SIZE, "grey").save(folder / f"{number}.bmp")
    cut_tracklets(tmp_path / "cut", [camera(folder)])
    cut_tracklets(tmp_path / "cut", [camera(folder)])
    Image.new("RGB", SIZE, "white").save(folder / "3.bmp")
    with pytest.raises(UserError, match=r"another cut \(video of hall differ\)"):
        cut_tracklets(tmp_path / "cut", [camera(folder)])


@pytest.mark.parametrize("content", ["", "[]", "7"])
def test_a_state_that_tells_nothing_is_of_another_cut(video, tmp_path, content):
    (tmp_path / "cut.json").write_text(content)
    with pytest.raises(UserError, match=r"holds tracklets of another cut \(quality, "):
        cut_tracklets(tmp_path, [camera(video)])


def test_of_a_truncated_video_the_decoded_frames_are_kept(tmp_path):
    path = write_video(tmp_path / "whole.mp4", 50, options={"movflags": "faststart"})
    short = tmp_path / "short.mp4"
    short.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    decoded = len(list(open_frames(short)))
    cut = cut_tracklets(tmp_path / "cut", [camera(short, frames=range(40))])
    assert cut.missing == {"hall": 40 - decoded}
    assert cut.manifest["frame"].max() == decoded - 1
    assert len(load_dataset("manifest", tmp_path / "cut" / MANIFEST).frames) == 2 * decoded
    # Of the frames that cannot be decoded, those with a box are missing, each once.
    cut = cut_tracklets(tmp_path / "few", [camera(short, frames=[0, 3, 45, 48])])
    assert cut.missing == {"hall": 2}
    assert cut.manifest["frame"].tolist() == [0, 3, 0, 3]


@pytest.mark.parametrize("room", [300, 500])  # too little for cut.json, or for an image
def test_a_full_disk_ends_in_one_line(video, tmp_path, room):
    with largest_file(room), pytest.raises(UserError, match="cannot be written"):
        cut_tracklets(tmp_path / "cut", [camera(video)])
    assert not (tmp_path / "cut" / MANIFEST).exists()
    # The system writes what has room of the image, and raises nothing then.
    assert not list(tmp_path.rglob("*" + PART)) and not list(tmp_path.rglob("*.jpg"))
