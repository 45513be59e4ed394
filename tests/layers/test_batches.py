"""One layer, three kinds of batch, one answer."""

import pytest
import torch
from by_the_book import gcn_by_the_book, joined_by
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data

from stgcn_pyg.layers import (
    AffinityConv,
    AffinityGCN,
    complete_edges,
    patch_nodes,
    pool_graphs,
    ragged_edges,
    spatial_graphs,
    temporal_graphs,
    window_edges,
)
from stgcn_pyg.layers.blocks import PaddedBlocks

CHANNELS = 7
KINDS = st.sampled_from(["squared", "softmax", "cosine"])
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def assert_agree(results, expected):
    """To the tolerance of their type, in units of each tensor's largest number."""
    for result, want in zip(results, expected, strict=True):
        unit = max(1.0, float(want.detach().abs().max()))
        torch.testing.assert_close(result, want, rtol=0, atol=TOLERANCE[want.dtype] * unit)


def values_and_gradients(gcn, x, edge_index, probe, **promise):
    out = gcn(x, edge_index, **promise)
    return [out, *torch.autograd.grad((out * probe).sum(), [x, *gcn.parameters()])]


@settings(max_examples=40, deadline=None)
@given(
    kind=KINDS,
    dtype=st.sampled_from([torch.float32, torch.float64]),
    graphs=st.integers(1, 4),
    nodes=st.integers(1, 6),
    channels=st.integers(2, 8),
    seed=st.integers(0, 2**16),
)
def test_equal_graphs_in_blocks_ragged_blocks_and_edges(kind, dtype, graphs, nodes, channels, seed):
    torch.manual_seed(seed)
    gcn = AffinityGCN(channels, 5, num_layers=2, affinity=kind).to(dtype)
    edge_index = complete_edges(graphs, nodes)
    shuffled = edge_index[:, torch.randperm(edge_index.size(1))]
    x = torch.randn(graphs * nodes, channels, dtype=dtype).requires_grad_()
    probe = torch.randn(graphs * nodes, 5, dtype=dtype)
    ptr = torch.arange(graphs + 1) * nodes
    batch = torch.arange(graphs).repeat_interleave(nodes)
    expected = values_and_gradients(gcn, x, edge_index, probe, graph_size=nodes)
    for edges in (edge_index, shuffled):
        for promise in ({}, {"ptr": ptr}, {"batch": batch}, {"batch": batch, "ptr": ptr}):
            results = values_and_gradients(gcn, x, edges, probe, **promise)
            assert_agree(results, expected)


