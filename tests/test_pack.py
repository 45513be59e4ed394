"""Packs of frames, and what happens at bad ones."""

import json
import os
import signal

import numpy as np
import pytest
import torch

from stgcn_pyg.cli import main
from stgcn_pyg.data import TrackletDataModule, frames, load_dataset
from stgcn_pyg.data.decoding import read_picture
from stgcn_pyg.data.frames import FrameFiles
from stgcn_pyg.data.pack import write_pack
from stgcn_pyg.data.packed_frames import PackedFrames
from stgcn_pyg.errors import UserError

OPTIONS = {
    "num_frames": 3,
    "height": 64,
    "width": 32,
    "people_per_batch": 3,
    "tracklets_per_person": 2,
}


@pytest.fixture
def root(mars_tree):
    return mars_tree.write()


@pytest.fixture
def dataset(root):
    return load_dataset("mars", root)


def pack(dataset, folder, workers=1, **options):
    return sum(write_pack(dataset, folder, height=64, width=32, workers=workers, **options))


def error_line(capsys):
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_a_pack_holds_what_the_pictures_give(dataset, tmp_path):
    assert pack(dataset, tmp_path / "pack", workers=2) == len(dataset.frames)
    packed = PackedFrames(tmp_path / "pack", dataset.frames, 64, 32)
    files = FrameFiles(dataset.root, dataset.frames, 64, 32)
    rows = list(range(len(dataset.frames)))
    assert torch.equal(packed.read(rows), files.read(rows))
    assert torch.equal(packed.read([5, 5, 2]), files.read([5, 5, 2]))
    packed.verify()


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_from_a_pack_are_those_from_pictures(dataset, tmp_path, workers):
    pack(dataset, tmp_path / "pack")
    data = TrackletDataModule(dataset, **OPTIONS, num_workers=0)
    packed = TrackletDataModule(dataset, **OPTIONS, num_workers=workers, pack=tmp_path / "pack")
    for loaders in (
        (data.train_dataloader(), packed.train_dataloader()),
        (data.clip_dataloader(dataset.query), packed.clip_dataloader(dataset.query)),
    ):
        for one, two in zip(*loaders, strict=True):
            assert torch.equal(one.clips, two.clips)
            assert torch.equal(one.labels, two.labels)


def test_damage_to_a_pack_is_found(dataset, tmp_path):
    folder = tmp_path / "pack"
    pack(dataset, folder)
    pixels = np.load(folder / "frames.npy", mmap_mode="r+")
    pixels[7, 3, 3, 1] ^= 1
    pixels.flush()
    with pytest.raises(UserError, match=r"frames\.npy: does not have its checksum"):
        PackedFrames(folder, dataset.frames, 64, 32).verify()
    with (folder / "frames.npy").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(UserError, match=r"frames\.npy: damaged"):
        PackedFrames(folder, dataset.frames, 64, 32)
    (folder / "index.json").write_text("{")
    with pytest.raises(UserError, match=r"index\.json: cannot be read"):
        PackedFrames(folder, dataset.frames, 64, 32)
    (folder / "index.json").write_text(json.dumps({"format": 0}))
    with pytest.raises(UserError, match=r"index\.json: of another version"):
        PackedFrames(folder, dataset.frames, 64, 32)


def test_a_pack_of_other_frames_or_another_size_is_refused(dataset, tmp_path):
    pack(dataset, tmp_path / "pack")
    with pytest.raises(UserError, match="packed at 64 x 32, not at 128 x 64"):
        PackedFrames(tmp_path / "pack", dataset.frames, 128, 64)
    with pytest.raises(UserError, match="packed from other frames"):
        PackedFrames(tmp_path / "pack", dataset.frames.iloc[:-1], 64, 32)
    with pytest.raises(UserError, match="no pack"):
        PackedFrames(tmp_path / "none", dataset.frames, 64, 32)


def test_packing_stops_at_a_bad_picture_and_leaves_no_pack(dataset, tmp_path):
    path = dataset.root / dataset.frames[40]
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError, match=path.name):
        pack(dataset, tmp_path / "pack")
    with pytest.raises(UserError, match="no pack"):
        PackedFrames(tmp_path / "pack", dataset.frames, 64, 32)
    assert pack(dataset, tmp_path / "pack", on_bad_frame="skip")  # nothing is in the way


