"""Affinities and sums of narrow types: float64's answer, rounded."""

import copy
from itertools import product

import pytest
import torch

from stgcn_pyg.layers import (
    AffinityGCN,
    CosineAffinity,
    DenseAffinityGCN,
    SoftmaxAffinity,
    SquaredAffinity,
    cosine_affinity,
    ragged_edges,
    renormalize,
    renormalize_edges,
    softmax_affinity,
    squared_affinity,
)

FUNCTIONS = {"squared": squared_affinity, "softmax": softmax_affinity, "cosine": cosine_affinity}
LAYERS = {"squared": SquaredAffinity, "softmax": SoftmaxAffinity, "cosine": CosineAffinity}
KINDS = pytest.mark.parametrize("kind", FUNCTIONS)
GRAPHS, NODES = 2, 8
ROUTES = {
    "function": {},
    "equal": {"graph_size": NODES},
    "ragged": {"ptr": torch.tensor([0, NODES, 2 * NODES])},
    "edges": {},
}


def features(width, scale, mean, spread):
    """Float16 nodes of complete graphs, as large or small as float16 holds them."""
    noise = torch.randn(GRAPHS, NODES, width, generator=torch.Generator().manual_seed(0))
    return ((noise * spread + mean) * scale).half()


def affinity_by(route, kind, h):
    """The weights `[G, N, N]` of nodes whose transformed features are `h` itself."""
    if route == "function":
        return FUNCTIONS[kind](h)
    layer = LAYERS[kind](h.size(2))
    layer.phi = torch.nn.Identity()
    edges = ragged_edges([NODES] * GRAPHS)
    return layer(h.flatten(0, 1), edges, **ROUTES[route]).view(GRAPHS, NODES, NODES)


@KINDS
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("width", [3, 1024])
def test_float16_is_float64s_answer_rounded(kind, route, width):
    for scale, (mean, spread) in product(
        (1e-6, 1e-2, 38.2, 120.0, 6e3), ((0, 1), (1, 1), (5, 1), (1, 0))
    ):
        require_rounded(kind, route, width, scale, mean, spread)


def require_rounded(kind, route, width, scale, mean, spread):
    if kind == "softmax" and spread:
        # The exponential of a product of 10^5 is one or zero, to three digits, by its last digit.
        scale = min(scale, 20 / (1 + mean) / width**0.25)
    h = features(width, scale, mean, spread)
    assert h.isfinite().all()
    narrow, wide = h.clone().requires_grad_(), h.double().requires_grad_()
    a, expected = affinity_by(route, kind, narrow), affinity_by("function", kind, wide)
    assert a.dtype == torch.float16
    torch.testing.assert_close(a.double(), expected, rtol=2**-10.5, atol=2e-6)
    # The squared affinity and the cosine change as features shrink, the softmax as they grow.
    unit = 1 / max(scale, 1) if kind == "softmax" else scale
    gradient = (torch.linspace(-1, 1, a.numel()).view(a.shape) * unit).half()
    a.backward(gradient)
    expected.backward(gradient.double())
    torch.testing.assert_close(
        narrow.grad.double(),
        wide.grad,
        rtol=0,
        atol=2**-10 * float(wide.grad.abs().max()) + 1e-6,
    )


@KINDS
@pytest.mark.parametrize("route", ROUTES)
def test_equal_nodes_share_alike_where_a_rows_norm_leaves_float16(kind, route):
    # 16 channels of 120: products of 14,400 each, and a row's norm above 65,504.
    h = torch.full((GRAPHS, NODES, 16), 120.0).half()
    a = affinity_by(route, kind, h * 2)
    torch.testing.assert_close(a, torch.full_like(a, 1 / NODES))