@settings(max_examples=60, deadline=None)
@given(
    kind=KINDS,
    dtype=st.sampled_from([torch.float32, torch.float64]),
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any),
    worth=st.sampled_from([0, 16, 2**14]),
    seed=st.integers(0, 2**16),
)
def test_ragged_graphs_in_blocks_and_by_edges(kind, dtype, sizes, worth, seed):
    torch.manual_seed(seed)
    gcn = AffinityGCN(CHANNELS, 5, num_layers=2, affinity=kind).to(dtype)
    edge_index = ragged_edges(sizes)
    edge_index = edge_index[:, torch.randperm(edge_index.size(1))]
    x = torch.randn(sum(sizes), CHANNELS, dtype=dtype).requires_grad_()
    probe = torch.randn(sum(sizes), 5, dtype=dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stgcn_pyg.layers.blocks.WORTH_A_STACK", worth)
        ptr = torch.tensor([0, *sizes]).cumsum(0)
        results = values_and_gradients(gcn, x, edge_index, probe, ptr=ptr)
    expected = values_and_gradients(gcn, x, edge_index, probe)
    assert_agree(results, expected)
    if dtype == torch.float64:
        joined = joined_by(edge_index, len(x))
        torch.testing.assert_close(results[0], gcn_by_the_book(gcn, x, joined, kind=kind))


@settings(max_examples=40, deadline=None)
@given(kind=KINDS, nodes=st.integers(1, 12), edges=st.integers(0, 40), seed=st.integers(0, 2**16))
def test_any_edges_are_the_formula_restricted_to_them(kind, nodes, edges, seed):
    torch.manual_seed(seed)
    gcn = AffinityGCN(CHANNELS, 5, num_layers=2, affinity=kind).double()
    x = torch.randn(nodes, CHANNELS, dtype=torch.float64)
    edge_index = torch.randint(nodes, (2, edges)).unique(dim=1)
    edge_index = edge_index[:, torch.randperm(edge_index.size(1))]
    expected = gcn_by_the_book(gcn, x, joined_by(edge_index, nodes), kind=kind)
    torch.testing.assert_close(gcn(x, edge_index), expected)
    batch = torch.zeros(nodes, dtype=torch.long)  # one graph: not complete unless it is
    torch.testing.assert_close(gcn(x, edge_index, batch=batch), expected)


@settings(max_examples=40, deadline=None)
@given(
    videos=st.integers(1, 3),
    frames=st.integers(1, 3),
    data=st.data(),
)
def test_weights_by_frame_over_frames_of_different_sizes(videos, frames, data):
    count = videos * frames
    sizes = data.draw(st.lists(st.integers(0, 5), min_size=count, max_size=count).filter(any))
    gcn = AffinityGCN(CHANNELS, 5, 2, num_frames=frames).double()
    x, edges = torch.randn(sum(sizes), CHANNELS, dtype=torch.float64), ragged_edges(sizes)
    position = [g % frames for g, size in enumerate(sizes) for _ in range(size)]
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    expected = gcn_by_the_book(gcn, x, joined_by(edges, len(x)), position)
    torch.testing.assert_close(gcn(x, edges, ptr=ptr), expected)
    loops = edges[:, edges[0] == edges[1]]
    expected = gcn_by_the_book(gcn, x, joined_by(loops, len(x)), position)
    torch.testing.assert_close(gcn(x, loops, ptr=ptr), expected)


@pytest.mark.parametrize(
    "edges",
    [
        [[0, 0, 1, 1, 2, 2, 3, 3], [1, 1, 0, 0, 3, 3, 2, 2]],  # each edge twice
        [[0, 1, 0, 1, 2, 3, 2, 0], [0, 0, 1, 1, 2, 2, 3, 3]],  # one from the other graph
        [[0, 1, 0, 2, 3, 2, 3, 1], [0, 0, 1, 2, 2, 3, 3, 2]],  # the same, at the block's border
    ],
)
def test_as_many_edges_as_complete_graphs_have_do_not_make_them_complete(edges):
    gcn, x, edges = (
        AffinityGCN(CHANNELS, 5, num_layers=2),
        torch.randn(4, CHANNELS),
        torch.tensor(edges),
    )
    ptr = torch.tensor([0, 2, 4])
    torch.testing.assert_close(gcn(x, edges, ptr=ptr), gcn(x, edges))


@pytest.mark.parametrize("route", ["edges", "equal", "ragged"])
def test_graphs_of_a_batch_do_not_influence_each_other(route):
    gcn = AffinityGCN(CHANNELS, 6, num_layers=3).double()
    x, edges = torch.randn(10, CHANNELS, dtype=torch.float64), complete_edges(2, 5)
    other = x.clone()
    other[5:] = torch.randn(5, CHANNELS, dtype=torch.float64)
    promise = {"edges": {}, "equal": {"graph_size": 5}, "ragged": {"ptr": torch.tensor([0, 5, 10])}}
    before, after = gcn(x, edges, **promise[route]), gcn(other, edges, **promise[route])
    torch.testing.assert_close(before[:5], after[:5])
    assert not torch.allclose(before[5:], after[5:])


PROMISES = [{"graph_size": 5}, {"ptr": torch.tensor([0])}, {"ptr": torch.tensor([0, 0])}]


@pytest.mark.parametrize(
    ("num_frames", "promise"),
    [(None, {}), *((frames, promise) for frames in (None, 1) for promise in PROMISES)],
)
def test_an_empty_batch_works(promise, num_frames):
    gcn = AffinityGCN(CHANNELS, 6, 2, num_frames=num_frames)
    out = gcn(torch.zeros(0, CHANNELS), torch.zeros(2, 0, dtype=torch.long), **promise)
    assert out.shape == (0, 6)


@pytest.mark.parametrize("sizes", [[], [0], [0, 0]])
@pytest.mark.parametrize("edges", ["none", "made", "empty"])
@pytest.mark.parametrize("told", ["ptr", "batch"])
def test_a_batch_without_nodes_works(sizes, edges, told):
    gcn, x = AffinityGCN(CHANNELS, 6, 2), torch.zeros(0, CHANNELS, requires_grad=True)
    of_nodes = torch.zeros(0, dtype=torch.long)
    given = {"none": None, "made": ragged_edges(sizes), "empty": torch.zeros(2, 0).long()}[edges]
    graphs = {"batch": of_nodes, "batch_size": len(sizes)}
    if told == "ptr":
        graphs = {"ptr": torch.zeros(len(sizes) + 1, dtype=torch.long)}
    out, (edge_index, alpha) = gcn(x, given, **graphs, return_attention_weights=True)
    assert out.shape == (0, 6)
    assert edge_index.shape == (2, 0)
    assert alpha.shape == (0,)
    pooled = pool_graphs(out, **graphs)
    assert torch.equal(pooled, torch.zeros(len(sizes), 6))
    pooled.sum().backward()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=50).filter(any))
