"""What the stack takes beside the paper's: heads, priors, activations, norms, lazy widths."""

import copy
import io

import numpy as np
import pytest
import torch
from by_the_book import renormalized_by_the_book
from torch.nn.parameter import is_lazy
from torch_geometric.nn import GraphNorm, InstanceNorm

from stgcn_pyg.layers import (
    AffinityConv,
    AffinityGCN,
    CosineAffinity,
    DenseAffinityGCN,
    SoftmaxAffinity,
    SquaredAffinity,
    complete_edges,
)

C, D, N = 6, 8, 5
KINDS = {
    "squared": lambda e: e**2,
    "softmax": lambda e: torch.exp(e),
    "cosine": lambda e: e.clamp(min=0),
}
LAYERS = {"squared": SquaredAffinity, "softmax": SoftmaxAffinity, "cosine": CosineAffinity}


def affinity_with_priors(kind, h, weight, bias):
    """Row by row: the weight times what the kind makes of a score, over its sum."""
    scores = torch.zeros(len(h), len(h), dtype=h.dtype)
    for i, h_i in enumerate(h):
        for j, h_j in enumerate(h):
            product = h_i @ h_j
            if kind == "softmax":
                product = product / len(h_i) ** 0.5
            if kind == "cosine":
                product = product / (h_i.norm() * h_j.norm())
            scores[i, j] = product + bias[i, j]
    a = weight * KINDS[kind](scores)
    return a / a.sum(dim=1, keepdim=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prior_multiplies_and_a_bias_is_added(kind):
    layer = LAYERS[kind](C, 4).double()
    x = torch.randn(N, C, dtype=torch.float64)
    weight, bias = torch.rand(2, N, N, dtype=torch.float64)
    weight[2, 3] = 0
    expected = affinity_with_priors(kind, x @ layer.phi.weight.T, weight, bias)
    found = layer(x, None, weight.unsqueeze(0), bias=bias.unsqueeze(0), graph_size=N)
    torch.testing.assert_close(found[0], expected)
    found = layer(x, complete_edges(1, N), weight.flatten(), bias=bias.flatten())
    torch.testing.assert_close(found, expected.flatten())


@pytest.mark.parametrize("kind", KINDS)
def test_a_prior_of_zero_leaves_its_edge_out_however_strong_it_is(kind):
    # In float32 the first pair outweighs the others by more than a float32 can hold.
    x = torch.tensor([[3e9, 0.0], [3e9, 0.0], [1e-10, 1e-10], [0.0, 1e-10]])
    layer = LAYERS[kind](2)
    torch.nn.init.eye_(layer.phi.weight)
    keep = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(4, 4)
    expected = layer(x, complete_edges(1, 4)[:, keep.flatten() > 0]).view(4, 2)
    found = layer(x, edge_weight=keep.unsqueeze(0))[0]
    torch.testing.assert_close(found[:, 2:], expected)
    assert (found[:, :2] == 0).all()
    by_edge = layer(x, complete_edges(1, 4), keep.flatten()).view(4, 4)
    torch.testing.assert_close(by_edge, found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1e-38, 1e-30, 1e30])
