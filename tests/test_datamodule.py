"""Batches from disk."""

import multiprocessing
import signal
import subprocess
import time
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from PIL import Image

from stgcn_pyg.data import TrackletDataModule, load_dataset
from stgcn_pyg.data.check.images import read_images
from stgcn_pyg.data.decoding import read_image
from stgcn_pyg.data.reading import reading
from stgcn_pyg.data.sampling import even_frames, random_frames, strided_frames
from stgcn_pyg.data.transforms import ClipAugmentation
from stgcn_pyg.data.workers import end_with_the_parent
from stgcn_pyg.errors import UserError, last_line

OPTIONS = {
    "num_frames": 2,
    "height": 64,
    "width": 32,
    "identities_per_batch": 3,
    "tracklets_per_identity": 2,
    "num_workers": 0,
}


@pytest.fixture
def dataset(mars_tree):
    return load_dataset("mars", mars_tree.write())


def test_training_batches_hold_the_pictures_of_their_labels(dataset):
    data = TrackletDataModule(dataset, **OPTIONS)
    assert data.num_classes == 4
    people = dict(enumerate(sorted(dataset.train["pid"].unique())))
    colour = {
        people[c]: torch.tensor(read_image(dataset.paths(row)[0], 64, 32)).float().mean((0, 1))
        for c in people
        for _, row in dataset.train[dataset.train["pid"] == people[c]].head(1).iterrows()
    }
    for batch in data.train_dataloader():
        assert batch.clips.shape == (6, 2, 3, 64, 32)
        assert batch.clips.dtype == torch.uint8
        for clip, label in zip(batch.clips, batch.labels, strict=True):
            mean = clip.float().mean((0, 2, 3))
            nearest = min(colour, key=lambda pid: (colour[pid] - mean).abs().sum())
            assert nearest == people[int(label)]


def test_any_number_of_workers_gives_the_same_batches(dataset):
    epochs = []
    for workers in (0, 2):
        data = TrackletDataModule(dataset, **OPTIONS | {"num_workers": workers, "erase": 0.5})
        loader = data.train_dataloader()
        batches = []
        for epoch in range(2):
            data.sampler.set_epoch(epoch)
            batches += list(loader)
        epochs.append(batches)
    for one, two in zip(*epochs, strict=True):
        assert torch.equal(one.clips, two.clips)
        assert torch.equal(one.labels, two.labels)
        assert torch.equal(one.changes, two.changes)
    assert not torch.equal(epochs[0][0].clips, epochs[0][2].clips)


@pytest.mark.parametrize("kind", ["random", "even", "strided"])
@pytest.mark.parametrize("augment", ["clip", "frame"])
def test_training_batches_hold_the_frames_that_are_drawn_for_each_place(dataset, kind, augment):
    options = {"num_frames": 3, "shift": 0.1, "contrast": 0.2}
    data = TrackletDataModule(
        dataset, **OPTIONS | options, train_frames=kind, stride=2, augment=augment, seed=5
    )
    for draws, batch in zip(data.sampler, data.train_dataloader(), strict=True):
        assert batch.changes.shape == (6, 3 if augment == "frame" else 1, 14)
        for draw, clip, changes in zip(draws, batch.clips, batch.changes, strict=True):
            rng = np.random.default_rng(draw.seed)
            frames = {
                "random": lambda rng=rng: random_frames(5, 3, rng),
                "even": lambda: even_frames(5, 3),
                "strided": lambda rng=rng: strided_frames(5, 3, 2, rng),
            }[kind]()
            paths = dataset.paths(dataset.train.iloc[draw.row], frames)
            expected = torch.stack([torch.tensor(read_image(path, 64, 32)) for path in paths])
            assert torch.equal(clip.permute(0, 2, 3, 1), expected)
            assert np.array_equal(changes, data.augmentation.draw(3, rng))


def test_every_option_of_the_augmentation_reaches_it(dataset):
    names = vars(ClipAugmentation())
    options = {name: (1 + i) / 16 for i, name in enumerate(names)} | {"augment": "frame"}
    data = TrackletDataModule(dataset, **OPTIONS, **options)
    assert vars(data.augmentation) == options


@pytest.mark.parametrize("option", ["train_frames", "test_clips", "augment"])
def test_a_kind_that_does_not_exist_is_refused(dataset, option):
    with pytest.raises(UserError, match=f"{option}='every' is unknown: use "):
        TrackletDataModule(dataset, **OPTIONS, **{option: "every"})


