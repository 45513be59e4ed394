"""Edges, `batch` and `ptr` of any integral type, and what is no edge."""

import copy

import numpy as np
import pytest
import torch
from torch_geometric import EdgeIndex

from stgcn_pyg.layers import (
    AffinityConv,
    AffinityGCN,
    PerFrameLinear,
    SquaredAffinity,
    complete_edges,
    pool_graphs,
    ragged_edges,
    renormalize_edges,
    temporal_graphs,
    top_k_edges,
    window_edges,
)

pytestmark = pytest.mark.usefixtures("shapes_unchecked")

C, GRAPHS, NODES = 7, 2, 3
V = GRAPHS * NODES
EDGES = complete_edges(GRAPHS, NODES)
BATCH, PTR = torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([0, 3, 6])
WEIGHT = torch.linspace(0.1, 1, EDGES.size(1))
X = torch.randn(V, C, generator=torch.Generator().manual_seed(0))
INTEGERS = [torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32]
NO_INTEGERS = [torch.bool, torch.float32, torch.float16, torch.complex64]

affinity, conv, lin = SquaredAffinity(C), AffinityConv(C, 4), PerFrameLinear(2, C, 4)
gcn, framed = AffinityGCN(C, 4, 2), AffinityGCN(C, 4, 2, num_frames=2)
ROUTES = {
    "edges": lambda cast: {},
    "equal": lambda cast: {"graph_size": NODES},
    "ptr": lambda cast: {"ptr": cast(PTR)},
    "batch": lambda cast: {"batch": cast(BATCH)},
}
TAKERS = {
    "affinity": lambda e, p: affinity(X, e, **p),
    "conv": lambda e, p: conv(X, e, WEIGHT, **p),
    "gcn": lambda e, p: gcn(X, e, **p),
    "framed": lambda e, p: framed(X, e, **p),
}


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("taker", TAKERS)
def test_small_integers_give_what_int64_gives(dtype, route, taker):
    if (taker, route) == ("framed", "edges"):
        return  # needs to know the frames
    expected = TAKERS[taker](EDGES, ROUTES[route](lambda index: index))
    found = TAKERS[taker](EDGES.to(dtype), ROUTES[route](lambda index: index.to(dtype)))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_functions_take_small_integers_too(dtype):
    assert torch.equal(lin(X, ptr=PTR.to(dtype)), lin(X, ptr=PTR))
    for name, index in (("ptr", PTR), ("batch", BATCH)):
        assert torch.equal(pool_graphs(X, **{name: index.to(dtype)}), pool_graphs(X, ptr=PTR))
    found = renormalize_edges(EDGES.to(dtype), WEIGHT, V)
    for got, want in zip(found, renormalize_edges(EDGES, WEIGHT, V), strict=True):
        assert torch.equal(got, want)
    sizes = torch.tensor([1, 0, 2])
    assert torch.equal(ragged_edges(sizes.to(dtype)), ragged_edges(sizes))
    frames = torch.zeros(3, 2, C)
    batch, expected = temporal_graphs(frames, sizes.to(dtype)), temporal_graphs(frames, sizes)
    assert torch.equal(batch.edge_index, expected.edge_index)
    assert torch.equal(batch.ptr, expected.ptr)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8])
def test_what_is_counted_may_exceed_the_type(dtype):
    last = torch.iinfo(dtype).max
    x = torch.randn(last + 1, 1)
    batch = torch.arange(last + 1).to(dtype)  # one more graph than the type can count
    assert torch.equal(pool_graphs(x, batch=batch), x)
    one = complete_edges(1, 12)  # 144 edges, more than an int8 holds
    x = torch.randn(12, C)
    ptr = torch.tensor([0, 12], dtype=dtype)
    torch.testing.assert_close(gcn(x, one.to(dtype), ptr=ptr), gcn(x, one, graph_size=12))


def test_a_ptr_that_falls_is_refused_in_unsigned_types_as_well():
    for dtype in (torch.int64, torch.uint8):
        with pytest.raises(ValueError, match="ptr must rise"):
            gcn(X, EDGES, ptr=torch.tensor([0, 4, 3, 6], dtype=dtype))


@pytest.mark.parametrize("dtype", NO_INTEGERS)
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("taker", ["affinity", "conv", "gcn"])
def test_what_is_no_integer_is_refused_in_a_line(dtype, route, taker):
    with pytest.raises(ValueError, match=rf"edge_index must be .* {dtype}"):
        TAKERS[taker](EDGES.to(dtype), ROUTES[route](lambda index: index))
    if route in ("ptr", "batch"):
        with pytest.raises(ValueError, match=rf"{route} must be .* {dtype}"):
            TAKERS[taker](EDGES, ROUTES[route](lambda index: index.to(dtype)))


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("taker", ["affinity", "conv", "gcn"])
@pytest.mark.parametrize(
    ("edges", "words"),
    [
        (EDGES.T, r"edge_index must be \[2, edges\] of integers, got \(18, 2\)"),
        (EDGES.tolist(), "edge_index must be .* got a list"),
        (EDGES.numpy(), "edge_index must be .* got a ndarray"),
        (EDGES + 100, "edge_index points at node 105, x has only 6"),
        (EDGES - 1, "edge_index points at node -1, x has only 6"),
    ],
)
def test_edges_that_are_none_are_refused_in_a_line(edges, words, taker, route):
    with pytest.raises(ValueError, match=words):
        TAKERS[taker](edges, ROUTES[route](lambda index: index))


