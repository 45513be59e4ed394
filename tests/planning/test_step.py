"""Memory and work of a step, predicted, against the same step with values on the CPU."""

import pytest
import torch
from narrow import narrow
from torch import nn

from benchmarks.measuring import peak_memory
from stgcn_pyg.data import ClipBatch
from stgcn_pyg.planning.memory import LiveMemory
from stgcn_pyg.planning.step import PlannedStep, flop_counter
from stgcn_pyg.runs.run import build_module
from stgcn_pyg.runs.settings import load_settings

SMALL = {
    "dataset": "mars",
    "root": ".",
    "model.backbone": "resnet18",
    "model.weights": None,
    "model.num_frames": 4,
    "data.height": 128,
    "data.width": 64,
    "data.identities_per_batch": 4,
    "data.tracklets_per_identity": 2,
}


def planned(device="cpu", **changes):
    settings = load_settings(
        [], SMALL | {name.replace("__", "."): v for name, v in changes.items()}
    )
    return PlannedStep(settings, 20, device)


def measured(step, identities):
    """The most bytes that a real step allocates, as PyTorch's profiler records them."""
    data = step.data
    module = build_module(step.settings, data).train()
    clips = data.tracklets_per_identity * identities
    shape = clips, data.num_frames, data.height, data.width, 3
    read = ClipBatch(
        torch.zeros(shape, dtype=torch.uint8).permute(0, 1, 4, 2, 3),
        torch.arange(identities).repeat_interleave(data.tracklets_per_identity),
        torch.ones(clips, 1, 14),
    )
    optimizer, _ = module.build_optimizer(1)

    def run():
        for parameter in module.parameters():  # as the step before has left them
            parameter.grad = torch.zeros_like(parameter)
        batch = data.move_and_normalize(read, "cpu", module.model.mean, module.model.std)
        loss = module(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return peak_memory(run, torch.device("cpu"))


@pytest.mark.parametrize(
    "options",
    [{}, {"training__activation_checkpointing": True}, {"training__micro_batches": 2}],
    ids=["plain", "activation checkpointing", "micro-batches"],
)
def test_what_is_predicted_is_what_a_step_on_the_cpu_takes(options):
    with narrow():  # oneDNN copies large weights while it computes, which is not predicted
        step = planned(**options)
        memory = step.memory(4)
        assert memory.batch + memory.activations == pytest.approx(measured(step, 4), rel=0.01)


def test_weights_and_optimizer_are_what_their_tensors_hold():
    step = planned()
    memory, model = step.memory(2), step.module.model
    numbers = sum(p.numel() for p in model.parameters())
    assert memory.weights == pytest.approx(4 * numbers, rel=0.01)
    assert memory.optimizer == pytest.approx(8 * numbers, rel=0.01)
    assert memory.batch == pytest.approx(2 * 2 * 4 * 3 * 128 * 64 * 4, rel=0.01)


def test_less_memory_is_predicted_for_what_takes_less():
    step = planned("cuda", precision="bf16-mixed")
    plain = step.memory(4).activations
    assert step.memory(4, activation_checkpointing=True).activations < 0.8 * plain
    assert step.memory(4, micro_batches=4).activations < 0.8 * plain
    assert step.memory(4, micro_batches=1).activations == plain
    assert planned("cuda").memory(4).activations > 1.15 * plain  # in float32


@pytest.mark.parametrize("augment", ["clip", "frame"])
def test_a_step_with_every_augmentation_and_a_frozen_backbone_is_predicted(augment):
    step = planned(
        "cuda",
        data__augment=augment,
        **{f"data__{name}": 0.1 for name in ("shift", "zoom", "colour", "erase", "contrast")},
        training__frozen_layers=2,
        training__centre_loss=0.1,
        model__neck="bnneck",
    )
    frozen = [p for p in step.module.model.parameters() if not p.requires_grad]
    assert frozen and 0 < step.memory(4).total < planned("cuda").memory(4).total


def forward_work(model, frames):
    """Products and additions of each layer's forward pass, by its own sizes."""
    work = 0

    def add(layer, inputs, out):
        nonlocal work
        if isinstance(layer, nn.Conv2d):
            rows, columns = layer.kernel_size
            inner = layer.in_channels // layer.groups * rows * columns
            work += 2 * out.numel() * inner
        elif isinstance(layer, nn.Linear):
            work += 2 * out.numel() * layer.in_features

    hooks = [layer.register_forward_hook(add) for layer in model.modules()]
    model.eval()(torch.zeros(1, frames, 3, 128, 64))
    for hook in hooks:
        hook.remove()
    return work


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenet_v2"])
def test_a_step_is_three_times_the_work_of_its_layers_forward_pass(backbone):
    """Save for the gradient of the pixels, which nobody needs: the first layer is twice."""
    step = planned("cuda", model__backbone=backbone, model__branches=["global"])
    model = build_module(step.settings, step.data).model
    first = next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
    out = 32 * 64 * first.out_channels
    of_first = 2 * out * 3 * first.kernel_size[0] * first.kernel_size[1] * 4
    clips = 4 * 2
    expected = clips * (3 * forward_work(model, 4) - of_first)
    assert step.flop(4) == pytest.approx(expected, rel=1e-3)


def test_computing_blocks_twice_adds_a_forward_pass_to_the_work():
    step = planned("cuda", model__branches=["global"])
    assert step.flop(4, micro_batches=2) == pytest.approx(step.flop(4) * 4 / 3, rel=0.01)


@pytest.mark.parametrize(("groups", "transposed"), [(1, False), (4, False), (1, True), (4, True)])
def test_a_convolution_and_its_gradients_are_counted_by_their_loops(groups, transposed):
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer = kind(8, 12, 3, groups=groups, bias=False)
    x = torch.zeros(2, 8, 6, 5, requires_grad=True)
    with flop_counter() as counter:
        out = layer(x)
        out.sum().backward()
    places = x if transposed else out
    loops = 2 * places.size(0) * places.size(2) * places.size(3) * (8 // groups) * 12 * 9
    assert counter.get_total_flops() == 3 * loops


def test_tensors_count_once_for_as_long_as_they_live():
    with LiveMemory("cpu") as memory:
        x = torch.zeros(1024)
        view = x.view(32, 32)
        assert memory.live == 4096
        other = view + 1
        assert memory.live == 8192
        del x, view
        assert memory.live == 4096
        other += 1
    assert (memory.live, memory.peak) == (4096, 8192)


VIT = {"model__backbone": "timm/test_vit", "model__branches": ["global"]}


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_attention_is_one_kernel_on_a_gpu_as_on_a_cpu(precision):
    """So that neither keeps what the attention weighs each pair of patches by."""
    pytest.importorskip("timm")
    there, here = (planned(device, precision=precision, **VIT) for device in ("cuda", "cpu"))
    assert there.memory(4).activations == pytest.approx(here.memory(4).activations, rel=0.01)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_attention_and_its_gradient_are_counted_by_their_products(precision):
    pytest.importorskip("timm")
    step = planned("cuda", precision=precision, **VIT)
    images, patches, width, blocks = 4 * 2 * 4, 8 * 4, 64, 6
    tokens = patches + 1
    layers = 2 * images * tokens * blocks * (3 + 1 + 2 * 3) * width * width
    product = 2 * images * tokens * tokens * blocks * width
    pixels = 2 * images * patches * width * 3 * 16 * 16
    # Forward two products; backward their four gradients, and one of the two again.
    expected = 3 * layers + 7 * product + 2 * pixels
    assert step.flop(4) == pytest.approx(expected, rel=2e-3)
