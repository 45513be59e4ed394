"""The layers against the literal formulas of the paper, in float64 and plain loops."""

import copy
import pickle
import subprocess
import sys

import pytest
import torch
from by_the_book import affinity_by_the_book, gcn_by_the_book, renormalized_by_the_book
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GCNConv, MessagePassing

from stgcn_pyg.layers import (
    AffinityConv,
    AffinityGCN,
    FrameLinear,
    SquaredAffinity,
    complete_graphs,
    patch_nodes,
    renormalize,
    renormalize_edges,
    spatial_graphs,
    squared_affinity,
    temporal_graphs,
)

GRAPHS, NODES, CHANNELS = 3, 5, 7


def random_nodes(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def test_affinity_is_equation_2_and_3():
    h = random_nodes(NODES, CHANNELS)
    torch.testing.assert_close(squared_affinity(h), affinity_by_the_book(h))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 12), st.floats(1e-3, 1e3))
def test_rows_of_the_affinity_are_shares(graphs, nodes, channels, scale):
    a = squared_affinity(scale * torch.randn(graphs, nodes, channels, dtype=torch.float64))
    assert a.min() >= 0
    assert a.max() <= 1 + 1e-12
    torch.testing.assert_close(a.sum(dim=-1), torch.ones(graphs, nodes, dtype=torch.float64))


def test_renormalize_is_equation_4():
    a = torch.rand(GRAPHS, NODES, NODES, dtype=torch.float64)
    expected = torch.stack([renormalized_by_the_book(graph) for graph in a])
    torch.testing.assert_close(renormalize(a), expected)


def test_renormalized_affinity_is_half_way_to_the_identity():
    a = squared_affinity(random_nodes(GRAPHS, NODES, CHANNELS))
    torch.testing.assert_close(renormalize(a), (a + torch.eye(NODES)) / 2)


def test_renormalize_edges_agrees_with_blocks():
    a = torch.rand(GRAPHS, NODES, NODES, dtype=torch.float64)
    edge_index = complete_graphs(GRAPHS, NODES)
    edges, weights = renormalize_edges(edge_index, a.flatten(), GRAPHS * NODES)
    dense = torch.zeros(GRAPHS * NODES, GRAPHS * NODES, dtype=torch.float64)
    dense.index_put_((edges[1], edges[0]), weights, accumulate=True)
    torch.testing.assert_close(dense, torch.block_diag(*renormalize(a)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_does_not_overflow_at_2048_channels(dtype):
    h = (3 * torch.randn(8, 2048)).to(dtype)
    a = squared_affinity(h)
    assert a.isfinite().all()
    torch.testing.assert_close(a.float().sum(dim=1), torch.ones(8), atol=0.02, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("graph_size", [None, 4])
def test_a_node_of_zeros_gives_finite_values_and_gradients(dtype, graph_size):
    x = torch.randn(8, CHANNELS).to(dtype)
    x[2] = 0
    x.requires_grad_()
    affinity = SquaredAffinity(CHANNELS).to(dtype)
    a = affinity(x, complete_graphs(2, 4), graph_size)
    a.float().square().sum().backward()
    assert a.isfinite().all()
    assert x.grad.isfinite().all()
    assert affinity.phi.weight.grad.isfinite().all()


def test_complete_graphs_lists_edges_in_the_order_of_blocks():
    source, target = complete_graphs(GRAPHS, NODES)
    blocks = random_nodes(GRAPHS, NODES, NODES)
    dense = torch.zeros(GRAPHS * NODES, GRAPHS * NODES, dtype=torch.float64)
    dense[target, source] = blocks.flatten()
    torch.testing.assert_close(dense, torch.block_diag(*blocks))


def test_row_i_gathers_from_j():
    conv = AffinityConv(1, 1)
    torch.nn.init.ones_(conv.lin.weight)
    x = torch.tensor([[1.0], [10.0]])
    only_0_gathers = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]])
    edge_index = complete_graphs(1, 2)
    expected = torch.tensor([[10.0], [0.0]])
    torch.testing.assert_close(conv(x, edge_index, only_0_gathers, graph_size=2), expected)
    torch.testing.assert_close(conv(x, edge_index, only_0_gathers.flatten()), expected)


