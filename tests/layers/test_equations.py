"""The layers against the literal formulas of the paper, in float64 and plain loops."""

import pytest
import torch
from by_the_book import (
    affinity_by_the_book,
    gcn_by_the_book,
    joined_by,
    renormalized_by_the_book,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.nn import GCNConv

from stgcn_pyg.layers import (
    AffinityConv,
    AffinityGCN,
    CosineAffinity,
    DenseAffinityGCN,
    PerFrameLinear,
    SoftmaxAffinity,
    SquaredAffinity,
    complete_edges,
    cosine_affinity,
    renormalize,
    renormalize_edges,
    softmax_affinity,
    squared_affinity,
)
from stgcn_pyg.layers.functional import renormalized_rows

GRAPHS, NODES, CHANNELS = 3, 5, 7
KINDS = ("squared", "softmax", "cosine")
FUNCTIONS = {
    "squared": squared_affinity,
    "softmax": softmax_affinity,
    "cosine": cosine_affinity,
}
LAYERS = {"squared": SquaredAffinity, "softmax": SoftmaxAffinity, "cosine": CosineAffinity}


def random_nodes(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_affinity_is_its_formula(kind):
    h = random_nodes(NODES, CHANNELS)
    torch.testing.assert_close(FUNCTIONS[kind](h), affinity_by_the_book(h, kind=kind))


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(1, 4),
    st.integers(1, 9),
    st.integers(1, 12),
    st.floats(1e-3, 1e3),
)
def test_rows_of_the_affinity_are_shares(kind, graphs, nodes, channels, scale):
    a = FUNCTIONS[kind](scale * random_nodes(graphs, nodes, channels))
    assert a.min() >= 0
    assert a.max() <= 1 + 1e-12
    torch.testing.assert_close(a.sum(dim=-1), torch.ones(graphs, nodes, dtype=torch.float64))


def test_softmax_leaves_out_nodes_that_are_not_there():
    h = random_nodes(GRAPHS, NODES, CHANNELS)
    present = torch.ones(GRAPHS, NODES, dtype=torch.bool)
    present[1, 3:] = False
    a = softmax_affinity(h, present)
    torch.testing.assert_close(a[1, :3, :3], affinity_by_the_book(h[1, :3], kind="softmax"))
    torch.testing.assert_close(a[0], affinity_by_the_book(h[0], kind="softmax"))
    assert (a[1, :, 3:] == 0).all()


def test_renormalize_is_equation_4():
    a = torch.rand(GRAPHS, NODES, NODES, dtype=torch.float64)
    expected = torch.stack([renormalized_by_the_book(graph) for graph in a])
    torch.testing.assert_close(renormalize(a), expected)


def test_renormalized_affinity_is_half_way_to_the_identity():
    a = squared_affinity(random_nodes(GRAPHS, NODES, CHANNELS))
    torch.testing.assert_close(renormalize(a), (a + torch.eye(NODES)) / 2)


def test_the_degree_of_an_affinity_needs_no_gradient():
    h = random_nodes(GRAPHS, NODES, CHANNELS).requires_grad_()
    probe = random_nodes(GRAPHS, NODES, NODES)
    results = [
        (out := function(squared_affinity(h)), *torch.autograd.grad((out * probe).sum(), h))
        for function in (renormalize, renormalized_rows)
    ]
    torch.testing.assert_close(results[0], results[1])


def test_renormalize_edges_agrees_with_blocks():
    a = torch.rand(GRAPHS, NODES, NODES, dtype=torch.float64)
    edge_index = complete_edges(GRAPHS, NODES)
    edges, weights = renormalize_edges(edge_index, a.flatten(), GRAPHS * NODES)
    dense = torch.zeros(GRAPHS * NODES, GRAPHS * NODES, dtype=torch.float64)
    dense.index_put_((edges[1], edges[0]), weights, accumulate=True)
    torch.testing.assert_close(dense, torch.block_diag(*renormalize(a)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [1, 30])
def test_half_precision_does_not_overflow_at_2048_channels(kind, dtype, scale):
    layer = LAYERS[kind](2048).to(dtype)
    torch.nn.init.eye_(layer.phi.weight)
    x, edges = (scale * torch.randn(8, 2048)).to(dtype), complete_edges(1, 8)
    for a in (layer(x, edges, graph_size=8)[0], layer(x, edges).view(8, 8)):
        assert a.isfinite().all()
        torch.testing.assert_close(a.float().sum(dim=1), torch.ones(8), atol=0.02, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("route", ["edges", "equal", "ragged"])
def test_a_node_of_zeros_gives_finite_values_and_gradients(kind, dtype, route):
    x = torch.randn(8, CHANNELS).to(dtype)
    x[2] = 0
    x.requires_grad_()
    gcn = AffinityGCN(CHANNELS, CHANNELS, 2, affinity=kind).to(dtype)
    promise = {"edges": {}, "equal": {"graph_size": 4}, "ragged": {"ptr": torch.tensor([0, 4, 8])}}
    out, (_, a) = gcn(x, complete_edges(2, 4), **promise[route], return_attention_weights=True)
    (out.float().square().sum() + a.float().square().sum()).backward()
    for values in (out, a, x.grad, *(p.grad for p in gcn.parameters())):
        assert values.isfinite().all()


def test_row_i_gathers_from_j():
    conv = AffinityConv(1, 1)
    torch.nn.init.ones_(conv.lin.weight)
    x = torch.tensor([[1.0], [10.0]])
    only_0_gathers = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]])
    edge_index = complete_edges(1, 2)
    expected = torch.tensor([[10.0], [0.0]])
    torch.testing.assert_close(conv(x, edge_index, only_0_gathers, graph_size=2), expected)
    torch.testing.assert_close(conv(x, edge_index, only_0_gathers.flatten()), expected)
    ptr = torch.tensor([0, 2])
    torch.testing.assert_close(conv(x, edge_index, only_0_gathers.flatten(), ptr=ptr), expected)


