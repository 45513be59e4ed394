"""Embedding on a fake GPU: a batch of clips comes, its embeddings go, and nothing else waits."""

from contextlib import suppress
from unittest.mock import patch

import numpy as np
import pytest
import torch
from crossings import Crossings
from fake_gpu import fake_cuda, move, network
from training_data import batches, dataset_in

from stgcn_pyg.runs.embedder import Embedder
from stgcn_pyg.runs.embedding import embed_tracklets

pytestmark = pytest.mark.usefixtures("shapes_unchecked", "narrow_backbone")

NETWORKS = {
    "resnet": {},
    "bnneck, cosine, mean": {"neck": "bnneck", "affinity": "cosine", "pooling": "mean"},
    "fully connected": {"temporal_propagation": "fc", "spatial_propagation": "fc"},
    "vit": {"backbone": "timm/test_vit", "image_size": (32, 16)},
}


def movable(**options):
    """A network that moves to a fake GPU, and the types of its embeddings."""
    model, kinds = network(**options), []
    model.to = lambda device: move(model, device)
    own = model.from_feature_maps

    def from_feature_maps(maps):
        output = own(maps)
        kinds.append((output.embedding.device.type, output.embedding.dtype))
        return output

    model.from_feature_maps = from_feature_maps
    return model, kinds


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_batch_waits_for_its_embeddings_alone(kind, tmp_path):
    if kind == "vit":
        pytest.importorskip("timm")
    model, kinds = movable(**NETWORKS[kind])
    data = batches(dataset_in(tmp_path), clips_per_test_batch=4)
    tracklets = data.dataset.test()
    with fake_cuda(), Crossings() as crossings:
        move(model)
        crossings.found.clear()
        embed_tracklets(model, data, tracklets, "cuda")
    number = len(kinds)
    assert number > 1
    assert kinds == [("cuda", torch.float32)] * number
    assert [note.split(":")[0] for note in crossings.found] == [
        "_to_copy < torch_network.py"
    ] * number
    assert len(crossings.queued) == 2 * number  # frames, and which clip has which


def test_an_embedder_waits_for_frames_and_embeddings_alone():
    model, kinds = movable()
    frames = [np.zeros((40, 20, 3), np.uint8)] * 8
    with (
        fake_cuda(),
        patch("stgcn_pyg.runs.embedder.device_for", lambda *_: "cuda"),
        Crossings() as crossings,
    ):
        embedder = Embedder(model, height=32, width=16, clips_per_batch=2)
        crossings.found.clear()
        with suppress(RuntimeError):  # a fake tensor is no array of NumPy
            embedder.embed(frames)
    assert kinds == [("cuda", torch.float32)] * 2
    assert [note.split(":")[0] for note in crossings.found] == ["_to_copy < embedder.py"] * 4


@pytest.mark.parametrize(
    ("fault", "noted"),
    [
        (lambda x: x.isfinite().all().item(), "_local_scalar_dense"),
        (lambda x: x[x > 0], "index"),
        (lambda x: x.repeat_interleave((x[0] > 0).long(), dim=1), "repeat_interleave"),
        (lambda x: x.to("cpu"), "_to_copy"),
    ],
)
def test_what_waits_in_a_network_is_noted_there_too(fault, noted):
    model, _ = movable()
    model.classifier.register_forward_hook(lambda _, inputs, output: (fault(output), output)[1])
    with fake_cuda(), torch.inference_mode():
        move(model)
        clips = torch.zeros(2, 2, 3, 32, 16, device="cuda")
        with Crossings() as crossings, suppress(RuntimeError):
            model(clips)
    assert any(note.startswith(noted) for note in crossings.found)