@pytest.mark.parametrize("graph_size", [None, NODES])
@pytest.mark.parametrize("propagation", ["gcn", "fc"])
def test_stack_is_equation_5_and_6(graph_size, propagation):
    gcn = AffinityGCN(CHANNELS, 6, num_layers=3, propagation=propagation).double()
    for norm in gcn.norms:
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    x = random_nodes(GRAPHS * NODES, CHANNELS)
    out = gcn(x, complete_graphs(GRAPHS, NODES), graph_size)
    torch.testing.assert_close(out, gcn_by_the_book(gcn, x, NODES))


@pytest.mark.parametrize("propagation", ["gcn", "fc"])
def test_stack_with_weights_by_frame_is_equation_7(propagation):
    frames = 3
    gcn = AffinityGCN(CHANNELS, 6, 2, propagation, num_frames=frames).double()
    x = random_nodes(2 * frames * NODES, CHANNELS)
    out = gcn(x, complete_graphs(2 * frames, NODES), NODES)
    torch.testing.assert_close(out, gcn_by_the_book(gcn, x, NODES, frames))


def test_shortcut_can_be_left_out_and_waits_for_equal_widths():
    x, edges = random_nodes(NODES, CHANNELS), complete_graphs(1, NODES)
    wide = AffinityGCN(CHANNELS, 6, num_layers=2, out_channels=4).double()
    torch.testing.assert_close(wide(x, edges, NODES), gcn_by_the_book(wide, x, NODES))
    plain = AffinityGCN(CHANNELS, 6, num_layers=2, shortcut=False).double()
    with_shortcut = gcn_by_the_book(plain, x, NODES)
    assert not torch.allclose(plain(x, edges, NODES), with_shortcut)


@settings(max_examples=25, deadline=None)
@given(
    graphs=st.integers(1, 4),
    nodes=st.integers(1, 6),
    channels=st.integers(1, 8),
    seed=st.integers(0, 2**16),
)
def test_blocks_and_edges_give_the_same_values_and_gradients(graphs, nodes, channels, seed):
    torch.manual_seed(seed)
    gcn = AffinityGCN(channels, 5, num_layers=2).double()
    edge_index = complete_graphs(graphs, nodes)
    shuffled = edge_index[:, torch.randperm(edge_index.size(1))]
    results = []
    x = random_nodes(graphs * nodes, channels).requires_grad_()
    for edges, graph_size in ((edge_index, nodes), (edge_index, None), (shuffled, None)):
        out = gcn(x, edges, graph_size)
        grads = torch.autograd.grad(out.square().sum(), [x, *gcn.parameters()])
        results.append([out, *grads])
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-8, atol=1e-10)


def test_gradcheck_passes_for_the_whole_stack():
    gcn = AffinityGCN(3, 4, num_layers=2).double()
    edges = complete_graphs(2, 3)
    x = random_nodes(6, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: gcn(x, edges, 3), x)
    assert torch.autograd.gradcheck(lambda x: gcn(x, edges), x)


def test_convolution_equals_pygs_gcn_conv_fed_the_same_weights():
    conv = AffinityConv(CHANNELS, 4)
    oracle = GCNConv(CHANNELS, 4, normalize=False, bias=False)
    oracle.lin.weight = conv.lin.weight
    x, edges = torch.randn(GRAPHS * NODES, CHANNELS), complete_graphs(GRAPHS, NODES)
    blocks = torch.rand(GRAPHS, NODES, NODES)
    expected = oracle(x, edges, blocks.flatten())
    torch.testing.assert_close(conv(x, edges, blocks.flatten()), expected)
    torch.testing.assert_close(conv(x, edges, blocks, NODES), expected)


def test_permuting_a_graphs_nodes_permutes_the_output():
    gcn = AffinityGCN(CHANNELS, 6, num_layers=3).double()
    x, order = random_nodes(NODES, CHANNELS), torch.randperm(NODES)
    edges = complete_graphs(1, NODES)
    torch.testing.assert_close(gcn(x[order], edges, NODES), gcn(x, edges, NODES)[order])