def test_renormalize_edges_looks_at_its_arguments():
    for edges, weight, words in (
        (EDGES.T, WEIGHT, r"edge_index must be \[2, edges\]"),
        (EDGES + 1, WEIGHT, "edge_index points at node 6"),
        (EDGES.float(), WEIGHT, "of integers"),
        (EDGES, WEIGHT[:5], r"edge_weight must be \(18,\), got \(5,\)"),
    ):
        with pytest.raises(ValueError, match=words):
            renormalize_edges(edges, weight, V)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gcn(X, EDGES, BATCH), "edge_weight must hold floating .*batch="),
        (lambda: gcn(X, EDGES, 3), "edge_weight must be a tensor .* got int 3 .*graph_size="),
        (lambda: gcn(X, EDGES, graph_size=BATCH), "graph_size .* tensor of shape .*batch="),
        (lambda: affinity(X, EDGES, BATCH), "edge_weight must hold floating .*batch="),
        (
            lambda: conv(X, EDGES, WEIGHT, graph_size=BATCH),
            "graph_size .* tensor of shape .*batch=",
        ),
        (lambda: lin(X, BATCH), "graph_size .* tensor of shape .*batch="),
        (lambda: pool_graphs(X, "max", graph_size=BATCH), "graph_size .* tensor of shape .*batch="),
        (lambda: pool_graphs(X, BATCH), "reduce must be .*batch="),
        (lambda: gcn(X, EDGES, graph_size=3.0), "graph_size must be a whole number, got 3.0"),
        (lambda: gcn(X, EDGES, graph_size="3"), "graph_size must be a whole number, got '3'"),
        (lambda: gcn(X, EDGES, ptr=[0, 3, 6]), "ptr must be .* got a list"),
        (lambda: gcn(X, EDGES, batch=[0] * 6), "batch must be .* got a list"),
        (lambda: lin(X, ptr=torch.tensor([0, 3, 5])), "ptr must rise from 0 to the 6 nodes"),
        (lambda: lin(X, graph_size=4), "graph_size=4"),
        (lambda: temporal_graphs(torch.zeros(5, 4, 2), [2.5, 2.5]), r"whole numbers, got \[2.5"),
        (lambda: temporal_graphs(torch.zeros(5, 4, 2), 2.5), "a whole number, got 2.5"),
        (lambda: temporal_graphs(torch.zeros(5, 4, 2), None), "a whole number, got None"),
        (lambda: temporal_graphs(torch.zeros(5, 4, 2), "5"), "list of whole numbers, got '5'"),
        (lambda: temporal_graphs(torch.zeros(5, 4, 2), [[2, 3]]), "list of whole numbers"),
        (lambda: temporal_graphs(torch.zeros(5, 0, 2), 5), "one patch or more"),
        (lambda: ragged_edges([1.5, 2.5]), r"whole numbers, got \[1.5, 2.5\]"),
        (lambda: ragged_edges([[1, 2]]), "list of whole numbers"),
        (lambda: complete_edges(-1, 3), "num_graphs must be 0 or above, got -1"),
        (lambda: complete_edges(2, 3.0), "graph_size must be a whole number"),
        (lambda: window_edges(1, -2, 3, 1), "num_frames must be 0 or above, got -2"),
        (lambda: top_k_edges(torch.zeros(1, 3, 3), 1.5), "k must be a whole number"),
    ],
)
def test_what_stands_in_a_numbers_place_is_named(call, words):
    with pytest.raises(ValueError, match=words) as refused:
        call()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("integer", [np.int64, np.int32, np.uint8, np.array, torch.tensor])
def test_numbers_of_any_integral_type_count_frames_and_nodes(integer):
    nodes = torch.zeros(16, 2, C)
    batch, expected = temporal_graphs(nodes, integer(8)), temporal_graphs(nodes, 8)
    for key in ("x", "edge_index", "batch", "ptr"):
        assert torch.equal(batch[key], expected[key])
    assert torch.equal(gcn(X, EDGES, graph_size=integer(3)), gcn(X, EDGES, graph_size=3))
    assert torch.equal(pool_graphs(X, graph_size=integer(3)), pool_graphs(X, graph_size=3))
    assert torch.equal(complete_edges(integer(2), integer(3)), EDGES)


