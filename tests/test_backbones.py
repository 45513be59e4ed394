"""Backbones of torchvision and timm against these libraries' own networks."""

import copy

import pytest
import timm
import torch
from torch import nn
from torchvision.models import get_model

from stgcn_pyg.errors import UserError
from stgcn_pyg.models import Backbone


def build(name, weights=None, **options):
    torch.manual_seed(0)
    return Backbone(name, weights, **options).eval()


def with_statistics(backbone):
    """With running statistics and scales that are not all alike, so that a wrong order shows."""
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            if module.affine:  # some begin with scales of 0, which switch a whole branch off
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.1, 0.1)
    return backbone


@torch.no_grad()
def maps(backbone, size=(128, 64), seed=1):
    torch.manual_seed(seed)
    return backbone(torch.randn(2, 3, *size))


@pytest.mark.parametrize(
    ("name", "options", "size", "shape"),
    [
        ("resnet101", {}, (256, 128), (2048, 16, 8)),
        ("resnet18", {"last_stage": "as-is"}, (256, 128), (512, 8, 4)),
        ("mobilenet_v2", {}, (256, 128), (1280, 8, 4)),
        ("efficientnet_b0", {"last_stage": "stride1"}, (128, 64), (1280, 8, 4)),
        ("convnext_tiny", {"last_stage": "dilated"}, (128, 64), (768, 8, 4)),
        ("timm/resnet18d", {}, (128, 64), (512, 8, 4)),
        ("timm/resnetblur18", {}, (128, 64), (512, 4, 2)),
        ("timm/mobilenetv3_small_100", {}, (128, 64), (576, 4, 2)),
        ("timm/vit_tiny_patch16_224", {}, (96, 64), (192, 6, 4)),
        ("timm/vit_tiny_patch16_224", {"image_size": (256, 128)}, (256, 128), (192, 16, 8)),
        ("timm/swin_tiny_patch4_window7_224", {"image_size": (224, 112)}, (224, 112), (768, 7, 4)),
        ("timm/eva02_tiny_patch14_224", {}, (112, 56), (192, 8, 4)),
        ("timm/mixer_s32_224", {"image_size": (128, 64)}, (128, 64), (512, 4, 2)),
    ],
)
def test_images_become_maps(name, options, size, shape):
    backbone = build(name, **options)
    found = maps(backbone, size)
    assert found.shape == (2, *shape)
    assert backbone.out_channels == shape[0]
    assert backbone.map_size(*size) == shape[1:]


@pytest.mark.parametrize("options", [{}, {"image_size": (96, 48)}, {"patch_stride": 12}])
def test_a_token_lies_where_its_patch_is(options):
    backbone = build("timm/vit_tiny_patch16_224", **options)
    backbone.network.model.blocks = nn.Identity()  # so that no token sees another
    stride = options.get("patch_stride", 16)
    image = torch.zeros(1, 3, 96, 48)
    with torch.no_grad():
        before = backbone(image)
        changed = image.clone()
        top, left = 2 * stride, 1 * stride  # of the patch in row 2, column 1
        changed[:, :, top + 15, left + 15] = 5.0  # its last pixel
        difference = (backbone(changed) - before).abs().sum(dim=1)[0]
    seen = set(map(tuple, difference.nonzero().tolist()))
    assert (2, 1) in seen
    overlapping = {(3, 1), (2, 2), (3, 2)} if stride == 12 else set()
    columns = (48 - 16) // stride + 1
    assert seen == {(2, 1)} | {place for place in overlapping if place[1] < columns}


def test_tokens_are_timms_own_without_the_class():
    backbone = build("timm/vit_tiny_patch16_224", image_size=(64, 32))
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=(64, 32)).eval()
    model.load_state_dict(backbone.network.model.state_dict())
    torch.manual_seed(1)
    x = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        found, tokens = backbone(x), model.forward_features(x)
    for row in range(4):
        for column in range(2):
            torch.testing.assert_close(found[:, :, row, column], tokens[:, 1 + 2 * row + column])


