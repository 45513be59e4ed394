"""Convolutions in bfloat16 that give one column, which PyTorch computes wrongly on some CPUs."""

import copy
import pickle

import pytest
import torch
from torch import nn

from stgcn_pyg import STGCN
from stgcn_pyg.export import ExportedNetwork
from stgcn_pyg.export.openvino_precision import to_openvino_precision
from stgcn_pyg.models.backbones import Backbone
from stgcn_pyg.models.backbones.spare_column import (
    always_give_spare_columns,
    give_spare_columns,
    own_class,
)
from stgcn_pyg.models.forward_modes import recomputed
from stgcn_pyg.models.inference import FastBackbone

pytestmark = pytest.mark.usefixtures("shapes_unchecked")


def leave_numbers_in_memory():
    """Memory that was used before, as in any training: in fresh memory they are often right."""
    for size in (1 << power for power in range(8, 21)):
        del [torch.full((size,), 1000.0, dtype=torch.bfloat16) for _ in range(3)][:]


def far(found, wanted):
    """The length of the difference as a share of that of what is wanted."""
    return float((found.detach().double() - wanted).norm() / wanted.norm())


# Widths of input and kernel, stride, padding, dilation; all give one column.
NARROW = [(1, 3, 2, 1, 1), (2, 3, 2, 1, 1), (2, 5, 2, 2, 1), (3, 2, 2, 0, 1), (4, 4, 4, 0, 1)]
NARROW += [(1, 7, 2, 3, 1), (2, 3, 4, 1, 1), (4, 3, 4, 1, 1), (1, 3, 2, 2, 2), (1, 1, 2, 0, 1)]


def own(kernel, stride, padding, dilation, groups=1):
    torch.manual_seed(0)
    convolution = nn.Conv2d(64, 128, kernel, stride, padding, dilation, groups)
    give_spare_columns(convolution)
    return convolution


def both(convolution, x):
    """The output and the gradients of the input and the weights; beside those of float64."""
    leave_numbers_in_memory()
    x = x.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        found = convolution(x)
    slopes = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    leave_numbers_in_memory()
    gradients = torch.autograd.grad(found, (x, convolution.weight), slopes.to(found.dtype))
    weight, bias = (p.detach().double().requires_grad_() for p in convolution.parameters())
    double = x.detach().double().requires_grad_()
    c = convolution
    wanted = nn.functional.conv2d(double, weight, bias, c.stride, c.padding, c.dilation, c.groups)
    expected = torch.autograd.grad(wanted, (double, weight), slopes.double())
    return [(found, wanted.detach()), *zip(gradients, expected, strict=True)]


@pytest.mark.parametrize("groups", [1, 64])
@pytest.mark.parametrize(("width", "kernel", "stride", "padding", "dilation"), NARROW)
def test_one_column_is_computed_as_in_float64(width, kernel, stride, padding, dilation, groups):
    for height in (8, 9):
        for _ in range(3):
            convolution = own(kernel, stride, padding, dilation, groups)
            pairs = both(convolution, torch.randn(8, 64, height, width))
            assert pairs[0][0].shape == pairs[0][1].shape and pairs[0][0].size(-1) == 1
            for found, wanted in pairs:
                assert far(found, wanted) < 0.02


@pytest.mark.parametrize("width", [1, 2, 3, 8])
def test_in_float32_and_where_more_columns_come_out_all_is_as_it_was(width):
    convolution, plain = own(3, 2, 1, 1), nn.Conv2d(64, 128, 3, 2, 1)
    plain.load_state_dict(convolution.state_dict())
    x = torch.randn(2, 64, 8, width)
    assert torch.equal(convolution(x), plain(x))
    with torch.autocast("cpu", torch.bfloat16, enabled=width > 2):
        assert torch.equal(convolution(x), plain(x))


def test_a_network_is_changed_once_and_keeps_its_classes():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4))
    names = list(network.state_dict())
    give_spare_columns(network)
    kind = type(network[0])
    give_spare_columns(network)
    assert type(network[0]) is kind and own_class(network[0]) is own_class(nn.Conv2d(1, 1, 1))
    assert own_class(nn.Conv2d(1, 1, 1)) is nn.Conv2d and list(network.state_dict()) == names


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_a_network_is_pickled_with_what_its_convolutions_have(protocol):
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4))
    give_spare_columns(network)
    always_give_spare_columns(network)
    again = pickle.loads(pickle.dumps(network, protocol))
    assert type(again[0]) is type(network[0]) is type(copy.deepcopy(network)[0])
    assert vars(again[0]).keys() == vars(network[0]).keys()
    x = torch.randn(2, 3, 8, 2)
    assert torch.equal(again(x), network(x))