def test_a_folder_that_holds_something_is_left_alone(dataset, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.txt").write_text("years of it")
    with pytest.raises(UserError, match="holds something already"):
        pack(dataset, tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["work.txt"]


@pytest.mark.parametrize("kind", ["truncated", "missing"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_bad_frame_is_replaced_by_its_nearest_good_neighbour(dataset, tmp_path, kind, packed):
    tracklet = dataset.train.iloc[2]  # of five frames
    paths = dataset.paths(tracklet)
    for path in (paths[2], paths[3]):
        if kind == "missing":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:300])
    folder = tmp_path / "pack" if packed else None
    if packed:
        pack(dataset, folder, on_bad_frame="skip")
    data = TrackletDataModule(dataset, **OPTIONS, pack=folder, on_bad_frame="skip", num_workers=0)
    clip, faults = data.reader.read(tracklet, [0, 2, 3, 4])
    files = FrameFiles(dataset.root, dataset.frames, 64, 32)
    first = int(tracklet["first_frame"])
    assert torch.equal(clip, files.read([first, first + 1, first + 4, first + 4]))
    assert [str(path) in fault for path, fault in zip(paths[2:4], sorted(set(faults)), strict=True)]
    with pytest.raises(UserError, match=paths[2].name):
        TrackletDataModule(dataset, **OPTIONS, pack=folder, num_workers=0).reader.read(
            tracklet, [2]
        )


@pytest.mark.parametrize("on_bad_frame", ["stop", "skip"])
@pytest.mark.parametrize("packed", [False, True])
def test_the_clips_of_a_table_are_those_of_its_tracklets(dataset, tmp_path, on_bad_frame, packed):
    tracklets = dataset.train.iloc[[4, 1, 4]]
    bad = dataset.paths(tracklets.iloc[1])[0]
    if on_bad_frame == "skip":
        bad.unlink()
    if packed:
        pack(dataset, tmp_path / "pack", on_bad_frame=on_bad_frame)
    reader = TrackletDataModule(
        dataset,
        **OPTIONS,
        on_bad_frame=on_bad_frame,
        pack=tmp_path / "pack" if packed else None,
    ).reader
    indices = np.array([[0, 2, 4], [0, 1, 1], [3, 0, 3]])
    clips, faults = reader.read(tracklets, indices)
    assert clips.shape == (3, 3, 64, 32, 3)
    for i, clip in enumerate(clips):
        assert torch.equal(clip, reader.read(tracklets.iloc[i], indices[i])[0])
    assert [str(bad) in fault for fault in faults] == [True] * (on_bad_frame == "skip")


def test_a_frame_that_stands_in_a_batch_twice_is_decoded_once(dataset, monkeypatch):
    read = []

    def counted(path, height, width):
        read.append(path)
        return read_picture(path, height, width)

    monkeypatch.setattr(frames, "read_picture", counted)
    files = FrameFiles(dataset.root, dataset.frames, 64, 32)
    pictures = files.read([7, 3, 7, 7])
    assert read == [dataset.root / dataset.frames[row] for row in (7, 3)]
    assert torch.equal(pictures[[0, 0]], pictures[2:])
    assert not torch.equal(pictures[0], pictures[1])


def test_of_two_neighbours_as_near_the_later_is_taken(dataset):
    tracklet = dataset.train.iloc[0]
    dataset.paths(tracklet)[2].unlink()
    data = TrackletDataModule(dataset, **OPTIONS, on_bad_frame="skip", num_workers=0)
    assert torch.equal(data.reader.read(tracklet, [2])[0], data.reader.read(tracklet, [3])[0])


def test_a_tracklet_without_a_good_frame_stops(dataset):
    tracklet = dataset.train.iloc[0]
    for path in dataset.paths(tracklet):
        path.unlink()
    data = TrackletDataModule(dataset, **OPTIONS, on_bad_frame="skip", num_workers=0)
    with pytest.raises(UserError, match="no frame of its tracklet is good"):
        data.reader.read(tracklet, [0])


@pytest.mark.parametrize("workers", [0, 1])
def test_skipped_frames_are_counted_once(dataset, workers):
    bad = dataset.paths(dataset.query.iloc[0])[1]
    bad.unlink()
    data = TrackletDataModule(dataset, **OPTIONS, on_bad_frame="skip", num_workers=workers)
    for _ in range(2):
        for batch in data.clip_dataloader(dataset.query):
            data.on_after_batch_transfer(batch)
    (fault,) = data.skipped
    assert fault.startswith(f"{bad}: ")


def tiny(tmp_path):
    config = tmp_path / "tiny.yaml"
    config.write_text(
        "epochs: 1\n"
        "model: {backbone: resnet18, weights: null, num_frames: 2, spatial_channels: 16}\n"
        "data: {height: 64, width: 32, people_per_batch: 4, tracklets_per_person: 2}\n"
    )
    return f"--config={config}"


def test_training_and_evaluation_pass_over_bad_pictures_and_say_so(root, tmp_path, capsys):
    bad = load_dataset("mars", root).paths(load_dataset("mars", root).query.iloc[0])[0]
    bad.unlink()
    run = f"--output={tmp_path / 'run'}"
    assert main(["train", "mars", str(root), tiny(tmp_path), run]) == 2
    assert str(bad) in error_line(capsys)
    assert main(["train", "mars", str(root), tiny(tmp_path), run, "--on-bad-frame=skip"]) == 0
    assert f"bad pictures, passed over for another frame of their tracklet: 1\n  {bad}" in (
        capsys.readouterr().out
    )
    assert main(["evaluate", str(tmp_path / "run"), "--on-bad-frame", "skip"]) == 0
    assert str(bad) in capsys.readouterr().out


def test_the_command_packs_and_training_needs_no_picture_then(root, tmp_path, capsys):
    folder = str(tmp_path / "pack")
    size = ["--height=64", "--width=32"]
    assert main(["pack", "mars", str(root), folder, *size]) == 0
    assert "66 frames of 64 x 32, 0 MB, 0 bad" in capsys.readouterr().out
    assert main(["pack", "mars", str(root), folder, *size, "--verify=true"]) == 0
    assert "checksum right" in capsys.readouterr().out
    assert main(["pack", "mars", str(root), folder, *size]) == 2
    assert "holds something already" in error_line(capsys)
    for path in root.rglob("*.jpg"):
        path.unlink()
    run = f"--output={tmp_path / 'run'}"
    assert main(["train", "mars", str(root), tiny(tmp_path), run, f"--pack={folder}"]) == 0
    assert main(["evaluate", str(tmp_path / "run"), f"--pack={folder}"]) == 0


def test_a_killed_worker_is_an_error_of_one_line(root, tmp_path, capsys, monkeypatch):
    read = FrameFiles.read

    def killed(self, rows):
        if torch.utils.data.get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(self, rows)

    monkeypatch.setattr(FrameFiles, "read", killed)
    run = f"--output={tmp_path / 'run'}"
    command = ["train", "mars", str(root), tiny(tmp_path), run, "--data.num_workers=1"]
    assert main(command) == 2
    assert "was killed" in capsys.readouterr().err.strip().splitlines()[-1]
