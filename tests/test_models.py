"""The network against torchvision's own ResNet and the literal formulas."""

import pytest
import torch
import torch.nn.functional as F
from by_the_book import gcn_by_the_book, joined_by
from safetensors.torch import save_file
from torchvision.models import get_model

from stgcn_pyg import STGCN
from stgcn_pyg.errors import UserError
from stgcn_pyg.layers import complete_edges
from stgcn_pyg.models import Backbone


def tiny(**options):
    return STGCN(5, **({"num_frames": 3, "backbone": "resnet18", "weights": None} | options)).eval()


@pytest.mark.parametrize(
    ("name", "width"), [("resnet18", 512), ("resnet34", 512), ("resnet50", 2048)]
)
def test_backbone_is_torchvisions_with_twice_the_resolution(name, width, tmp_path):
    resnet = get_model(name, weights=None).eval()
    torch.save(resnet.state_dict(), tmp_path / "weights.pth")
    backbone = Backbone(name, weights=str(tmp_path / "weights.pth")).eval()
    x = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        assert backbone.out_channels == width
        assert backbone(x).shape == (1, width, 4, 2)
        # With the last stride at 2 again it must be torchvision's own network.
        block = backbone.layer4[0]
        (block.conv2 if name == "resnet50" else block.conv1).stride = (2, 2)
        block.downsample[0].stride = (2, 2)
        whole = torch.nn.Sequential(*list(resnet.children())[:-2])
        torch.testing.assert_close(backbone(x), whole(x), rtol=1e-4, atol=1e-4)


def test_weights_come_from_safetensors_too(tmp_path):
    state = get_model("resnet18", weights=None).state_dict()
    save_file(state, tmp_path / "weights.safetensors")
    backbone = Backbone("resnet18", weights=tmp_path / "weights.safetensors")
    assert torch.equal(backbone.layer4[1].conv2.weight, state["layer4.1.conv2.weight"])


def test_imagenet_weights_without_a_network_say_what_to_pass(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nothing listens
    with pytest.raises(UserError, match=r"resnet18 cannot be downloaded.*or null for random"):
        Backbone("resnet18", weights="imagenet")


def test_weights_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "resnet34.pth"
    torch.save(get_model("resnet34", weights=None).state_dict(), path)
    with pytest.raises(UserError, match=r"resnet34\.pth: not the weights of resnet18"):
        Backbone("resnet18", weights=str(path))
    with pytest.raises(UserError, match=r"resnet34\.pth: not the weights of resnet50"):
        Backbone("resnet50", weights=str(path))
    with pytest.raises(UserError, match="no such file"):
        Backbone("resnet18", weights=str(tmp_path / "absent.pth"))
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="no file of plain tensors"):
        Backbone("resnet18", weights=str(path))
    with pytest.raises(UserError, match="backbone 'vgg' is unknown"):
        Backbone("vgg")


def test_features_are_those_of_the_paper():
    model = tiny(temporal_layers=3, spatial_layers=2).double()
    clips = torch.randn(2, 3, 3, 64, 32, dtype=torch.float64)
    with torch.no_grad():
        output = model(clips)
        maps = model.backbone(clips.flatten(0, 1))  # [6, 512, 4, 2]
        patches = maps.mean(dim=3).transpose(1, 2)  # one row a patch: [6, 4, 512]
        nodes = patches.reshape(-1, 512)
        videos = joined_by(complete_edges(2, 12), 24)
        temporal = gcn_by_the_book(model.branches["temporal"].gcn, nodes, videos)
        frames = joined_by(complete_edges(6, 4), 24)
        position = torch.arange(3).repeat_interleave(4).repeat(2)
        spatial = gcn_by_the_book(model.branches["spatial"].gcn, nodes, frames, position)
    expected = {
        "global": torch.stack([maps[:3].mean((0, 2, 3)), maps[3:].mean((0, 2, 3))]),
        "temporal": torch.stack([video.max(dim=0).values for video in temporal.split(12)]),
        "spatial": torch.stack([frame.max(dim=0).values for frame in spatial.split(4)]).view(
            2, 768
        ),
    }
    assert list(output.features) == list(expected)
    for name, feature in expected.items():
        torch.testing.assert_close(output.features[name], feature)
    raw = torch.cat(list(expected.values()), dim=1)
    torch.testing.assert_close(output.logits, model.classifier(raw))
    embedding = torch.cat([F.normalize(f, dim=1) for f in expected.values()], dim=1)
    torch.testing.assert_close(output.embedding, embedding)


@pytest.mark.parametrize(
    ("branches", "width"),
    [
        (["global"], 512),
        (["temporal", "global"], 1024),
        (["spatial"], 768),
        (["spatial", "temporal", "global"], 512 + 512 + 768),
    ],
)
def test_any_branches_in_any_order_give_the_same_concatenation(branches, width):
    output = tiny(branches=branches)(torch.randn(2, 3, 3, 64, 32))
    assert output.embedding.shape == (2, width)
    in_order = [name for name in ("global", "temporal", "spatial") if name in branches]
    assert list(output.features) == in_order