def test_graphs_of_a_batch_do_not_influence_each_other():
    gcn = AffinityGCN(CHANNELS, 6, num_layers=3).double()
    x, edges = random_nodes(2 * NODES, CHANNELS), complete_graphs(2, NODES)
    other = x.clone()
    other[NODES:] = random_nodes(NODES, CHANNELS)
    for graph_size in (None, NODES):
        before, after = gcn(x, edges, graph_size), gcn(other, edges, graph_size)
        torch.testing.assert_close(before[:NODES], after[:NODES])
        assert not torch.allclose(before[NODES:], after[NODES:])


@pytest.mark.parametrize("graph_size", [None, NODES])
def test_an_empty_batch_works(graph_size):
    gcn = AffinityGCN(CHANNELS, 6, num_layers=2)
    out = gcn(torch.zeros(0, CHANNELS), torch.zeros(2, 0, dtype=torch.long), graph_size)
    assert out.shape == (0, 6)


def test_blocks_make_no_tensor_of_edges_by_channels():
    gcn = AffinityGCN(64, 64, num_layers=2)
    graphs, nodes = 4, 16
    x = torch.randn(graphs * nodes, 64, requires_grad=True)
    largest = {}
    for graph_size in (None, nodes):
        sizes = []

        def pack(tensor, sizes=sizes):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            gcn(x, complete_graphs(graphs, nodes), graph_size)
        largest[graph_size] = max(sizes)
    assert largest[None] >= graphs * nodes * nodes * 64
    assert largest[nodes] <= max(graphs * nodes * 64, 64 * 64, graphs * nodes * nodes)


def test_patches_are_the_means_of_horizontal_bands():
    maps = torch.randn(2, 3, 8, 4)
    nodes = patch_nodes(maps, num_patches=4)
    assert nodes.shape == (2, 4, 3)
    for frame in range(2):
        for patch in range(4):
            band = maps[frame, :, 2 * patch : 2 * patch + 2]
            torch.testing.assert_close(nodes[frame, patch], band.mean(dim=(1, 2)))


def one_by_one(x, graph_size):
    edges = complete_graphs(1, graph_size)
    return Batch.from_data_list([Data(x=g, edge_index=edges) for g in x.split(graph_size)])


@pytest.mark.parametrize(("kind", "graph_size"), [("temporal", 12), ("spatial", 4)])
def test_batches_are_those_of_from_data_list(kind, graph_size):
    nodes = torch.randn(2 * 3, 4, CHANNELS)
    batch = temporal_graphs(nodes, num_frames=3) if kind == "temporal" else spatial_graphs(nodes)
    expected = one_by_one(nodes.flatten(0, 1), graph_size)
    assert batch.num_graphs == expected.num_graphs
    for key in ("x", "batch", "ptr"):
        assert torch.equal(batch[key], expected[key])
    pairs = [sorted(map(tuple, b.edge_index.T.tolist())) for b in (batch, expected)]
    assert pairs[0] == pairs[1]
    for got, want in zip(batch.to_data_list(), expected.to_data_list(), strict=True):
        assert torch.equal(got.x, want.x)
        assert torch.equal(got.edge_index, want.edge_index)


