"""Backbones of all kinds in whole runs: trained, read back, explained, reported, exported."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import MarsTree
from PIL import Image

from stgcn_pyg.cli import main
from stgcn_pyg.data import TrackletDataModule, load_dataset
from stgcn_pyg.data.decoding import read_image
from stgcn_pyg.explain import activation_maps, feature_maps_of, learned_graphs, towards_identities
from stgcn_pyg.runs.checkpoint import load_checkpoint
from stgcn_pyg.runs.embedding import embed_tracklets
from stgcn_pyg.runs.run import require_fitting_network
from stgcn_pyg.runs.settings import load_settings, preset_path

LITE = ("timm/tf_efficientnet_lite0", "package:efficientnet_lite0")
VIT = ("timm/vit_tiny_patch16_224", None)
SIZE = ("--data.height", "64", "--data.width", "32", "--data.num_workers", "0")


def train(root, output, backbone, *more):
    name, weights = backbone
    return main(
        [
            *("train", "mars", str(root), "--output", str(output), "--epochs", "1"),
            *("--model.backbone", name, "--model.weights", weights or "null", *SIZE),
            *("--model.num_frames", "2", "--data.identities_per_batch", "2"),
            *("--data.tracklets_per_identity", "2", "--model.spatial_channels", "16", *more),
        ]
    )


@pytest.fixture(scope="module", params=[LITE, VIT], ids=["cnn", "vit"])
def run(request, tmp_path_factory, module_tree):
    output = tmp_path_factory.mktemp("run")
    small = () if request.param == VIT else ("--model.last_stage", "stride1")
    assert train(module_tree.root, output, request.param, *small) == 0
    return output


@pytest.fixture(scope="module")
def module_tree(tmp_path_factory):
    tree = MarsTree(tmp_path_factory.mktemp("data") / "mars")
    tree.write()
    return tree


def test_a_run_is_read_back_with_its_backbone(run, module_tree):
    model, config = load_checkpoint(run)
    options = model.options
    assert options["backbone"] == config["model"]["backbone"]
    is_vit = "vit" in options["backbone"]
    assert options["image_size"] == ([64, 32] if is_vit else None)
    assert options["last_stage"] == (None if is_vit else "stride1")
    assert (model.mean, model.std) == ((0.5,) * 3, (0.5,) * 3)


def test_clips_are_normalised_as_the_backbone_wants_it(run, module_tree):
    model, _ = load_checkpoint(run)
    dataset = load_dataset("mars", module_tree.root)
    tracklet = dataset.query.iloc[:1].assign(num_frames=2)
    images = [Image.open(path) for path in dataset.paths(tracklet.iloc[0])]
    data = TrackletDataModule(dataset, 2, 64, 32, num_workers=0)
    clips = torch.tensor(np.stack([read_image(Path(i.filename), 64, 32) for i in images]))
    clips = clips.permute(0, 3, 1, 2)[None] / 255
    with torch.no_grad():
        expected = model((clips - 0.5) / 0.5).embedding
    found = embed_tracklets(model, data, tracklet)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_maps_and_graphs_are_explained(run):
    model, _ = load_checkpoint(run)
    clips = torch.randn(2, 2, 3, 64, 32)
    maps = feature_maps_of(model, clips)
    assert maps.shape[2:] == (4, 2)
    drawn = activation_maps(model, maps, towards_identities(model, torch.tensor([0, 3])))
    assert all(torch.isfinite(one).all() for one in drawn.values())
    graphs = learned_graphs(model, maps)
    assert graphs["temporal"].shape == (2, 8, 8)
    torch.testing.assert_close(graphs["temporal"].sum(dim=2), torch.ones(2, 8))


def test_the_commands_explain_and_report(run, tmp_path, capsys):
    one = ["--count=1", "--num-workers=0"]
    assert main(["explain", str(run), str(tmp_path / "explained"), *one]) == 0
    assert main(["report", str(run), "--output", str(tmp_path / "report.html"), *one]) == 0
    backbone = load_checkpoint(run)[0].options["backbone"]
    assert backbone in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("preset", ["finetune", "paper", "small", "strong"])
def test_the_network_of_every_preset_fits_its_images(preset):
    changes = {"dataset": "mars", "root": "data", "model.weights": None}
    require_fitting_network(load_settings([preset_path(preset)], changes))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model.backbone", "resnet5"), "the nearest are resnet50, resnet34, resnet18"),
        (("--model.backbone", "mobilenet_v2", "--model.weights", "null", *SIZE), "maps of 2 x 1"),
        (
            (
                "--model.backbone",
                VIT[0],
                "--model.weights",
                "null",
                *SIZE[:2],
                "--data.width",
                "30",
            ),
            "cut into",
        ),
        (("--model.weights", "package:mobilenet_v2"), "not of resnet50"),
    ],
)
def test_mistakes_are_told_before_the_data_set_is_read(options, message, tmp_path, capsys):
    absent, output = tmp_path / "absent", tmp_path / "run"
    assert main(["train", "mars", str(absent), "--output", str(output), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not output.exists()