@pytest.mark.parametrize(
    ("option", "value", "wanted"),
    [
        *((name, 0, "a whole number of at least 1") for name in ("stride", "height", "num_frames")),
        ("clips_per_test_batch", 0, "a whole number of at least 1"),
        ("width", True, "a whole number of at least 1"),
        *((name, -1, "a whole number of at least 0") for name in ("num_workers", "min_frames")),
        *((name, -0.1, "a share from 0 to 1") for name in ("flip", "shift", "erase")),
        ("flip", 2, "a share from 0 to 1"),
        ("shift", 5.0, "a share from 0 to 1"),
        ("zoom", 1.0, "a share from 0 up to, but not including, 1"),
        ("colour", float("nan"), "a finite number"),
        ("contrast", -1, "a number of at least 0"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(dataset, option, value, wanted):
    with pytest.raises(UserError, match=f"^{option}={value}: pass {wanted}$"):
        TrackletDataModule(dataset, **OPTIONS | {option: value})


def batches_of_a_rank(dataset, rank, store, results):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=2
    )
    data = TrackletDataModule(dataset, **OPTIONS | {"identities_per_batch": 4})
    batches = [(b.clips.numpy(), b.labels.numpy()) for b in data.train_dataloader()]
    results.put((rank, batches))
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_leaves_the_workers_reading(dataset, number):
    data = TrackletDataModule(dataset, **OPTIONS | {"num_workers": 1, "clips_per_test_batch": 1})
    with two_threads_used(), reading(data.clip_dataloader(dataset.gallery)) as batches:
        next(batches)
        (worker,) = multiprocessing.active_children()
        # By another process than the parent, as a terminal or torchrun sends it.
        subprocess.run(["kill", f"-{number}", str(worker.pid)], check=True)
        number_of_batches = 1 + len(list(batches))
    clips = sum(len(data.clips_of(length)) for length in dataset.gallery["num_frames"])
    assert number_of_batches == clips


@contextmanager
def two_threads_used():
    """A worker that is forked in here has threads before it can say which signals they get."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.rand(500, 500) @ torch.rand(500, 500)
    yield
    torch.set_num_threads(before)


def test_a_worker_ends_when_its_parent_asks(dataset):
    data = TrackletDataModule(dataset, **OPTIONS | {"num_workers": 1, "clips_per_test_batch": 1})
    batches = iter(data.clip_dataloader(dataset.gallery))
    next(batches)
    (worker,) = multiprocessing.active_children()
    worker.terminate()
    worker.join(timeout=30)
    assert worker.exitcode == 0


def test_the_workers_end_with_a_loop_that_an_error_ends(dataset):
    data = TrackletDataModule(dataset, **OPTIONS | {"num_workers": 2})
    with (
        pytest.raises(ZeroDivisionError),
        reading(data.clip_dataloader(dataset.gallery)) as batches,
    ):
        next(batches)
        assert len(multiprocessing.active_children()) == 2
        raise ZeroDivisionError
    assert not multiprocessing.active_children()


class Stuck(torch.utils.data.Dataset):
    """Reads one thing, and then waits for what never comes."""

    def __getitem__(self, row):
        time.sleep(600 * (row > 0))
        return row


def test_nobody_waits_for_workers_that_wait_themselves():
    loader = torch.utils.data.DataLoader(
        Stuck(), None, sampler=range(9), num_workers=4, worker_init_fn=end_with_the_parent
    )
    start = time.perf_counter()
    with pytest.raises(ZeroDivisionError), reading(loader) as batches:
        assert next(batches) == 0
        raise ZeroDivisionError
    assert time.perf_counter() - start < 10  # PyTorch gives each of them five seconds
    assert not multiprocessing.active_children()


def test_batches_for_the_cpu_are_not_read_into_pinned_memory(dataset, monkeypatch):
    data = TrackletDataModule(dataset, **OPTIONS)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert not data.clip_dataloader(dataset.gallery).pin_memory
    assert data.clip_dataloader(dataset.gallery, device="cuda:0").pin_memory
    assert not data.train_dataloader().pin_memory
    assert data.train_dataloader(device="cuda:0").pin_memory


def test_two_processes_share_the_batch_of_one(dataset, tmp_path):
    context = torch.multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [
        context.Process(target=batches_of_a_rank, args=(dataset, rank, tmp_path / "store", results))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    parts = dict(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    whole = TrackletDataModule(dataset, **OPTIONS | {"identities_per_batch": 4}).train_dataloader()
    for batch, *shares in zip(whole, parts[0], parts[1], strict=True):
        assert [len(labels) for _, labels in shares] == [4, 4]
        for name, together in zip(("clips", "labels"), zip(*shares, strict=True), strict=True):
            assert np.array_equal(getattr(batch, name), np.concatenate(together))


@pytest.mark.parametrize(
    ("test_clips", "clips"), [("all", 3), ("consecutive", 3), ("first", 1), ("even", 1)]
)
def test_test_batches_hold_every_clip_of_every_tracklet(dataset, test_clips, clips):
    data = TrackletDataModule(dataset, **OPTIONS, test_clips=test_clips, clips_per_test_batch=2)
    query = dataset.query  # two tracklets of 6 frames
    batches = list(data.clip_dataloader(query))
    labels = torch.cat([batch.labels for batch in batches]).tolist()
    assert labels == [0] * clips + [1] * clips
    assert [len(batch.labels) for batch in batches] == [2] * clips
    frames = {
        "all": [[0, 3], [1, 4], [2, 5]],
        "consecutive": [[0, 1], [2, 3], [4, 5]],
        "first": [[0, 3]],
        "even": [[1, 4]],
    }[test_clips]
    expected = [
        torch.stack([torch.tensor(read_image(path, 64, 32)) for path in paths])
        for paths in (dataset.paths(query.iloc[0], clip) for clip in frames)
    ]
    found = torch.cat([batch.clips for batch in batches])[:clips]
    assert torch.equal(found, torch.stack(expected).permute(0, 1, 4, 2, 3))


def test_the_device_normalises_and_augments_in_training_alone(dataset):
    data = TrackletDataModule(dataset, **OPTIONS | {"flip": 1.0})
    train = next(iter(data.train_dataloader()))
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.1)
    columns = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
    plain = (train.clips / 255 - next(columns)) / next(columns)
    torch.testing.assert_close(data.transform(train, mean, std).clips, plain.flip(4))
    test = train._replace(changes=None)
    torch.testing.assert_close(data.transform(test, mean, std).clips, plain)


def test_a_frame_is_pillows_picture_at_the_size_asked_for(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 32, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png", 64, 32), pixels)
    assert read_image(tmp_path / "a.png", 16, 8).shape == (16, 8, 3)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.jpg")
    assert read_image(tmp_path / "grey.jpg", 64, 32).shape == (64, 32, 3)


def damage(path, kind):
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:400])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("no image")
    elif kind == "png":
        Image.new("RGB", (24, 48)).save(path, format="PNG")
    else:
        path.unlink()


KINDS = {
    "truncated": "truncated or damaged",
    "empty": "empty",
    "text": "no image",
    "png": "PNG, not JPEG as its name says",
    "missing": "missing",
}


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"png"}))
@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_picture_in_training_is_named_in_one_line(dataset, kind, workers):
    # Clips as long as the tracklets, of which each person has two: an epoch reads every frame.
    data = TrackletDataModule(dataset, **OPTIONS | {"num_workers": workers, "num_frames": 5})
    path = dataset.paths(dataset.train.iloc[2])[3]
    damage(path, kind)
    line = complaint(data.train_dataloader())
    assert line.startswith(f"{path}: ")
    assert "\n" not in line


def complaint(loader):
    """The line that a loader stops with."""
    try:
        list(loader)
    except UserError as error:
        # The frame that raised it holds it: a cycle, which would keep the loader until garbage is
        # collected, and then its workers are no longer told to end but waited for, 5 seconds each.
        error.__traceback__ = None
        return last_line(error)
    pytest.fail("nothing stopped it")


def test_check_finds_every_bad_picture(dataset):
    paths = [dataset.root / frame for frame in dataset.frames]
    for path, kind in zip(paths[3::10], KINDS, strict=False):
        damage(path, kind)
    checked = read_images(dataset.root, dataset.frames.tolist(), workers=2)
    found = [(path, image.what) for path, image in zip(paths, checked, strict=True) if image.what]
    assert found == list(zip(paths[3::10], KINDS.values(), strict=False))


def test_a_tracklet_of_one_frame_is_refused_only_if_more_are_asked_for(mars_tree):
    mars_tree.add("train", 9, 1, frames=1)
    dataset = load_dataset("mars", mars_tree.write())
    with pytest.raises(UserError, match=r"0009C1T0001F001\.jpg: its train tracklet has 1 frame"):
        TrackletDataModule(dataset, **OPTIONS, min_frames=2)
    data = TrackletDataModule(dataset, **OPTIONS)
    assert data.num_classes == 5
    (batch,) = data.clip_dataloader(dataset.train.iloc[[-1]])
    assert len(batch.clips) == 1
    assert all(frame.equal(batch.clips[0, 0]) for frame in batch.clips[0])


def test_a_test_asks_nothing_of_the_batches_of_training(dataset):
    data = TrackletDataModule(dataset, **OPTIONS | {"identities_per_batch": 500})
    assert len(list(data.clip_dataloader(dataset.query))) > 0
    with pytest.raises(UserError, match="there are 4 identities to train on"):
        data.train_dataloader()