def test_frame_linear_applies_each_frames_own_map():
    lin = FrameLinear(num_frames=3, in_channels=4, out_channels=2)
    x = torch.randn(2 * 3 * 5, 4)
    expected = [lin.weight[(row // 5) % 3] @ x[row] for row in range(len(x))]
    torch.testing.assert_close(lin(x, graph_size=5), torch.stack(expected))


def test_a_message_hook_is_called_and_changes_nothing_in_blocks():
    conv = AffinityConv(CHANNELS, 4)
    x, edges = torch.randn(GRAPHS * NODES, CHANNELS), complete_graphs(GRAPHS, NODES)
    blocks = torch.rand(GRAPHS, NODES, NODES)
    before = conv(x, edges, blocks, NODES)
    seen = []
    conv.register_message_forward_hook(lambda module, inputs, out: seen.append(out.shape))
    torch.testing.assert_close(conv(x, edges, blocks, NODES), before)
    assert seen == [(GRAPHS * NODES * NODES, 4)]


def test_an_edge_hook_on_the_affinity_still_gives_blocks():
    affinity = SquaredAffinity(CHANNELS)
    edges = complete_graphs(GRAPHS, NODES)[:, torch.randperm(GRAPHS * NODES * NODES)]
    x = torch.randn(GRAPHS * NODES, CHANNELS)
    before = affinity(x, edges, NODES)
    affinity.register_edge_update_forward_hook(lambda module, inputs, out: None)
    torch.testing.assert_close(affinity(x, edges, NODES), before)


def test_layers_pickle_copy_and_load_their_state():
    gcn = AffinityGCN(CHANNELS, 6, num_layers=2, num_frames=2)
    x, edges = torch.randn(4 * NODES, CHANNELS), complete_graphs(4, NODES)
    fresh = AffinityGCN(CHANNELS, 6, num_layers=2, num_frames=2)
    fresh.load_state_dict(gcn.state_dict())
    for other in (copy.deepcopy(gcn), pickle.loads(pickle.dumps(gcn)), fresh):
        assert torch.equal(other(x, edges, NODES), gcn(x, edges, NODES))
    fresh.reset_parameters()
    assert not torch.equal(fresh.convs[0].lin.weight, gcn.convs[0].lin.weight)
    assert not torch.equal(fresh.affinity.phi.weight, gcn.affinity.phi.weight)
    assert isinstance(gcn.affinity, MessagePassing)
    assert isinstance(gcn.convs[0], MessagePassing)


def test_importing_the_layers_imports_no_large_library_that_pyg_does_not():
    code = "import sys, {}; print([m for m in sys.argv[1:] if m in sys.modules])"
    loaded = []
    for modules in ("torch_geometric.nn, torch_geometric.data", "stgcn_pyg.layers"):
        command = [sys.executable, "-c", code.format(modules), "lightning", "torchvision", "pandas"]
        loaded.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert "lightning" not in loaded[1]
    assert "torchvision" not in loaded[1]
    assert loaded[1] == loaded[0]


X = torch.zeros(6, CHANNELS)
EDGES = complete_graphs(2, 3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: SquaredAffinity(CHANNELS)(X, EDGES, 4), "graph_size=4"),
        (lambda: SquaredAffinity(3)(X, EDGES), r"x must be \[nodes, 3\], got \(6, 7\)"),
        (lambda: SquaredAffinity(CHANNELS)(X.long(), EDGES), "floating point"),
        (lambda: SquaredAffinity(CHANNELS)(X, EDGES + 1), "edge_index points at node 6"),
        (lambda: SquaredAffinity(CHANNELS)(X, EDGES[0]), r"edge_index must be \[2, edges\]"),
        (lambda: SquaredAffinity(CHANNELS)(X, EDGES[:, :4], 3), "18 edges"),
        (
            lambda: AffinityConv(CHANNELS, 2)(X, EDGES, torch.ones(5)),
            r"edge_weight must be \(18,\)",
        ),
        (lambda: AffinityConv(CHANNELS, 2, 4)(X, EDGES, torch.ones(2, 3, 3), 3), "num_frames=4"),
        (lambda: AffinityConv(CHANNELS, 2, 2)(X, EDGES, torch.ones(18)), "graph_size"),
        (lambda: AffinityGCN(CHANNELS, 2, 0), "num_layers must be at least 1"),
        (lambda: AffinityGCN(CHANNELS, 2, 1, propagation="cnn"), "propagation must be"),
        (lambda: patch_nodes(torch.zeros(2, 3, 4, 4), 5), r"num_patches must lie in 1\.\.4"),
        (lambda: patch_nodes(torch.zeros(2, 3, 4), 2), "feature_maps must be"),
        (lambda: temporal_graphs(torch.zeros(5, 4, 2), 2), "num_frames=2"),
        (lambda: spatial_graphs(torch.zeros(5, 4)), "nodes must be"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