def test_position_embeddings_are_interpolated_once_for_overlapping_patches():
    options = {"image_size": (128, 64)}
    plain = build("timm/vit_tiny_patch16_224", **options).network.model.pos_embed
    found = build("timm/vit_tiny_patch16_224", **options, patch_stride=8).network.model.pos_embed
    grid = plain[:, 1:].unflatten(1, (8, 4)).permute(0, 3, 1, 2)
    expected = nn.functional.interpolate(grid, (15, 7), mode="bicubic", antialias=True)
    torch.testing.assert_close(found[:, 1:], expected.flatten(2).transpose(1, 2))
    torch.testing.assert_close(found[:, :1], plain[:, :1])
    assert isinstance(found, nn.Parameter)


def test_a_resnet_with_stride_1_is_todays_habit_to_the_last_bit():
    backbone = with_statistics(build("resnet50"))
    resnet = get_model("resnet50", weights=None).eval()
    resnet.layer4[0].conv2.stride = resnet.layer4[0].downsample[0].stride = (1, 1)
    resnet.load_state_dict(backbone.state_dict(), strict=False)
    whole = nn.Sequential(*list(resnet.children())[:-2])
    torch.manual_seed(1)
    x = torch.randn(2, 3, 128, 64).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        assert torch.equal(backbone(x), whole(x))


DILATED = [
    # The places of the old map in the new one: TensorFlow pads at the end, so they are odd there.
    ("resnet18", 0),
    ("mobilenet_v2", 0),
    ("convnext_tiny", 0),
    ("timm/resnet18d", 0),
    ("timm/mobilenetv2_100", 0),
    ("timm/tf_efficientnet_lite0", 1),
    ("timm/densenet121", 0),
    ("timm/convnext_atto", 0),
    ("timm/mobilenetv4_conv_small", 0),
]


@pytest.mark.parametrize(("name", "first"), DILATED)
def test_a_dilated_map_holds_the_pretrained_one(name, first):
    whole = with_statistics(build(name, last_stage="as-is"))
    dilated = build(name, last_stage="dilated")
    assert dilated.state_dict().keys() == whole.state_dict().keys()
    dilated.load_state_dict(whole.state_dict())
    expected, found = maps(whole), maps(dilated)
    assert found.shape[2:] == (2 * expected.size(2), 2 * expected.size(3))
    scale = expected.abs().max()
    torch.testing.assert_close(
        found[:, :, first::2, first::2] / scale, expected / scale, rtol=0, atol=1e-5
    )
    other = found[:, :, 1 - first :: 2, 1 - first :: 2]
    assert (other - expected).abs().max() > 1e-3 * scale  # it is not the same map everywhere


@pytest.mark.parametrize(
    "name",
    ["tf_efficientnet_lite0", "mobilenetv2_100", "resnet18", "convnext_atto", "regnety_002"],
)
def test_a_dilated_map_is_the_one_that_timm_builds(name):
    backbone = with_statistics(build(f"timm/{name}", last_stage="dilated"))
    model = timm.create_model(name, num_classes=0, output_stride=16).eval()
    missing, unknown = model.load_state_dict(backbone.network.model.state_dict(), strict=False)
    assert not unknown
    assert all(name.startswith("head.") for name in missing)
    torch.manual_seed(1)
    expected = model.forward_features(torch.randn(2, 3, 128, 64))
    scale = expected.abs().max()
    torch.testing.assert_close(maps(backbone) / scale, expected / scale, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["mobilenet_v2", "timm/tf_efficientnet_lite0", "convnext_tiny"])
