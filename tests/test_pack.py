"""Packs of frames, and what happens at bad ones."""

import json
import os
import pickle
import shutil
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from stgcn_pyg.cli import main
from stgcn_pyg.data import TrackletDataModule, load_dataset
from stgcn_pyg.data.clips import FrameFiles
from stgcn_pyg.data.decoding import read_image
from stgcn_pyg.data.pack import PackedFrames, write_pack
from stgcn_pyg.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from stgcn_pyg.errors import UserError

pytestmark = pytest.mark.usefixtures("narrow_backbone")

OPTIONS = {
    "num_frames": 3,
    "height": 64,
    "width": 32,
    "identities_per_batch": 3,
    "tracklets_per_identity": 2,
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
    index = json.loads((folder / "index.json").read_text())
    for changed in (
        {name: value for name, value in index.items() if name != "height"},
        index | {"bad": 3},
        index | {"bad": [["7", "a.jpg: empty"]]},
        index | {"paths_sha256": None},
    ):
        (folder / "index.json").write_text(json.dumps(changed))
        with pytest.raises(UserError, match=r"index\.json: damaged .*: pack again"):
            PackedFrames(folder, dataset.frames, 64, 32)
    (folder / "index.json").write_text("{")
    with pytest.raises(UserError, match=r"index\.json: cannot be read"):
        PackedFrames(folder, dataset.frames, 64, 32)
    (folder / "index.json").write_text(json.dumps({"format": 0}))
    with pytest.raises(UserError, match=r"index\.json: of another version"):
        PackedFrames(folder, dataset.frames, 64, 32)


def test_a_pack_of_other_frames_or_another_size_is_refused(dataset, tmp_path):
    pack(dataset, tmp_path / "pack")
    with pytest.raises(UserError, match="64 x 32, not at 128 x 64: pass --height 64 --width 32,"):
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
        return read_image(path, height, width)

    monkeypatch.setattr("stgcn_pyg.data.clips.read_image", counted)
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
            data.transform(batch, IMAGENET_MEAN, IMAGENET_STD)
    (fault,) = data.skipped
    assert fault.startswith(f"{bad}: ")


def repaint(path, colour=(10, 200, 30)):
    """Puts another picture of the same format and dimensions in a picture's place."""
    with Image.open(path) as image:
        size, kind = image.size, image.format
    Image.new("RGB", size, colour).save(path, kind)


def test_a_pack_whose_pictures_have_changed_since_is_refused(dataset, tmp_path):
    folder = tmp_path / "pack"
    pack(dataset, folder)
    PackedFrames(folder, dataset.frames, 64, 32, dataset.root)
    path = dataset.root / dataset.frames[7]
    status = path.stat()
    repaint(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # its size alone has changed
    with pytest.raises(UserError, match=f"{path} is not the image that was packed: pack again"):
        TrackletDataModule(dataset, **OPTIONS, pack=folder)
    repaint(dataset.root / dataset.frames[9])
    with pytest.raises(UserError, match=f"{path} is not .* packed, nor are 1 others: pack again"):
        TrackletDataModule(dataset, **OPTIONS, pack=folder)


def test_a_picture_of_the_same_size_is_told_by_its_content(dataset, tmp_path):
    paths = [dataset.root / frame for frame in dataset.frames]
    for i, path in enumerate(paths):
        Image.new("RGB", (24, 48), (i, i, i)).save(path, "BMP")
    folder = tmp_path / "pack"
    pack(dataset, folder)
    size = paths[3].stat().st_size
    repaint(paths[3])
    assert paths[3].stat().st_size == size
    with pytest.raises(UserError, match=f"{paths[3]} is not the image that was packed"):
        PackedFrames(folder, dataset.frames, 64, 32, dataset.root)


def test_a_pack_of_another_data_set_with_the_same_names_is_refused(dataset, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(dataset.root, other)
    for path in other.rglob("*.jpg"):
        repaint(path)
    pack(dataset, tmp_path / "pack")
    with pytest.raises(UserError, match=f"{other}/.* is not .* nor are 65 others: pack again"):
        TrackletDataModule(load_dataset("mars", other), **OPTIONS, pack=tmp_path / "pack")


def test_a_copy_of_the_data_set_is_the_same_whatever_its_times(dataset, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(dataset.root, copy, copy_function=shutil.copyfile)
    assert os.stat(copy / dataset.frames[0]).st_mtime_ns != (
        os.stat(dataset.root / dataset.frames[0]).st_mtime_ns
    )
    pack(dataset, tmp_path / "pack")
    assert TrackletDataModule(load_dataset("mars", copy), **OPTIONS, pack=tmp_path / "pack")


def test_of_many_copied_pictures_some_are_read_and_every_one_that_changed_alone(
    dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr("stgcn_pyg.data.pack.READ_AT_MOST", 5)
    paths = [dataset.root / frame for frame in dataset.frames]
    for i, path in enumerate(paths):
        Image.new("RGB", (24, 48), (i, i, i)).save(path, "BMP")
    folder = tmp_path / "pack"
    pack(dataset, folder)
    for path in paths:
        repaint(path)
    with pytest.raises(UserError, match="is not the image that was packed, nor are 4 others"):
        PackedFrames(folder, dataset.frames, 64, 32, dataset.root)


def test_a_pack_without_its_pictures_is_used_by_itself(dataset, tmp_path):
    pack(dataset, tmp_path / "pack")
    kept = dataset.root / dataset.frames[11]
    for path in dataset.root.rglob("*.jpg"):
        if path != kept:
            path.unlink()
    packed = PackedFrames(tmp_path / "pack", dataset.frames, 64, 32, dataset.root)
    assert packed.compare(dataset.root, dataset.frames) == 1
    repaint(kept)
    with pytest.raises(UserError, match=f"{kept} is not the image"):
        PackedFrames(tmp_path / "pack", dataset.frames, 64, 32, dataset.root)
    kept.unlink()
    assert packed.compare(dataset.root, dataset.frames) == 0


def test_a_bad_picture_that_was_mended_makes_the_pack_stale(dataset, tmp_path):
    path = dataset.root / dataset.frames[7]
    content = path.read_bytes()
    for damaged in (None, content[:300]):
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
        folder = tmp_path / f"pack{damaged is None}"
        pack(dataset, folder, on_bad_frame="skip")
        PackedFrames(folder, dataset.frames, 64, 32, dataset.root)
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"{path} is not the image that was packed"):
            PackedFrames(folder, dataset.frames, 64, 32, dataset.root)


def as_format_1(folder):
    """Makes a pack what the first version wrote."""
    index = json.loads((folder / "index.json").read_text())
    del index["pictures_sha256"]
    (folder / "index.json").write_text(json.dumps(index | {"format": 1}))
    (folder / "pictures.npy").unlink()


def test_a_pack_of_the_first_version_is_used_with_a_warning(dataset, tmp_path):
    folder = tmp_path / "pack"
    pack(dataset, folder)
    as_format_1(folder)
    with pytest.warns(UserWarning, match="cannot be held against its images: pack again if"):
        packed = PackedFrames(folder, dataset.frames, 64, 32, dataset.root)
    assert torch.equal(packed.read([3]), FrameFiles(dataset.root, dataset.frames, 64, 32).read([3]))
    packed.verify()


def test_verifying_reads_every_picture_and_both_files(root, dataset, tmp_path, capsys):
    folder = str(tmp_path / "pack")
    command = ["pack", "mars", str(root), folder, "--height=64", "--width=32"]
    for i, frame in enumerate(dataset.frames):
        Image.new("RGB", (24, 48), (i, i, i)).save(root / frame, "BMP")
    assert main(command) == 0
    assert main([*command, "--verify=true"]) == 0
    assert "checksum right, 66 images unchanged" in capsys.readouterr().out
    path = root / dataset.frames[20]
    status = path.stat()
    repaint(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # of the old size and time
    PackedFrames(tmp_path / "pack", dataset.frames, 64, 32, root)
    assert main([*command, "--verify=true"]) == 2
    assert f"{path} is not the image that was packed: pack again" in error_line(capsys)
    records = np.load(tmp_path / "pack" / "pictures.npy")
    records["changed_ns"][0] += 1
    np.save(tmp_path / "pack" / "pictures.npy", records)
    with pytest.raises(UserError, match=r"pictures\.npy: does not have its checksum"):
        PackedFrames(tmp_path / "pack", dataset.frames, 64, 32).verify()


def test_what_is_wrong_with_the_list_of_pictures_is_told(dataset, tmp_path):
    folder = tmp_path / "pack"
    pack(dataset, folder)
    records = np.load(folder / "pictures.npy")
    np.save(folder / "pictures.npy", records[1:])
    with pytest.raises(UserError, match=r"pictures\.npy: does not hold a record a frame: pack"):
        PackedFrames(folder, dataset.frames, 64, 32, dataset.root)
    (folder / "pictures.npy").unlink()
    with pytest.raises(UserError, match=r"pictures\.npy: is missing: pack again"):
        PackedFrames(folder, dataset.frames, 64, 32, dataset.root)
    PackedFrames(folder, dataset.frames, 64, 32)


def test_a_pack_is_verified_at_its_own_size_and_may_lack_no_file(root, dataset, tmp_path, capsys):
    pack(dataset, tmp_path / "pack")
    arguments = ["pack", "mars", str(root), str(tmp_path / "pack"), "--verify", "true"]
    assert main(arguments) == 0
    assert "frames of 64 x 32, " in capsys.readouterr().out
    (tmp_path / "pack" / "pictures.npy").unlink()
    assert main(arguments) == 2
    assert "pictures.npy: is missing: pack again" in error_line(capsys)


def test_an_unknown_word_for_bad_frames_is_refused(dataset, tmp_path):
    for make in (
        lambda: pack(dataset, tmp_path / "pack", on_bad_frame="Stop"),
        lambda: TrackletDataModule(dataset, on_bad_frame="Stop"),
    ):
        with pytest.raises(UserError, match="on_bad_frame='Stop' is unknown: use stop, skip"):
            make()


def test_what_a_kill_before_the_index_leaves_is_no_hindrance(dataset, tmp_path):
    pack(dataset, tmp_path / "pack")
    (tmp_path / "pack" / "index.json").rename(tmp_path / "pack" / "index.json.part")
    assert pack(dataset, tmp_path / "pack")


def test_a_copy_for_another_process_holds_no_pixels(dataset, tmp_path):
    pack(dataset, tmp_path / "pack")
    packed = PackedFrames(tmp_path / "pack", dataset.frames, 64, 32)
    assert packed.read([0]).shape == (1, 64, 32, 3)
    content = pickle.dumps(packed)
    assert len(content) < 10_000 < (tmp_path / "pack" / "frames.npy").stat().st_size
    assert torch.equal(pickle.loads(content).read([5, 2]), packed.read([5, 2]))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_spawned_worker_reads_the_right_frames(dataset, tmp_path, method):
    pack(dataset, tmp_path / "pack")
    data = TrackletDataModule(dataset, **OPTIONS, pack=tmp_path / "pack", num_workers=0)
    here = data.clip_dataloader(dataset.query)
    spawned = torch.utils.data.DataLoader(
        here.dataset,
        batch_size=None,
        sampler=here.sampler,
        num_workers=1,
        multiprocessing_context=method,
    )
    for one, two in zip(spawned, here, strict=True):
        assert torch.equal(one.clips, two.clips)


def tiny(tmp_path):
    config = tmp_path / "tiny.yaml"
    config.write_text(
        "epochs: 1\n"
        "model: {backbone: resnet18, weights: null, num_frames: 2, spatial_channels: 16}\n"
        "data: {height: 64, width: 32, identities_per_batch: 4, tracklets_per_identity: 2}\n"
    )
    return f"--config={config}"


@pytest.mark.slow
def test_training_and_evaluation_pass_over_bad_pictures_and_say_so(root, tmp_path, capsys):
    bad = load_dataset("mars", root).paths(load_dataset("mars", root).query.iloc[0])[0]
    bad.unlink()
    run = f"--output={tmp_path / 'run'}"
    assert main(["train", "mars", str(root), tiny(tmp_path), run]) == 2
    assert str(bad) in error_line(capsys)
    assert main(["train", "mars", str(root), tiny(tmp_path), run, "--on-bad-frame=skip"]) == 0
    assert f"bad images, skipped for another frame of their tracklet: 1\n  {bad}" in (
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


@pytest.mark.parametrize("split", ["train", "query"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_tracklet_without_a_good_frame_is_told_before_training(
    root, dataset, tmp_path, capsys, split, packed
):
    paths = dataset.paths(dataset.tables()[split].iloc[0])
    paths[0].write_bytes(b"")
    for path in paths[1:]:
        path.unlink()
    run = tmp_path / "run"
    command = ["train", "mars", str(root), tiny(tmp_path), f"--output={run}", "--on-bad-frame=skip"]
    if packed:
        pack(dataset, tmp_path / "pack", on_bad_frame="skip")
        command.append(f"--pack={tmp_path / 'pack'}")
    assert main(command) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]  # below a progress bar
    assert any(str(path) in line for path in paths)
    assert "no frame of its tracklet is good" in line
    assert not run.exists()


@pytest.mark.slow
def test_a_bad_frame_of_a_pack_is_told_before_a_training_that_would_stop(
    root, dataset, tmp_path, capsys
):
    dataset.paths(dataset.query.iloc[0])[1].unlink()
    pack(dataset, tmp_path / "pack", on_bad_frame="skip")
    run = tmp_path / "run"
    command = ["train", "mars", str(root), tiny(tmp_path), f"--output={run}"]
    command.append(f"--pack={tmp_path / 'pack'}")
    assert main(command) == 2
    assert str(dataset.paths(dataset.query.iloc[0])[1]) in error_line(capsys)
    assert not run.exists()
    assert main([*command, "--on-bad-frame=skip"]) == 0


def test_what_a_killed_packing_leaves_is_no_hindrance(dataset, tmp_path):
    packing = write_pack(dataset, tmp_path / "pack", height=64, width=32, workers=1)
    next(packing)
    left = {path.name: path.read_bytes() for path in (tmp_path / "pack").iterdir()}
    packing.close()
    for name, content in left.items():
        (tmp_path / "pack" / name).write_bytes(content)
    assert left
    pack(dataset, tmp_path / "pack")
    assert {path.name for path in (tmp_path / "pack").iterdir()} == {
        "frames.npy",
        "index.json",
        "pictures.npy",
    }


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
