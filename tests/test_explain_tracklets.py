"""Maps and graphs of many tracklets against those of each clip by itself."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from stgcn_pyg import STGCN
from stgcn_pyg.data import TrackletDataModule, load_dataset
from stgcn_pyg.explain import (
    activation_maps,
    explain_tracklets,
    feature_maps_of,
    learned_graphs,
    patch_distances,
    towards_identities,
)

pytestmark = pytest.mark.usefixtures("narrow_backbone")


@pytest.fixture
def data(mars_tree):
    dataset = load_dataset("mars", mars_tree.write())
    return TrackletDataModule(
        dataset,
        num_frames=2,
        height=64,
        width=32,
        identities_per_batch=2,
        tracklets_per_identity=2,
        clips_per_test_batch=3,
        num_workers=0,
    )


def clip_by_hand(dataset, tracklet):
    """The first frame of each half, as Pillow reads and torchvision normalises it."""
    half = tracklet["num_frames"] // 2
    pictures = []
    for path in dataset.paths(tracklet, [0, half]):
        picture = Image.open(path).resize((32, 64), Image.Resampling.BILINEAR)
        pictures.append(torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255)
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    return tv.normalize(torch.stack(pictures), mean, deviation)


def test_each_tracklet_has_the_maps_and_graphs_of_its_first_clip(data):
    model = STGCN(4, 2, "resnet18", None, spatial_channels=16).train()
    table = data.dataset.train
    classes = torch.from_numpy(np.searchsorted(data.pids, table["pid"]))
    found = explain_tracklets(
        model, data, table, lambda rows: towards_identities(model, classes[rows])
    )
    assert model.training
    model.eval()
    for row in range(len(table)):
        tracklet = table.iloc[row]
        clip = clip_by_hand(data.dataset, tracklet)
        feature_maps = feature_maps_of(model, clip[None])
        towards = towards_identities(model, classes[row : row + 1])
        for name, cam in activation_maps(model, feature_maps, towards).items():
            close(found.maps[name][row], cam[0])
        for name, weights in learned_graphs(model, feature_maps).items():
            close(found.graphs[name][row], weights[0])
        for name, distances in patch_distances(model, feature_maps).items():
            close(found.distances[name][row], distances[0])
        first = tracklet["first_frame"]
        assert found.frames[row].tolist() == [first, first + tracklet["num_frames"] // 2]


def close(found, expected):
    scale = float(expected.abs().max())
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-3, atol=1e-3 * scale)