@pytest.mark.usefixtures("narrow_backbone")
def test_a_whole_network_is_saved_and_read(tmp_path):
    model = STGCN(3, 2, backbone="resnet18", weights=None).eval()
    torch.save(model, tmp_path / "model.pt")
    again = torch.load(tmp_path / "model.pt", weights_only=False)
    clips = torch.randn(1, 2, 3, 64, 32)
    assert torch.equal(again(clips).embedding, model(clips).embedding)


# Images so narrow that the last map has one column.
CASES = {
    "resnet18": ("resnet18", {}, 16),
    "as is": ("resnet18", {"last_stage": "as-is"}, 32),
    "depthwise": ("mobilenet_v2", {}, 32),
    "padded by itself": ("timm/tf_efficientnet_lite0", {}, 32),
}


@pytest.mark.parametrize(("name", "options", "width"), CASES.values(), ids=CASES)
def test_a_backbone_of_small_images_is_near_that_of_float32(name, options, width):
    if name.startswith("timm/"):
        pytest.importorskip("timm")
    torch.manual_seed(0)
    backbone = Backbone(name, None, **options).eval()
    images = torch.randn(8, 3, 2 * width, width)
    with torch.no_grad():
        wanted = backbone(images)
        assert wanted.size(-1) == 1
        for _ in range(3):
            leave_numbers_in_memory()
            with torch.autocast("cpu", torch.bfloat16):
                assert far(backbone(images).float(), wanted.double()) < 0.05


def test_what_is_recomputed_is_computed_so_too():
    convolution = own(3, 2, 1, 1)
    x = torch.randn(8, 64, 9, 1, requires_grad=True)
    wanted = both(convolution, x.detach().clone())[2][1]
    slopes = torch.randn(8, 128, 5, 1, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        with torch.autocast("cpu", torch.bfloat16):
            found = recomputed(convolution, convolution, x)
        leave_numbers_in_memory()
        (gradient,) = torch.autograd.grad(found, convolution.weight, slopes.bfloat16())
        assert far(gradient, wanted) < 0.02


@pytest.mark.skipif(
    not any(torch.cpu.get_capabilities().get(n) for n in ("avx512_bf16", "amx_bf16", "bf16")),
    reason="this processor has no instructions for bfloat16",
)
@pytest.mark.parametrize("width", [16, 32])
def test_the_faster_backbone_of_small_images_is_right_in_bfloat16(width):
    torch.manual_seed(0)
    backbone = Backbone("resnet18", None).eval()
    images = torch.randn(8, 3, 2 * width, width)
    fast = FastBackbone(backbone, (2 * width, width), "bfloat16")
    with torch.no_grad():
        wanted = backbone(images).double()
    for _ in range(3):
        leave_numbers_in_memory()
        assert far(fast(images), wanted) < 0.05


HAS_AMX = torch.cpu.get_capabilities().get("amx_bf16", False)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_openvino_is_right_for_small_images(precision):
    openvino = pytest.importorskip("openvino")
    if precision == "int8":
        pytest.importorskip("nncf")
    torch.manual_seed(0)
    few = {"temporal_patches": 1, "spatial_patches": 1, "spatial_channels": 16}
    model = STGCN(4, 2, "resnet18", weights=None, **few).eval()
    clips = torch.randn(8, 2, 3, 32, 16)
    with torch.no_grad():
        wanted = model(clips).embedding.double()
    network = ExportedNetwork(model, 32, 16, "clips")
    made = to_openvino_precision(network, "int8" if precision == "int8" else "float32", [clips])
    hint = {"INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" and HAS_AMX else "f32"}
    compiled = openvino.Core().compile_model(made, "CPU", hint)
    for _ in range(3):
        leave_numbers_in_memory()
        assert far(torch.from_numpy(compiled(clips.numpy())[0]), wanted) < 0.1
    assert not any(getattr(part, "always", False) for part in network.modules())  # as it was


def test_images_of_the_usual_sizes_are_convolved_as_they_were(monkeypatch):
    added = []
    monkeypatch.setattr("stgcn_pyg.models.backbones.spare_column.pad", lambda *_: added.append(_))
    for name in ("resnet18", "mobilenet_v2", "timm/tf_efficientnet_lite0"):
        backbone = Backbone(name, None, last_stage="as-is").eval()
        always_give_spare_columns(backbone)
        with torch.no_grad():
            assert backbone(torch.zeros(1, 3, 128, 64)).size(-1) == 2
    assert not added