def test_only_the_ratios_of_a_prior_count(kind, size):
    layer, x, weight = LAYERS[kind](C), torch.randn(N, C), torch.rand(1, N, N)
    expected = layer(x, edge_weight=weight)
    torch.testing.assert_close(layer(x, edge_weight=size * weight), expected)
    by_edge = layer(x, complete_edges(1, N), (size * weight).flatten())
    torch.testing.assert_close(by_edge.view(1, N, N), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_each_head_is_a_layer_of_its_own(kind):
    heads, width = 2, C // 2
    gcn = AffinityGCN(C, D, 1, affinity=kind, heads=heads, norm=None, act=None).double()
    x = torch.randn(2 * N, C, dtype=torch.float64)
    out, (_, alpha) = gcn(x, graph_size=N, return_attention_weights=True)
    for head in range(heads):
        alone = LAYERS[kind](C, width).double()
        alone.phi.weight.data = gcn.affinity.phi.weight[head * width : (head + 1) * width]
        a = alone(x, graph_size=N)
        torch.testing.assert_close(alpha[:, head].view(2, N, N), a)
        rows = slice(head * D // heads, (head + 1) * D // heads)
        for graph in range(2):
            nodes = slice(graph * N, (graph + 1) * N)
            a_hat = renormalized_by_the_book(a[graph])
            expected = a_hat @ x[nodes] @ gcn.convs[0].lin.weight[rows].T
            torch.testing.assert_close(out[nodes, rows], expected)


def test_a_bias_of_the_convolution_is_added():
    conv = AffinityConv(C, D, bias=True)
    assert (conv.bias == 0).all()
    x, before = torch.randn(N, C), None
    before = conv(x)
    torch.nn.init.normal_(conv.bias)
    torch.testing.assert_close(conv(x), before + conv.bias)
    conv.reset_parameters()
    assert (conv.bias == 0).all()


def test_without_weights_a_convolution_adds_up_the_neighbours():
    conv, x = AffinityConv(C, D), torch.randn(N, C)
    edges = torch.tensor([[0, 1, 4], [2, 2, 3]])
    expected = torch.zeros(N, C)
    expected[2], expected[3] = x[0] + x[1], x[4]
    torch.testing.assert_close(conv(x, edges), expected @ conv.lin.weight.T)


def test_activations_norms_and_dropout_are_those_that_are_passed():
    x = torch.randn(N, C)
    plain = AffinityGCN(C, D, 1, norm=None, act=None)
    for act in ("relu", torch.relu, torch.nn.ReLU()):
        gcn = AffinityGCN(C, D, 1, norm=None, act=act)
        gcn.load_state_dict(plain.state_dict())
        torch.testing.assert_close(gcn(x), plain(x).relu())
    gcn = AffinityGCN(C, D, 1, norm=torch.nn.BatchNorm1d, act=None)
    gcn.load_state_dict(plain.state_dict(), strict=False)
    torch.testing.assert_close(
        gcn(x), torch.nn.functional.batch_norm(plain(x), None, None, training=True)
    )
    gcn = AffinityGCN(C, D, 1, norm=None, act=None, dropout=0.5)
    gcn.load_state_dict(plain.state_dict())
    torch.testing.assert_close(gcn.eval()(x), plain(x))
    torch.manual_seed(0)
    dropped = gcn.train()(x)
    kept = dropped != 0
    assert 0 < kept.sum() < kept.numel()
    torch.testing.assert_close(dropped[kept], 2 * plain(x)[kept])


@pytest.mark.parametrize("norm", [GraphNorm, InstanceNorm])
def test_a_norm_over_graphs_does_not_mix_them(norm):
    gcn = AffinityGCN(C, D, 2, norm=norm).double()
    x, ptr = torch.randn(6, C, dtype=torch.float64), torch.tensor([0, 3, 6])
    alone = torch.cat([gcn(x[:3]), gcn(x[3:])])
    batch = torch.tensor([0, 0, 0, 1, 1, 1])
    for promise in ({"graph_size": 3}, {"ptr": ptr}, {"batch": batch}):
        torch.testing.assert_close(gcn(x, **promise), alone)
        torch.testing.assert_close(gcn(x, complete_edges(2, 3), **promise), alone)
    dense = DenseAffinityGCN(C, D, 2, norm=norm).double()
    dense.load_state_dict(gcn.state_dict())
    torch.testing.assert_close(dense(x.view(2, 3, C)).flatten(0, 1), alone)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    found = dense(x.view(2, 3, C), mask)[mask]
    torch.testing.assert_close(found, torch.cat([gcn(x[:2]), gcn(x[3:])]))


@pytest.mark.usefixtures("shapes_unchecked")
def test_numpys_integers_are_integers():
    gcn = AffinityGCN(np.int64(C), np.int32(D), np.int8(2), heads=np.int64(2))
    assert gcn(torch.randn(N, C), graph_size=np.int64(N)).shape == (N, D)
    assert AffinityConv(np.int64(C), np.int64(D), np.int64(1)).lin.weight.shape == (1, D, C)


@pytest.mark.parametrize("kind", [AffinityGCN, DenseAffinityGCN])
@pytest.mark.parametrize("frames", [None, 2])
@pytest.mark.parametrize("heads", [1, 2])
def test_a_width_of_minus_one_is_taken_from_the_first_batch(kind, frames, heads):
    def build(width):
        torch.manual_seed(0)
        return kind(width, D, 2, num_frames=frames, heads=heads)

    x = torch.randn(2 * N, C)
    x, options = (x.view(2, N, C), {}) if kind is DenseAffinityGCN else (x, {"graph_size": N})
    lazy, known = build(-1), build(C)
    assert lazy.in_channels == lazy.affinity.in_channels == -1
    assert "-1" in repr(lazy)
    lazy.reset_parameters()
    untouched = copy.deepcopy(lazy)
    out = lazy(x, **options)
    assert out.shape[-1] == D
    assert lazy.in_channels == lazy.affinity.in_channels == C
    assert repr(lazy) == repr(known)
    assert not any(map(is_lazy, lazy.parameters()))
    assert [p.shape for p in lazy.parameters()] == [p.shape for p in known.parameters()]
    # A lazy stack that has seen no batch loads the parameters of one that has.
    file = io.BytesIO()
    torch.save(known.state_dict(), file)
    file.seek(0)
    untouched.load_state_dict(torch.load(file))
    assert untouched.in_channels == untouched.affinity.in_channels == C
    with pytest.raises(ValueError, match=r"x must be \[nodes, 6\]"):
        untouched(x[..., :4], **options)
    torch.testing.assert_close(untouched(x, **options), known(x, **options))
    assert repr(untouched) == repr(known)
    with pytest.raises(ValueError, match=r"x must be \[nodes, 6\]"):
        lazy(x[..., :4], **options)


def test_a_lazy_width_that_the_heads_do_not_divide_is_named():
    with pytest.raises(ValueError, match=r"has 5 channels, no multiple of heads=2"):
        AffinityGCN(-1, D, 1, heads=2)(torch.randn(N, 5))
