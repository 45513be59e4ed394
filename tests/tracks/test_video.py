"""The frames of videos and folders: how many, when, which way up, and what is refused."""

import numpy as np
import pytest
from PIL import Image
from small_video import SIZE, frame, grey, write_video

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks.video import open_frames


def greys(frames):
    """The grey of each frame's last pixel, which tells its number."""
    return [int(one.rgb()[-1, -1].mean()) for one in frames]


def test_a_video_gives_its_frames_in_order_with_their_times(tmp_path):
    frames = open_frames(write_video(tmp_path / "one.mp4"))
    assert (frames.count, frames.size, frames.notes) == (30, SIZE, ())
    np.testing.assert_allclose(frames.times, np.arange(30) / 10)
    np.testing.assert_allclose(greys(frames), [grey(i) for i in range(30)], atol=2)
    assert len(list(frames)) == 30  # once more, from the beginning


def test_a_video_that_is_stored_turned_is_turned_upright(tmp_path):
    # As OpenCV 5.0.0 shows it, by which trackers see: rotation by 90 is anticlockwise.
    frames = open_frames(write_video(tmp_path / "phone.mp4", turned=90))
    assert frames.size == (SIZE[1], SIZE[0])
    shown = next(iter(frames)).rgb()
    assert abs(shown.astype(int) - np.rot90(frame(0))).max() < 12


def test_the_times_of_a_varying_frame_rate_are_the_videos_own(tmp_path):
    stamps = [0, 1, 2, 3, 7, 8, 9, 20]
    frames = open_frames(write_video(tmp_path / "uneven.mp4", 8, stamps))
    np.testing.assert_allclose(frames.times, np.array(stamps) / 10)
    assert "varies" in frames.notes[0]


def test_a_given_frame_rate_replaces_the_videos_times(tmp_path):
    frames = open_frames(write_video(tmp_path / "one.mp4"), fps=25)
    np.testing.assert_allclose(frames.times, np.arange(30) / 25)


def test_a_truncated_video_gives_the_frames_before_the_end(tmp_path):
    path = write_video(tmp_path / "whole.mp4", 50, options={"movflags": "faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    frames = open_frames(cut)
    decoded = greys(frames)
    assert frames.count == 50 and 1 < len(decoded) < 50
    np.testing.assert_allclose(decoded, [grey(i) for i in range(len(decoded))], atol=2)


def test_a_folder_is_read_by_the_numbers_in_its_names(tmp_path):
    folder = tmp_path / "img1"
    folder.mkdir()
    for number in range(8, 12):
        Image.fromarray(frame(number)).save(folder / f"{number}.png")  # 10 sorts before 8 by name
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nframeRate=5\n")
    frames = open_frames(folder)
    assert greys(frames) == [grey(i) for i in range(8, 12)]
    assert (frames.count, frames.size) == (4, SIZE)
    np.testing.assert_allclose(frames.times, [0, 0.2, 0.4, 0.6])


def test_the_numbers_of_a_folder_may_go_up_by_any_one_step(tmp_path):
    for number in (0, 5, 10):
        Image.fromarray(frame(number)).save(tmp_path / f"{number:08d}.png")
    frames = open_frames(tmp_path, fps=2)
    assert greys(frames) == [grey(i) for i in (0, 5, 10)]
    np.testing.assert_allclose(frames.times, [0, 0.5, 1])
    assert "counted one by one" in frames.notes[0]
    (tmp_path / "00000020.png").write_bytes((tmp_path / "00000010.png").read_bytes())
    with pytest.raises(UserError, match=r"frame 15 is missing between 00000010\.png and "):
        open_frames(tmp_path)


def test_a_folder_without_a_frame_rate_has_no_times_and_says_so(tmp_path):
    Image.fromarray(frame(0)).save(tmp_path / "0.png")
    frames = open_frames(tmp_path)
    assert frames.times is None and "--fps" in frames.notes[0]


def test_images_of_another_size_are_refused_by_name(tmp_path):
    for number in range(4):
        pixels = frame(number) if number < 2 else frame(number)[:40, :50]
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    frames = iter(open_frames(tmp_path))
    assert greys([next(frames), next(frames)]) == [grey(0), grey(1)]
    said = rf"^{tmp_path / '2.png'}: is of 50 x 40 pixels, the first frame of 96 x 64: [^\n]+$"
    with pytest.raises(UserError, match=said):
        next(frames)


@pytest.mark.parametrize("sizes", [[(96, 64), (48, 32)], [(48, 32), (96, 64)]])
def test_a_video_whose_frames_change_their_size_is_refused(tmp_path, sizes):
    path = tmp_path / "changes.mjpeg"  # a JPEG after the other
    with path.open("wb") as file:
        for size in sizes:
            for _ in range(3):
                Image.new("RGB", size, "grey").save(file, "JPEG")
    opened = open_frames(path)
    assert opened.size == sizes[0]
    frames = iter(opened)
    assert [next(frames).rgb().shape for _ in range(3)] == [(*sizes[0][::-1], 3)] * 3
    (width, height), (first_width, first_height) = sizes[1], sizes[0]
    said = (
        rf"^{path}: frame 3: is of {width} x {height} pixels, the first frame of "
        rf"{first_width} x {first_height}: [^\n]+$"
    )
    with pytest.raises(UserError, match=said):
        next(frames)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["1.png", "2.png", "4.png"], "frame 3 is missing between 2.png and 4.png"),
        (["1.png", "01.png"], "1.png: has the same number as 01.png"),
        (["a.png"], "a.png: its name does not end in a number"),
        ([], "holds no images"),
    ],
)
def test_a_folder_that_leaves_its_frames_in_doubt_is_refused(tmp_path, names, said):
    for name in names:
        Image.fromarray(frame(0)).save(tmp_path / name)
    with pytest.raises(UserError, match=said):
        open_frames(tmp_path)


def test_what_is_no_video_is_refused_in_one_line(tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("not a video")
    with pytest.raises(UserError, match=r"notes.mp4: cannot be read as a video \(.*\): pass a"):
        open_frames(path)
    with pytest.raises(UserError, match="no such video"):
        open_frames(tmp_path / "absent.mp4")


def test_a_file_of_tracks_in_place_of_the_video_is_refused(tmp_path):
    # PyAV 18.1.0 opens it as a video of 640 x 400 that shows its letters.
    path = tmp_path / "gt.txt"
    path.write_text("1,1,10,20,30,60,1,1,1\n" * 50)
    with pytest.raises(UserError, match=r"gt\.txt: is text, not a video"):
        open_frames(path)