def test_stride_1_leaves_the_kernels_as_they_are(name):
    whole, finer = (build(name, last_stage=kind) for kind in ("as-is", "stride1"))
    finer.load_state_dict(whole.state_dict())
    assert maps(finer).shape[2:] == (8, 4)
    changed = [
        (a.kernel_size, a.dilation, a.stride, b.stride)
        for a, b in zip(whole.modules(), finer.modules(), strict=True)
        if isinstance(a, nn.Conv2d) and (a.stride, a.dilation) != (b.stride, b.dilation)
    ]
    assert len(changed) == 1  # one convolution halves the last stage
    assert changed[0][1:] == ((1, 1), (2, 2), (1, 1))


@pytest.mark.parametrize(
    "name", ["mobilenet_v2", "timm/resnet18", "timm/vit_tiny_patch16_224", "timm/convnext_atto"]
)
def test_recomputed_blocks_give_the_same_training(name):
    size = (64, 64)

    def step(recompute):
        backbone = build(name, image_size=size if "vit" in name else None).train()
        backbone.activation_checkpointing = recompute
        torch.manual_seed(1)
        found = backbone(torch.randn(4, 3, *size))
        torch.manual_seed(2)
        (found * torch.randn_like(found)).sum().backward()
        gradients = [p.grad for p in backbone.parameters()]
        return [found.detach(), *gradients, *backbone.buffers()]

    for one, other in zip(step(False), step(True), strict=True):
        assert torch.equal(one, other)


def test_recomputation_keeps_less():
    kept = {}
    for recompute in (False, True):
        backbone = build("timm/tf_efficientnet_lite0").train()
        backbone.activation_checkpointing = recompute
        total = 0

        def count(tensor):
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            backbone(torch.randn(4, 3, 64, 64))
        kept[recompute] = total
    assert kept[True] < 0.5 * kept[False]


def test_blocks_are_found_where_names_below_them_are_alike():
    assert len(build("timm/efficientvit_m0").network._blocks()) > 3


def test_recomputing_leaves_the_modules_as_they_were():
    backbone = build("timm/mobilenetv2_100").train()
    backbone.activation_checkpointing = True
    before = {name: set(vars(module)) for name, module in backbone.named_modules()}
    backbone(torch.randn(2, 3, 64, 64))
    assert {name: set(vars(module)) for name, module in backbone.named_modules()} == before
    copy.deepcopy(backbone)


@pytest.mark.parametrize(
    ("name", "first", "number"),
    [
        ("resnet18", "conv1.weight", 5),
        ("mobilenet_v2", "features.0.0.weight", 19),
        ("timm/vit_tiny_patch16_224", "network.model.cls_token", 13),
        ("timm/tf_efficientnet_lite0", "network.model.conv_stem.weight", 17),
    ],
)
def test_layers_hold_every_parameter_once_from_input_to_output(name, first, number):
    backbone = build(name)
    layers = backbone.layers()
    assert len(layers) == number
    assert layers[0][0] == first
    flat = [weight for layer in layers for weight in layer]
    assert sorted(flat) == sorted(weight for weight, _ in backbone.named_parameters())


@pytest.mark.parametrize(
    "name", ["resnet18", "convnext_tiny", "timm/convnext_atto", "timm/mobilenetv3_small_100"]
)
def test_no_parameter_is_left_out_of_the_map(name):
    backbone = build(name)
    backbone(torch.randn(2, 3, 64, 64)).square().sum().backward()
    assert [name for name, p in backbone.named_parameters() if p.grad is None] == []


def test_frozen_layers_and_batch_norms_stay_in_training():
    backbone = build("resnet18").train()
    backbone.freeze(num_layers=2)
    backbone.train()
    before = copy.deepcopy(backbone.state_dict())
    backbone(torch.randn(4, 3, 32, 32)).sum().backward()
    trained = {name for name, p in backbone.named_parameters() if p.grad is not None}
    assert {name.split(".")[0] for name in trained} == {"layer2", "layer3", "layer4"}
    changed = {
        name.split(".")[0]
        for name, value in backbone.state_dict().items()
        if "running" in name and not torch.equal(value, before[name])
    }
    assert changed == {"layer2", "layer3", "layer4"}


