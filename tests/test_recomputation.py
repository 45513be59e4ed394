"""Blocks computed again in the backward pass: the same training, in less memory."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from stgcn_pyg.models import Backbone


def build(name="resnet18", activation_checkpointing=False):
    torch.manual_seed(0)
    backbone = Backbone(name, weights=None)
    backbone.activation_checkpointing = activation_checkpointing
    return backbone


def step(backbone, run=None):
    torch.manual_seed(1)
    maps = (backbone if run is None else run)(torch.randn(4, 3, 32, 16))
    maps.square().sum().backward()
    return maps, [p.grad for p in backbone.parameters()], dict(backbone.named_buffers())


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_maps_gradients_and_running_statistics_are_the_same_to_the_last_bit(name):
    expected, found = step(build(name)), step(build(name, activation_checkpointing=True))
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=0)
    assert {int(b) for n, b in found[2].items() if "num_batches" in n} == {1}


def test_a_compiled_backbone_counts_its_statistics_once_too():
    backbone = build(activation_checkpointing=True)
    run = torch.compile(backbone, fullgraph=True, backend="aot_eager")
    expected, found = step(build()), step(backbone, run)
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-4)
    assert {int(b) for n, b in found[2].items() if "num_batches" in n} == {1}


class Convolutions(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.count += function is torch.ops.aten.convolution.default
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize(("activation_checkpointing", "times"), [(False, 1), (True, 2)])
def test_blocks_run_twice_only_where_they_are_to(activation_checkpointing, times):
    backbone = build(activation_checkpointing=activation_checkpointing)
    in_blocks = sum(isinstance(m, torch.nn.Conv2d) for m in backbone.modules()) - 1
    with Convolutions() as run:
        step(backbone)
    # The last convolution's output is not needed by the backward pass before it.
    assert 1 + times * in_blocks - 8 <= run.count <= 1 + times * in_blocks


def test_without_gradients_or_in_evaluation_nothing_is_computed_again():
    backbone = build(activation_checkpointing=True)
    convolutions = sum(isinstance(m, torch.nn.Conv2d) for m in backbone.modules())
    with torch.no_grad(), Convolutions() as run:
        backbone(torch.randn(2, 3, 32, 16))
    assert run.count == convolutions
    with Convolutions() as run:
        backbone.eval()(torch.randn(2, 3, 32, 16)).sum().backward()
    assert run.count == convolutions