@pytest.mark.parametrize("graph_size", [None, NODES])
@pytest.mark.parametrize("kind", KINDS)
def test_stack_is_equation_5_and_6(graph_size, kind):
    gcn = AffinityGCN(CHANNELS, 6, 3, affinity=kind).double()
    for norm in gcn.norms:
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    x, edges = random_nodes(GRAPHS * NODES, CHANNELS), complete_edges(GRAPHS, NODES)
    expected = gcn_by_the_book(gcn, x, joined_by(edges, len(x)), kind=kind)
    torch.testing.assert_close(gcn(x, edges, graph_size=graph_size), expected)


def test_stack_with_weights_by_frame_is_equation_7():
    frames = 3
    gcn = AffinityGCN(CHANNELS, 6, 2, num_frames=frames).double()
    x = random_nodes(2 * frames * NODES, CHANNELS)
    edges = complete_edges(2 * frames, NODES)
    position = torch.arange(frames).repeat_interleave(NODES).repeat(2)
    expected = gcn_by_the_book(gcn, x, joined_by(edges, len(x)), position)
    torch.testing.assert_close(gcn(x, edges, graph_size=NODES), expected)


def test_the_residual_can_be_left_out_and_waits_for_equal_widths():
    x, edges = random_nodes(NODES, CHANNELS), complete_edges(1, NODES)
    joined = joined_by(edges, NODES)
    wide = AffinityGCN(CHANNELS, 6, num_layers=2, out_channels=4).double()
    torch.testing.assert_close(wide(x, edges, graph_size=NODES), gcn_by_the_book(wide, x, joined))
    plain = AffinityGCN(CHANNELS, 6, num_layers=2, residual=False).double()
    first = AffinityGCN(CHANNELS, 6, num_layers=1).double()
    first.load_state_dict(plain.state_dict(), strict=False)
    with_residual = gcn_by_the_book(plain, x, joined)
    torch.testing.assert_close(
        plain(x, edges, graph_size=NODES), with_residual - gcn_by_the_book(first, x, joined)
    )


