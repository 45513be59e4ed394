"""Exported networks give what PyTorch gives, in each format, for any number of clips and frames."""

import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from conftest import slow
from narrow import narrow

from stgcn_pyg import STGCN
from stgcn_pyg.errors import UserError
from stgcn_pyg.export import ExportedNetwork, export_program, to_onnx
from stgcn_pyg.export.conversion import from_onnx
from stgcn_pyg.export.network import Preparation

pytestmark = pytest.mark.usefixtures("shapes_unchecked")

HEIGHT, WIDTH, T = 64, 32, 2


def small(backbone="resnet18", **options):
    """A network of random weights, and batch norms that are not those of the beginning."""
    torch.manual_seed(0)
    few = {"temporal_layers": 1, "spatial_layers": 1, "spatial_channels": 16}
    options = few | {"num_frames": T, "weights": None} | options
    with narrow(mobilenet=True):
        model = STGCN(3, backbone=backbone, **options)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    return model.eval()


def runners(network):
    """A function of each format, from frames to a list of arrays."""
    program = export_program(network).module()
    onnx = to_onnx(network)
    session = onnxruntime.InferenceSession(onnx.SerializeToString())
    compiled = openvino.compile_model(from_onnx(onnx), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return {
        "torch-export": lambda frames: [x.numpy() for x in program(frames)],
        "onnx": lambda frames: session.run(network.names, {"frames": frames.numpy()}),
        "openvino": lambda frames: [compiled(frames.numpy())[name] for name in network.names],
    }


def clips(count, frames=T):
    return torch.randn(count, frames, 3, HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("resnet18", {"neck": "bnneck"}),
        slow("mobilenet_v2", {"last_stage": "dilated"}),
        slow("timm/test_efficientnet", {"last_stage": "stride1", "affinity": "softmax"}),
        ("timm/test_vit", {"image_size": (HEIGHT, WIDTH), "affinity": "cosine"}),
    ],
)
def test_every_kind_of_backbone_gives_the_same_in_each_format_for_any_number_of_clips(
    backbone, options
):
    model = small(backbone, **options)
    network = ExportedNetwork(model, HEIGHT, WIDTH, "clips")
    for format, run in runners(network).items():
        for count in (1, 5):
            batch = clips(count)
            with torch.no_grad():
                expected = model(batch).embedding.numpy()
            (found,) = run(batch)
            assert np.abs(found - expected).max() < 1e-5, (format, count)
            assert found.shape == (count, model.embedding_width)


def test_features_and_affinities_are_outputs_where_they_are_asked_for():
    patches = {"temporal_patches": 2, "spatial_patches": 4}
    model = small(temporal_layers=3, spatial_layers=2, **patches)
    network = ExportedNetwork(model, HEIGHT, WIDTH, "clips", ["affinity", "features"])
    batch = clips(3)
    with torch.no_grad():
        output = model(batch)
        maps = model.backbone(batch.flatten(0, 1))
        temporal = model.branches["temporal"].edge_weights(maps, T)
        spatial = model.branches["spatial"].edge_weights(maps, T)
    expected = {
        "embedding": output.embedding,
        **output.features,
        "temporal_affinity": temporal,
        "spatial_affinity": spatial.view(3, T, 4, 4),
    }
    assert network.names == list(expected)
    for run in runners(network).values():
        for found, (name, wanted) in zip(run(batch), expected.items(), strict=True):
            assert np.abs(found - wanted.numpy()).max() < 1e-5, name


def test_fully_connected_layers_have_no_affinity_to_put_out():
    model = small(temporal_propagation="fc", branches=("global", "temporal"))
    assert ExportedNetwork(model, HEIGHT, WIDTH, outputs=["affinity"]).names == ["embedding"]


@pytest.mark.parametrize(
    ("options", "is_free"),
    [
        ({"branches": ("global",)}, True),
        ({"branches": ("global", "temporal"), "neck": "bnneck"}, True),
        ({"spatial_weights": "shared"}, True),
        ({"spatial_weights": "shared", "neck": "bnneck"}, False),
        ({}, False),
    ],
)
def test_the_number_of_clips_is_free_without_end_and_that_of_frames_where_it_may_be(
    options, is_free
):
    network = ExportedNetwork(small(**options), HEIGHT, WIDTH)
    assert network.frees_frames is is_free
    ranges = export_program(network).range_constraints
    assert len(ranges) == 1 + is_free
    for limits in ranges.values():
        assert limits.lower == 1 and limits.upper > 10**12


def test_a_network_without_weights_by_frame_takes_clips_of_any_length():
    model = small(spatial_weights="shared")
    network = ExportedNetwork(model, HEIGHT, WIDTH, "clips")
    longer = small(spatial_weights="shared", num_frames=5)
    longer.load_state_dict(
        {k: v for k, v in model.state_dict().items() if "classifier" not in k}, strict=False
    )
    batch = clips(2, frames=5)
    with torch.no_grad():
        expected = longer(batch).embedding.numpy()
    for format, run in runners(network).items():
        assert np.abs(run(batch)[0] - expected).max() < 1e-5, format


def test_the_network_that_is_exported_stays_what_it_was():
    model = small().train()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    network = ExportedNetwork(model, HEIGHT, WIDTH)
    export_program(network)
    assert model.training and not network.training
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name])


def test_a_program_takes_pictures_of_a_single_row_or_column():
    preparation = Preparation(small(branches=("global",)), HEIGHT, WIDTH)
    program = export_program(preparation).module()
    for size in ((1, 9), (9, 1), (1, 1)):
        frames = torch.randint(0, 256, (1, T, *size, 3), dtype=torch.uint8)
        assert torch.equal(program(frames)[0], preparation(frames)[0])


def test_an_unknown_output_names_those_that_there_are():
    with pytest.raises(UserError, match="'logits' is unknown: use embedding, features, affinity"):
        ExportedNetwork(small(), HEIGHT, WIDTH, "clips", ["logits"])
    with pytest.raises(UserError, match=r"outputs='features': pass a list: \['features'\]"):
        ExportedNetwork(small(), HEIGHT, WIDTH, "clips", "features")


class Eigenvalues(torch.nn.Module):
    """What ONNX has no operator for."""

    def forward(self, maps):
        return maps * torch.linalg.eigvalsh(maps[:, :3, :1] * maps[:, :3, :1].mT).sum()


def test_an_operator_that_onnx_does_not_have_is_named_with_what_to_use_instead():
    model = small(branches=("global",))
    model.backbone.add_module("eigenvalues", Eigenvalues())
    network = ExportedNetwork(model, HEIGHT, WIDTH)
    export_program(network)
    with pytest.raises(UserError, match=r"resnet18 has aten\.\w*eig\w*, which .* torch-export"):
        to_onnx(network)


class Decides(torch.nn.Module):
    """What no program can hold: a choice by the pixels."""

    def forward(self, maps):
        return maps if maps.sum() > 0 else maps + 1


def test_a_backbone_that_decides_by_its_input_is_refused():
    model = small(branches=("global",))
    model.backbone.add_module("decides", Decides())
    with pytest.raises(UserError, match="resnet18 cannot be exported") as refused:
        export_program(ExportedNetwork(model, HEIGHT, WIDTH))
    assert "\n" not in str(refused.value)


def test_an_onnx_model_does_not_say_where_the_sources_of_its_machine_are():
    content = to_onnx(ExportedNetwork(small(branches=("global",)), HEIGHT, WIDTH))
    assert b"site-packages" not in content.SerializeToString()
    assert b"stgcn.py" not in content.SerializeToString()