def test_fully_connected_branches_have_no_affinity_and_ignore_the_other_nodes():
    model = tiny(temporal_propagation="fc", spatial_propagation="fc")
    assert not [name for name, _ in model.named_parameters() if "phi" in name]
    graph = tiny()
    others = [name for name, _ in graph.named_parameters() if "phi" not in name]
    assert [name for name, _ in model.named_parameters()] == others  # those of older checkpoints
    assert len([name for name, _ in graph.named_parameters() if "phi" in name]) == 2
    maps = torch.randn(3, 512, 4, 2)
    other = maps.clone()
    other[0, :, 0] += 1  # one patch of one frame
    for kind, same in ((model, True), (graph, False)):
        gcn = kind.branches["temporal"].gcn
        x, y = (m.mean(3).mT.reshape(12, 512) for m in (maps, other))
        assert torch.allclose(gcn(x, graph_size=12)[1:], gcn(y, graph_size=12)[1:]) == same


def test_shared_weights_take_one_matrix_for_all_frames():
    model = tiny(spatial_weights="shared", spatial_hidden_channels=32)
    shapes = [tuple(conv.lin.weight.shape) for conv in model.branches["spatial"].gcn.convs]
    assert shapes == [(32, 512), (256, 32)]
    by_frame = tiny().branches["spatial"].gcn.convs[0].lin.weight
    assert by_frame.shape == (3, 256, 512)


def test_raw_embedding_is_the_plain_concatenation():
    output = tiny(embedding="raw")(torch.randn(2, 3, 3, 64, 32))
    assert torch.equal(output.embedding, torch.cat(list(output.features.values()), dim=1))


@pytest.mark.parametrize("name", ["global", "temporal", "spatial"])
def test_an_embedding_of_one_branch_is_its_normalised_feature(name):
    torch.manual_seed(0)
    model = tiny(embedding=name).eval()
    output = model(torch.randn(2, 3, 3, 64, 32))
    feature = output.features[name]
    torch.testing.assert_close(output.embedding, feature / feature.norm(dim=1, keepdim=True))
    assert model.embedded == [name]
    with pytest.raises(ValueError, match="embedding must be one of"):
        tiny(branches=["global"], embedding="temporal")


def test_clips_of_a_batch_do_not_influence_each_other():
    model = tiny()
    clips = torch.randn(2, 3, 3, 64, 32)
    alone = model(clips[:1]).embedding
    torch.testing.assert_close(model(clips).embedding[:1], alone, rtol=1e-4, atol=1e-5)


def test_every_parameter_receives_a_gradient():
    model = tiny().train()
    output = model(torch.randn(2, 3, 3, 64, 32))
    output.logits.square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize("propagation", ["gcn", "fc"])
def test_the_nodes_of_both_branches_are_pooled_as_asked_for(propagation):
    options = {"temporal_propagation": propagation, "spatial_propagation": propagation}
    model = tiny(pooling="mean", **options).eval()
    clips = torch.randn(2, 3, 3, 64, 32)
    maps = model.backbone(clips.flatten(0, 1))
    for name, size in (("temporal", 3 * 4), ("spatial", 4)):
        branch = model.branches[name]
        nodes = branch.transformed(branch.graphs(maps, 3)[0], size)
        by_hand = torch.stack([one.sum(dim=0) / size for one in nodes.split(size)])
        torch.testing.assert_close(model(clips).features[name], by_hand.reshape(2, -1))
    assert model.options["pooling"] == "mean"
    assert tiny(**options).options["pooling"] == "max"
    with pytest.raises(UserError, match="pooling='sum' is unknown: use max, mean"):
        tiny(pooling="sum")


def test_the_affinity_is_that_of_both_branches():
    model = tiny(affinity="cosine")
    kinds = {type(m).__name__ for m in model.modules() if "Affinity" in type(m).__name__}
    assert kinds == {"CosineAffinity", "AffinityGCN", "AffinityConv"}
    assert model.options["affinity"] == "cosine"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"branches": ["globe"]}, "branches must be one or more of"),
        ({"branches": []}, "branches must be one or more of"),
        ({"branches": "global"}, r"branches must be a list such as \['global'\]"),
        ({"embedding": "l2"}, "embedding must be"),
        ({"spatial_weights": "own"}, "weights must be"),
        ({"temporal_propagation": "cnn"}, "propagation must be"),
    ],
)
def test_bad_options_are_named(options, words, shapes_unchecked):
    with pytest.raises(ValueError, match=words):
        tiny(**options)


@pytest.mark.parametrize(
    "name", ["num_frames", "temporal_layers", "temporal_patches", "spatial_hidden_channels"]
)
def test_a_network_of_nothing_is_refused(name):
    with pytest.raises(UserError, match=f"{name}=0: pass a whole number of at least 1"):
        tiny(**{name: 0}, temporal_propagation="fc")


def test_clips_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"clips must be \[batch, 3 frames.*\(2, 4, 3, 64, 32\)"):
        tiny()(torch.zeros(2, 4, 3, 64, 32))
    with pytest.raises(ValueError, match="clips must be a tensor, got a list"):
        tiny()([1])