def test_fewer_than_no_layers_cannot_be_frozen():
    with pytest.raises(UserError, match="frozen_layers=-1: pass a whole number of at least 0"):
        build("resnet18").freeze(-1)


def test_all_batch_norms_can_be_frozen():
    backbone = build("timm/mobilenetv2_100").train()
    backbone.freeze(batch_norm=True)
    before = copy.deepcopy(dict(backbone.named_buffers()))
    backbone.train()(torch.randn(4, 3, 64, 64)).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in backbone.named_buffers())
    with_gradient = {name for name, p in backbone.named_parameters() if p.grad is not None}
    assert with_gradient == {n for n, p in backbone.named_parameters() if p.dim() == 4}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet5", {}, r"'resnet5' is unknown: the nearest are resnet50, .*timm are timm/NAME"),
        ("timm/resnet5", {}, r"'timm/resnet5' is unknown: the nearest are timm/resnet"),
        ("timm/resnet18.none", {}, r"timm has no weights of that name: it has timm/resnet18\.a1_"),
        ("resnet18", {"last_stage": "stride2"}, "last_stage='stride2' is unknown: use stride1"),
        ("timm/vit_tiny_patch16_224", {"last_stage": "stride1"}, "leave last_stage out"),
        ("timm/vit_tiny_patch16_224", {"image_size": (100, 64)}, "cannot be cut into the patches"),
        ("timm/vit_tiny_patch16_224", {"patch_stride": 20}, "pass at most 16"),
        ("timm/vit_tiny_patch16_224", {"patch_stride": 0}, "patch_stride=0: pass a whole number"),
        ("timm/eva02_tiny_patch14_224", {"patch_stride": 7}, "no vision transformer with position"),
        ("timm/resnet18", {"patch_stride": 12}, "no vision transformer with position"),
        ("timm/vit_tiny_patch16_224", {"image_size": (64,)}, "image_size=.64.: pass two numbers"),
        ("timm/vit_tiny_patch16_224", {"image_size": 64}, "image_size=.64.: pass two numbers"),
        ("timm/vit_tiny_patch16_224", {"image_size": (64, 0)}, "image_size=0: pass a whole number"),
        ("resnet18", {"image_size": (64, 32)}, "resnet18 takes any size: leave it out"),
        ("timm/resnetblur18", {"last_stage": "stride1"}, "gives no map for images of 128 x 128"),
        ("timm/ese_vovnet19b_dw", {"last_stage": "dilated"}, "gives a map of .* not twice 4 x 4"),
        ("timm/coat_tiny", {}, "gives no map for images"),
        ("resnet18", {"patch_stride": 12}, "resnet18 has no patches"),
        ("timm/vit_tiny_r_s16_p8_224", {}, "no map of its patches"),
    ],
)
def test_what_does_not_fit_is_said_in_a_line(name, options, message):
    with pytest.raises(UserError, match=message) as caught:
        Backbone(name, None, **options)
    assert "\n" not in str(caught.value)


def test_a_size_that_a_transformer_does_not_take_is_named():
    with pytest.raises(UserError, match=r"built for images of 64 x 32, not of 64 x 64: pass"):
        maps(build("timm/vit_tiny_patch16_224", image_size=(64, 32)), (64, 64))
    with pytest.raises(UserError, match="images of 65 x 32 cannot be cut into the patches of 16"):
        maps(build("timm/vit_tiny_patch16_224"), (65, 32))
    with pytest.raises(UserError, match="images of 250 x 130 cannot be cut into the patches of 16"):
        maps(build("timm/vit_tiny_patch16_224", patch_stride=12), (250, 130))
    with pytest.raises(UserError, match=r"no map for images of 64 x 32 .*doesn't match model"):
        build("timm/cait_xxs24_224").map_size(64, 32)


def test_a_transformer_that_takes_any_size_is_given_any():
    assert build("timm/pvt_v2_b0", image_size=(128, 64)).map_size(96, 64) == (3, 2)
