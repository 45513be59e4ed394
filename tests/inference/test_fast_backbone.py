"""The copy of a backbone that embeds: the same maps, without batch norms, and the original kept."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from stgcn_pyg.errors import UserError
from stgcn_pyg.models.backbones import Backbone
from stgcn_pyg.models.inference import FastBackbone

pytestmark = pytest.mark.usefixtures("one_thread", "narrow_backbone")
SIZE = (64, 32)


def trained(name, **options):
    """A backbone whose batch norms have seen something."""
    backbone = Backbone(name, weights=None, **options).eval()
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight.data, module.running_var):
                values.uniform_(0.5, 1.5)
            for values in (module.bias.data, module.running_mean):
                values.normal_(0, 0.1)
    return backbone


def exactly(backbone, images):
    """Its maps in float64."""
    with torch.no_grad():
        return deepcopy(backbone).double()(images.double())


def far(found, wanted):
    """The largest difference, as a share of the largest number."""
    return float((found - wanted).abs().max() / wanted.abs().max())


NAMES = ["resnet18", "mobilenet_v2", "timm/tf_efficientnet_lite0", "timm/vit_tiny_patch16_224"]


@pytest.fixture(params=["AVX2", "AVX512"])
def instructions(request, monkeypatch):
    """What the processor is said to have; each layout of maps runs on any."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: request.param)
    return request.param


@pytest.mark.parametrize("name", NAMES)
def test_the_maps_are_those_of_the_backbone(name, instructions):
    backbone = trained(name, **({"image_size": SIZE} if "vit" in name else {}))
    images = torch.randn(3, 3, *SIZE)
    found = FastBackbone(backbone, SIZE)(images)
    assert found.dtype == torch.float32
    assert far(found, exactly(backbone, images)) < 2e-5


def test_maps_are_in_onednns_layout_where_that_is_faster(instructions, monkeypatch):
    backbone, layouts = trained("resnet18"), []
    convolution = torch.mkldnn_convolution

    def noted(maps, *more):
        layouts.append(maps.layout)
        return convolution(maps, *more)

    monkeypatch.setattr(torch, "mkldnn_convolution", noted)
    FastBackbone(backbone, SIZE)(torch.randn(1, 3, *SIZE))
    assert set(layouts) == ({torch._mkldnn} if instructions == "AVX512" else set())


@pytest.mark.parametrize("name", NAMES[:3])
def test_no_batch_norm_is_left_to_compute(name, instructions, monkeypatch):
    fast = FastBackbone(trained(name), SIZE)

    def refuse(*_, **__):
        raise AssertionError("a batch norm was computed")

    monkeypatch.setattr(nn.functional, "batch_norm", refuse)
    monkeypatch.setattr(torch, "batch_norm", refuse)
    fast(torch.randn(1, 3, *SIZE))


def test_the_backbone_itself_is_not_changed():
    backbone = trained("resnet18").train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    parts = [type(part) for part in backbone.modules()]
    FastBackbone(backbone, SIZE)(torch.randn(2, 3, *SIZE))
    assert [type(part) for part in backbone.modules()] == parts
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())
    assert all(part.training for part in backbone.modules())


class Forked(nn.Module):
    """A convolution whose output goes to a batch norm and past it."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.norm.running_mean.normal_()

    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) + y


def test_a_batch_norm_that_cannot_be_folded_is_kept():
    network, images = Forked().eval(), torch.randn(2, 3, *SIZE)
    assert far(FastBackbone(network, SIZE)(images), exactly(network, images)) < 1e-5


def has_bfloat16():
    return any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))


@pytest.mark.skipif(not has_bfloat16(), reason="the processor has no bfloat16")
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_bfloat16_is_near(name):
    backbone, images = trained(name), torch.randn(3, 3, *SIZE)
    found = FastBackbone(backbone, SIZE, "bfloat16")(images)
    assert found.dtype == torch.float32
    assert 1e-4 < far(found, exactly(backbone, images)) < 0.05


def test_bfloat16_is_refused_where_the_processor_has_none(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with pytest.raises(UserError, match="--precision bfloat16: this processor has no instruc"):
        FastBackbone(trained("resnet18"), SIZE, "bfloat16")


class Cancelling(nn.Module):
    """A convolution, a batch norm that takes most of its output away, and another convolution."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4)
        self.last = nn.Conv2d(4, 4, 1, bias=False)
        self.conv.weight.data.fill_(1 / 3)
        self.norm.running_mean.fill_(757)

    def forward(self, x):
        return self.last(self.norm(self.conv(x)))


def test_bfloat16_leaves_convolutions_in_float32_whose_shift_is_large(monkeypatch):
    monkeypatch.setattr("stgcn_pyg.models.inference.require_bfloat16", lambda: None)
    network, images = Cancelling().eval(), 757 + torch.randn(2, 3, *SIZE)
    wanted = exactly(network, images)
    assert far(FastBackbone(network, SIZE, "bfloat16")(images), wanted) < 0.02
    # 8 bits hold numbers near 757 to a step of 4, and what is left is about 1.
    monkeypatch.setattr("stgcn_pyg.models.inference.LARGE", float("inf"))
    assert far(FastBackbone(network, SIZE, "bfloat16")(images), wanted) > 0.2
