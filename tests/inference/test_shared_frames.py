"""Tracklets are embedded from frames that are read and computed once, in threads."""

import threading

import numpy as np
import pytest
import torch
from conftest import MarsTree
from tiny_run import write_run

from stgcn_pyg.data.reading import reading_in_threads
from stgcn_pyg.errors import BadImageError
from stgcn_pyg.models.inference import FastBackbone
from stgcn_pyg.runs.trained_model import TrainedModel

pytestmark = pytest.mark.usefixtures("one_thread", "narrow_backbone")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on tracklets of 3, 4, 5 and 6 frames; it takes clips of 2."""
    folder = tmp_path_factory.mktemp("shared")
    return write_run(folder / "run", MarsTree(folder / "mars").write())


def clip_by_clip(trained, tracklets):
    """The embeddings, each clip read and computed by itself."""
    model, data = trained.model.eval(), trained.data
    found = []
    for _, tracklet in tracklets.iterrows():
        clips = data.clips_of(tracklet["num_frames"])
        embedded = []
        for frames in clips:
            pixels, _ = data.reader.read(tracklet, frames)
            images = pixels.permute(0, 3, 1, 2).float() / 255
            mean, std = (torch.tensor(x).view(3, 1, 1) for x in (model.mean, model.std))
            with torch.no_grad():
                embedded.append(model(((images - mean) / std)[None]).embedding[0])
        found.append(torch.stack(embedded).mean(dim=0))
    return torch.stack(found)


@pytest.mark.parametrize("test_clips", ["all", "consecutive", "first"])
def test_embeddings_are_those_of_clips_one_by_one(run, test_clips):
    trained = TrainedModel(run, num_workers=2, clips_per_batch=5, test_clips=test_clips)
    tracklets = trained.data.dataset.tracklets("all")
    found = trained.embed(tracklets)
    torch.testing.assert_close(found, clip_by_clip(trained, tracklets), rtol=0, atol=1e-5)


def test_the_backbone_sees_each_frame_of_a_batch_once(run, monkeypatch):
    seen = []

    def count(self, images, original=FastBackbone.__call__):
        seen.append(len(images))
        return original(self, images)

    monkeypatch.setattr(FastBackbone, "__call__", count)
    trained = TrainedModel(run, num_workers=0, clips_per_batch=1000)
    tracklets = trained.data.dataset.tracklets("all")
    trained.embed(tracklets)
    lengths = tracklets["num_frames"]
    assert lengths.tolist() == 8 * [5] + [3, 3, 6, 6, 4, 4]  # clips of 2 frames share one of 5 or 3
    assert seen == [lengths.sum()]
    assert seen[0] < sum(trained.data.clips_of(length).size for length in lengths)


def test_threads_change_no_bit(run):
    found = []
    for workers in (0, 1, 3):
        trained = TrainedModel(run, num_workers=workers, clips_per_batch=2)
        found.append(trained.embed(trained.data.dataset.test()).numpy())
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("reading")]


def test_threads_read_a_few_items_ahead_and_end_with_the_block():
    begun = []
    with reading_in_threads(begun.append, range(100), threads=2) as batches:
        next(batches)
        assert readers()
        assert len(begun) < 10
    assert not readers()


def test_what_a_thread_raises_is_raised_and_ends_all():
    def read(item):
        if item == 3:
            raise BadImageError("3.jpg: empty")
        return item

    found = []
    with (
        pytest.raises(BadImageError, match=r"3\.jpg: empty"),
        reading_in_threads(read, range(100), threads=2) as batches,
    ):
        for batch in batches:
            found.append(batch)
    assert found == [0, 1, 2]
    assert not readers()


def test_skipped_frames_are_replaced_and_told(run, tmp_path):
    root = MarsTree(tmp_path / "mars").write()
    (bad,) = root.rglob("0003C1T0001F002.jpg")
    bad.write_bytes(b"\xff\xd8\xff")
    trained = TrainedModel(run, root=root, on_bad_frame="skip", num_workers=2, clips_per_batch=2)
    tracklets = trained.data.dataset.test()
    found = trained.embed(tracklets)
    (fault,) = trained.data.skipped
    assert str(bad) in fault
    torch.testing.assert_close(found, clip_by_clip(trained, tracklets), rtol=0, atol=1e-5)
