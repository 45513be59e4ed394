"""The backward pass that is walked in Python is that of autograd's engine, to the last bit."""

import copy

import pytest
import torch
from fake_gpu import backward, network

from stgcn_pyg.data import ClipBatch
from stgcn_pyg.runs.training import STGCNTraining

pytestmark = pytest.mark.usefixtures("shapes_unchecked", "narrow_backbone", "one_thread")

BATCHES = [
    ClipBatch(
        torch.randn(4, 2, 3, 32, 16, generator=torch.Generator().manual_seed(seed)),
        torch.tensor([0, 0, 1, 1]),
    )
    for seed in (1, 2)
]


def gradients(module, walk, narrow):
    """The gradients of two batches, added up, and the running statistics behind them."""
    module = copy.deepcopy(module)
    for batch in BATCHES:
        with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
            loss = module(batch)["loss"]
        walk(loss)
    return [p.grad for p in module.parameters()], list(module.buffers())


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation_checkpointing": True},
        {"micro_batches": 2},
        {"micro_batches": 2, "activation_checkpointing": True, "centre_loss": 0.1},
    ],
)
def test_gradients_of_a_training_are_the_engines(options, narrow):
    module = STGCNTraining(network(neck="bnneck"), compile="off", margin="soft", **options)
    expected = gradients(module, torch.Tensor.backward, narrow)
    found = gradients(module, backward, narrow)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


A, B, C = torch.randn(3, 3), torch.randn(3), torch.randn(3, 3)
LOSSES = {
    "the same gradient for two": lambda a, b, c: (a + c).square().sum(),
    "an expanded one": lambda a, b, c: (a + c).sum(),
    "broadcast": lambda a, b, c: ((a + b) * b).sum(),
    "used often": lambda a, b, c: (a @ a + a * a + a).sum() + a.exp().sum(),
    "views": lambda a, b, c: (a[0] * a[1]).sum() + a.mT.reshape(9)[:3].square().sum(),
    "one of several outputs": lambda a, b, c: a.sort(0).values[0].sum() + c.unbind()[1].sum(),
    "a leaf itself": lambda a, b, c: b.sum() + b.prod(),
    "other types": lambda a, b, c: (a.double() @ c.double()).float().sum() + a.bfloat16().sum(),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_small_graphs_are_the_engines(loss):
    found = []
    for walk in (torch.Tensor.backward, backward):
        leaves = [value.clone().requires_grad_() for value in (A, B, C)]
        for _ in range(2):
            walk(LOSSES[loss](*leaves))
        found.append([leaf.grad for leaf in leaves])
    for mine, engines in zip(found[1], found[0], strict=True):
        assert (mine is None) == (engines is None)
        assert mine is None or (torch.equal(mine, engines) and mine.stride() == engines.stride())