def test_a_list_of_one_length_is_no_number_of_frames():
    nodes = torch.zeros(16, 2, C)
    for one in ([16], (16,), np.array([16]), torch.tensor([16])):
        assert temporal_graphs(nodes, one).num_graphs == 1
    for short in ([8], np.array([8]), torch.tensor([8])):
        with pytest.raises(ValueError, match="add up to the 16 frames"):
            temporal_graphs(nodes, short)


# Two windows of four nodes: each node is joined to itself and the next.
RINGS = torch.tensor(
    [[j + first for i in range(4) for j in (i, (i + 1) % 4)] for first in (0, 4)]
).flatten()
RINGS = torch.stack([RINGS, torch.arange(8).repeat_interleave(2)])


def swapped(edges, a, b):
    """The edges with two sources exchanged, so that they still are as many into each node."""
    edges = edges.clone()
    edges[0, [a, b]] = edges[0, [b, a]]
    return edges


@pytest.mark.parametrize(
    ("edges", "size", "words"),
    [
        (RINGS, 2, "2 -> 1 is between two graphs"),  # as many edges as complete graphs of 2 have
        (swapped(complete_edges(2, 3), 0, 9), 3, "between two graphs"),
        (complete_edges(2, 3)[:, [0, 0, *range(2, 18)]], 3, "more than once"),
        (complete_edges(2, 3)[[1, 0]][:, [*range(17), 16]], 3, "more than once"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_edges_that_break_the_promise_of_graph_size_are_refused(edges, size, words, dtype):
    x = torch.randn(edges.max() + 1, C)
    for call in (
        lambda e: gcn(x, e, graph_size=size),
        lambda e: affinity(x, e, graph_size=size),
        lambda e: conv(x, e, torch.ones(e.size(1)), graph_size=size),
    ):
        with pytest.raises(
            ValueError, match=r"graph_size=.*complete_edges, or leave out"
        ) as refused:
            call(edges.to(dtype))
        assert words in str(refused.value)


@pytest.mark.parametrize("found", ["made", "shuffled"])
def test_edges_are_looked_at_again_once_they_have_changed(found):
    edges = complete_edges(2, 3)
    if found == "shuffled":
        edges = edges[:, torch.randperm(edges.size(1))]
    gcn(X, edges, graph_size=3)
    with pytest.raises(ValueError, match="graph_size=2"):
        gcn(X[:4], complete_edges(2, 3)[:, :8], graph_size=2)
    changed, copied = edges.clone(), copy.deepcopy(edges)
    changed[0, 0] = copied[0, 0] = edges[0, 0] = (edges[0, 0] + 3) % 6
    for wrong in (changed, copied, edges):
        with pytest.raises(ValueError, match="between two graphs"):
            gcn(X, wrong, graph_size=3)


def test_edges_are_saved_sent_and_used_in_inference_mode(tmp_path):
    edges = complete_edges(2, 3)
    torch.save(edges, tmp_path / "edges.pt")
    with torch.inference_mode():
        for other in (torch.load(tmp_path / "edges.pt"), copy.deepcopy(edges), edges):
            expected = gcn(X, complete_edges(2, 3), graph_size=3)
            assert torch.equal(gcn(X, other, graph_size=3), expected)
            other[0, 0] = 5
            with pytest.raises(ValueError, match="between two graphs"):
                gcn(X, other, graph_size=3)


def test_edges_of_any_order_keep_the_promise():
    edges = complete_edges(4, 5)
    x = torch.randn(20, C)
    expected = gcn(x, edges, graph_size=5)
    for order in (torch.randperm(100), torch.arange(100).flip(0)):
        torch.testing.assert_close(gcn(x, edges[:, order], graph_size=5), expected)
    torch.testing.assert_close(gcn(x, EdgeIndex(edges), graph_size=5), expected)


@pytest.mark.parametrize("nodes", [0, 1, 4])
def test_graphs_without_edges_and_of_single_nodes(nodes):
    x, none = torch.randn(nodes, C), torch.zeros(2, 0, dtype=torch.long)
    loops = torch.arange(nodes).expand(2, -1)
    single = {"ptr": torch.arange(nodes + 1)}
    expected = gcn(x, none)
    assert expected.shape == (nodes, 4)
    for promise in (single, {"batch": torch.arange(nodes)}, {"ptr": torch.tensor([0, 0, nodes])}):
        torch.testing.assert_close(gcn(x, none, **promise), expected)
    for promise in ({}, single, {"graph_size": 1}):
        torch.testing.assert_close(gcn(x, loops, **promise), gcn(x, complete_edges(nodes, 1)))


def test_an_edge_that_is_there_twice_counts_twice_on_every_route():
    # As often as each other: the shares are those of single edges, halved.
    twice = torch.cat([EDGES, EDGES], dim=1)
    for promise in ({}, {"ptr": PTR}, {"batch": BATCH}):
        a = affinity(X, twice, **promise)
        torch.testing.assert_close(a, affinity(X, EDGES).repeat(2) / 2)
        torch.testing.assert_close(gcn(X, twice, **promise), gcn(X, EDGES))