def test_no_graph_is_padded_to_twice_its_size_where_it_matters(sizes):
    ptr, sizes = torch.tensor([0, *sizes]).cumsum(0), torch.tensor(sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stgcn_pyg.layers.blocks.WORTH_A_STACK", 0)
        stacks = PaddedBlocks(int(sizes.sum()), ptr.device, ptr).stacks
    assert sum(count for count, _ in stacks) == len(sizes)
    assert sizes.sum() <= sum(count * width for count, width in stacks) <= 2 * sizes.sum()
    stacks = PaddedBlocks(int(sizes.sum()), ptr.device, ptr).stacks
    entries = sum(count * width**2 for count, width in stacks)
    assert entries <= 4 * sizes.square().sum() + 2**14 * len(stacks)


@pytest.mark.parametrize("route", ["equal", "ragged"])
def test_blocks_make_no_tensor_of_edges_by_channels(route):
    gcn = AffinityGCN(64, 64, num_layers=2)
    graphs, nodes = 4, 16
    x, edges = torch.randn(graphs * nodes, 64, requires_grad=True), complete_edges(graphs, nodes)
    promise = {"equal": {"graph_size": nodes}, "ragged": {"ptr": torch.arange(5) * nodes}}[route]
    largest = []
    for options in ({}, promise):
        sizes = []

        def pack(tensor, sizes=sizes):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            gcn(x, edges, **options)
        largest.append(max(sizes))
    assert largest[0] >= graphs * nodes * nodes * 64
    assert largest[1] <= max(graphs * nodes * 64, 64 * 64, graphs * nodes * nodes)


@pytest.mark.parametrize("edges", [None, complete_edges(2, 3)])
def test_the_affinity_comes_back_on_request(edges):
    gcn = AffinityGCN(CHANNELS, 6, num_layers=2)
    x = torch.randn(6, CHANNELS)
    expected = gcn.affinity(x, complete_edges(2, 3), graph_size=3)
    promises = [{"graph_size": 3}, {"ptr": torch.tensor([0, 3, 6])}]
    for promise in promises if edges is None else [{}, *promises]:
        out, (edge_index, alpha) = gcn(x, edges, **promise, return_attention_weights=True)
        torch.testing.assert_close(out, gcn(x, edges, **promise))
        assert torch.equal(edge_index, complete_edges(2, 3))
        torch.testing.assert_close(alpha, expected.flatten())


def test_patches_are_the_means_of_horizontal_bands():
    maps = torch.randn(2, 3, 8, 4)
    nodes = patch_nodes(maps, num_patches=4)
    assert nodes.shape == (2, 4, 3)
    for frame in range(2):
        for patch in range(4):
            band = maps[frame, :, 2 * patch : 2 * patch + 2]
            torch.testing.assert_close(nodes[frame, patch], band.mean(dim=(1, 2)))


@pytest.mark.parametrize(
    ("build", "sizes"),
    [
        (lambda nodes: temporal_graphs(nodes, num_frames=3), [12, 12]),
        (lambda nodes: temporal_graphs(nodes, num_frames=[1, 5]), [4, 20]),
        (lambda nodes: temporal_graphs(nodes, num_frames=torch.tensor([2, 0, 4])), [8, 0, 16]),
        (spatial_graphs, [4] * 6),
    ],
)
def test_batches_are_those_of_from_data_list(build, sizes):
    nodes = torch.randn(2 * 3, 4, CHANNELS)
    batch = build(nodes)
    parts = nodes.flatten(0, 1).split(sizes)
    graphs = [Data(x=x, edge_index=complete_edges(1, len(x)), num_nodes=len(x)) for x in parts]
    expected = Batch.from_data_list(graphs)
    assert batch.num_graphs == expected.num_graphs
    for key in ("x", "edge_index", "batch", "ptr"):
        assert torch.equal(batch[key], expected[key])
    for got, want in zip(batch.to_data_list(), expected.to_data_list(), strict=True):
        assert torch.equal(got.x, want.x)
        assert torch.equal(got.edge_index, want.edge_index)


def test_missing_patches_are_left_out_of_a_batch_by_subgraph():
    nodes = torch.randn(2 * 3, 4, CHANNELS)
    batch = spatial_graphs(nodes)
    visible = torch.rand(24) < 0.6
    visible[4:8] = False  # a whole frame
    visible[-1] = True
    seen = batch.subgraph(visible)
    gcn = AffinityGCN(CHANNELS, 6, num_layers=2, num_frames=3)
    out = gcn(seen.x, seen.edge_index, batch=seen.batch)
    for frame in range(6):
        x = nodes[frame][visible.view(6, 4)[frame]]
        one = AffinityGCN(CHANNELS, 6, num_layers=2)
        state = {k: v[frame % 3] if v.dim() == 3 else v for k, v in gcn.state_dict().items()}
        one.load_state_dict(state)
        expected = one(x, complete_edges(1, len(x)))
        torch.testing.assert_close(out[seen.batch == frame], expected)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=8),
    st.sampled_from(["max", "mean", "sum"]),
    st.integers(0, 2**16),
)
def test_pooling_is_graph_by_graph(sizes, reduce, seed):
    torch.manual_seed(seed)
    x = torch.randn(sum(sizes), 3) - 5  # a maximum below zero is no padding
    functions = {"max": lambda g: g.amax(0), "mean": lambda g: g.mean(0), "sum": lambda g: g.sum(0)}
    expected = [functions[reduce](g) if len(g) else torch.zeros(3) for g in x.split(sizes)]
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    torch.testing.assert_close(pool_graphs(x, reduce, ptr=ptr), torch.stack(expected))
    if sizes[-1]:
        batch = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
        torch.testing.assert_close(pool_graphs(x, reduce, batch=batch), torch.stack(expected))