def test_degrees_are_counted_beyond_what_float16_counts():
    size = 600
    a = torch.full((size, size), 200.0, dtype=torch.float16)  # degrees of 120,001
    expected = (200 / 120_001.0, 201 / 120_001.0)
    edges, weights = renormalize_edges(ragged_edges([size]), a.flatten(), size)
    blocks = renormalize(a)
    dense = torch.zeros(size, size, dtype=torch.float64)
    dense.index_put_((edges[1], edges[0]), weights.double(), accumulate=True)
    for found in (blocks.double(), dense):
        torch.testing.assert_close(found[0, 1].item(), expected[0], rtol=0.01, atol=1e-6)
        torch.testing.assert_close(found[0, 0].item(), expected[1], rtol=0.01, atol=1e-6)


@KINDS
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_autocast_to_float16_does_not_overflow(kind, dtype):
    h = torch.full((4, 16), 240.0, dtype=dtype)
    with torch.autocast("cpu", dtype=torch.float16):
        a = FUNCTIONS[kind](h)
    torch.testing.assert_close(a.float(), torch.full((4, 4), 0.25))


# The ends of the range that `squared_affinity` names: inner products of 1e-18 to 1e18.
@KINDS
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("width", [3, 1024])
@pytest.mark.parametrize(("dtype", "rounding"), [(torch.bfloat16, 2**-8), (torch.float32, 1e-5)])
def test_bfloat16_and_float32_are_float64s_answer_rounded(kind, route, width, dtype, rounding):
    for scale, (mean, spread) in product((2e-9, 1.0, 3e8), ((0, 1), (5, 1), (1, 0))):
        require_rounded_to(dtype, rounding, kind, route, width, scale, mean, spread)


def require_rounded_to(dtype, rounding, kind, route, width, scale, mean, spread):
    if width == 1024:
        scale /= 32 * (1 + mean)  # for inner products as large as those of 3 channels
    if kind == "softmax" and spread:
        scale = min(scale, 20 / (1 + mean) / width**0.25)
    noise = torch.randn(GRAPHS, NODES, width, generator=torch.Generator().manual_seed(0))
    narrow = ((noise * spread + mean) * scale / 4).to(dtype).requires_grad_()
    wide = narrow.detach().double().requires_grad_()
    a, expected = affinity_by(route, kind, narrow), affinity_by("function", kind, wide)
    assert a.dtype == dtype
    torch.testing.assert_close(a.double(), expected, rtol=rounding, atol=rounding * 1e-2)
    unit = 1.0 if kind == "softmax" else scale
    gradient = torch.linspace(-1, 1, a.numel()).view(a.shape).to(dtype)
    (a * gradient).sum().backward()
    (expected * gradient.double()).sum().backward()
    error = (narrow.grad.double() - wide.grad).abs().max() * unit
    assert error <= 4 * rounding * wide.grad.abs().max() * unit + rounding * 1e-2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("route", ["equal", "ragged", "edges", "dense"])
def test_a_stack_over_many_nodes_is_float64s_rounded(dtype, route):
    # Sums of 600 weights of about 1/600: added up in bfloat16 they would stop to grow.
    size = 600
    gcn = AffinityGCN(8, 8, 1, norm=None, act=None).to(dtype)
    x = (torch.rand(size, 8) + 2).to(dtype)
    expected = copy.deepcopy(gcn).double()(x.double(), graph_size=size)
    if route == "dense":
        dense = DenseAffinityGCN(8, 8, 1, norm=None, act=None).to(dtype)
        dense.load_state_dict(gcn.state_dict())
        found = dense(x.unsqueeze(0)).squeeze(0)
    else:
        promise = {"equal": {"graph_size": size}, "ragged": {"ptr": torch.tensor([0, size])}}
        found = gcn(x, ragged_edges([size]), **promise.get(route, {}))
    assert found.dtype == dtype
    if route == "edges":  # on a CPU, sums of bfloat16 are right without it; on a GPU they are not
        seen = []
        gcn.convs[0].register_message_forward_hook(lambda _, inputs, out: seen.append(out.dtype))
        gcn(x, ragged_edges([size]))
        assert seen == [torch.float32]
    rounding = 3 * torch.finfo(dtype).eps
    torch.testing.assert_close(found.double(), expected, rtol=rounding, atol=rounding)