def test_gradcheck_passes_for_the_whole_stack():
    gcn = AffinityGCN(3, 4, num_layers=2).double()
    edges, ptr = complete_edges(2, 3), torch.tensor([0, 3, 6])
    x = random_nodes(6, 3).requires_grad_()
    for promise in ({"graph_size": 3}, {"ptr": ptr}, {}):
        assert torch.autograd.gradcheck(lambda x, p=promise: gcn(x, edges, **p), x)


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives_are_right_where_nodes_are_padded_or_zero(kind):
    gcn = AffinityGCN(3, 4, 1, affinity=kind, act="tanh").double().requires_grad_(False)
    dense = DenseAffinityGCN(3, 4, 1, affinity=kind, act="tanh").double()
    dense.load_state_dict(gcn.state_dict())
    x = random_nodes(5, 3).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: gcn(x, ptr=torch.tensor([0, 2, 5])), x)
    x = random_nodes(2, 3, 3)
    x[1, 0] = 0
    x.requires_grad_()
    mask = torch.tensor([[True, True, False], [True, True, True]])
    (slope,) = torch.autograd.grad(dense(x, mask).square().sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert x.grad.isfinite().all() and dense.affinity.phi.weight.grad.isfinite().all()


@pytest.mark.parametrize("kind", ["squared", "cosine"])
@pytest.mark.parametrize("scale", [1e-15, 1e15])
def test_shares_do_not_depend_on_the_scale_of_the_features(kind, scale):
    layer, x, edges = LAYERS[kind](CHANNELS), torch.randn(6, CHANNELS), complete_edges(2, 3)
    expected = layer(x, graph_size=3)
    torch.testing.assert_close(layer(scale * x, graph_size=3), expected)
    torch.testing.assert_close(layer(scale * x, edges).view(2, 3, 3), expected)


def test_convolution_equals_pygs_gcn_conv_fed_the_same_weights():
    conv = AffinityConv(CHANNELS, 4)
    oracle = GCNConv(CHANNELS, 4, normalize=False, bias=False)
    oracle.lin.weight = conv.lin.weight
    x, edges = torch.randn(GRAPHS * NODES, CHANNELS), complete_edges(GRAPHS, NODES)
    blocks = torch.rand(GRAPHS, NODES, NODES)
    expected = oracle(x, edges, blocks.flatten())
    ptr = torch.arange(GRAPHS + 1) * NODES
    torch.testing.assert_close(conv(x, edges, blocks.flatten()), expected)
    torch.testing.assert_close(conv(x, edges, blocks, graph_size=NODES), expected)
    torch.testing.assert_close(conv(x, edges, blocks.flatten(), ptr=ptr), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_permuting_a_graphs_nodes_permutes_the_output(kind):
    gcn = AffinityGCN(CHANNELS, 6, num_layers=3, affinity=kind).double()
    x, order = random_nodes(NODES, CHANNELS), torch.randperm(NODES)
    edges = complete_edges(1, NODES)
    expected = gcn(x, edges, graph_size=NODES)[order]
    torch.testing.assert_close(gcn(x[order], edges, graph_size=NODES), expected)


def test_frame_linear_applies_each_frames_own_map():
    lin = PerFrameLinear(num_frames=3, in_channels=4, out_channels=2)
    x = torch.randn(2 * 3 * 5, 4)
    expected = [lin.weight[(row // 5) % 3] @ x[row] for row in range(len(x))]
    torch.testing.assert_close(lin(x, graph_size=5), torch.stack(expected))


@settings(max_examples=30, deadline=None)
@given(videos=st.integers(0, 4), frames=st.integers(1, 4), data=st.data())
def test_frame_linear_knows_the_frames_of_ragged_graphs(videos, frames, data):
    sizes = data.draw(
        st.lists(st.integers(0, 5), min_size=videos * frames, max_size=videos * frames)
    )
    lin = PerFrameLinear(frames, in_channels=4, out_channels=2)
    x = torch.randn(sum(sizes), 4)
    position = [g % frames for g, size in enumerate(sizes) for _ in range(size)]
    expected = [lin.weight[t] @ row for t, row in zip(position, x, strict=True)]
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    out = lin(x, ptr=ptr)
    torch.testing.assert_close(out, torch.stack(expected) if expected else x[:, :2])