def test_pooling_equal_graphs_agrees_with_ragged_ones_and_has_their_gradients():
    x = (torch.randn(12, 3, dtype=torch.float64) - 5).requires_grad_()
    for reduce in ("max", "mean", "sum"):
        results = []
        for promise in ({"graph_size": 4}, {"ptr": torch.tensor([0, 4, 8, 12])}):
            out = pool_graphs(x, reduce, **promise)
            results.append((out, *torch.autograd.grad(out.square().sum(), x)))
        torch.testing.assert_close(results[0], results[1])


def test_a_tracklet_of_one_frame_and_a_long_one_share_a_batch():
    nodes = torch.randn(1 + 900, 2, 8)
    batch = temporal_graphs(nodes, num_frames=[1, 900])
    gcn = AffinityGCN(8, 8, num_layers=2)
    out = gcn(batch.x, batch.edge_index, ptr=batch.ptr)
    alone = gcn(batch.x[:2], complete_edges(1, 2), graph_size=2)
    torch.testing.assert_close(out[:2], alone)
    long = gcn(batch.x[2:], complete_edges(1, 1800), graph_size=1800)
    torch.testing.assert_close(out[2:], long, rtol=1e-4, atol=1e-4)


def test_a_convolution_by_ptr_takes_windows_as_they_are():
    edges = window_edges(num_graphs=2, num_frames=3, num_patches=2, window=1)
    conv, x = AffinityConv(CHANNELS, 4), torch.randn(12, CHANNELS)
    weight = torch.rand(edges.size(1))
    ptr = torch.tensor([0, 6, 12])
    torch.testing.assert_close(conv(x, edges, weight, ptr=ptr), conv(x, edges, weight))
