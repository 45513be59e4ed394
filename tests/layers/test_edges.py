"""Which nodes are joined."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stgcn_pyg.layers import (
    SquaredAffinity,
    complete_edges,
    ragged_edges,
    top_k_edges,
    window_edges,
)


def pairs(edge_index):
    return sorted(map(tuple, edge_index.T.tolist()))


def test_complete_graphs_lists_edges_in_the_order_of_blocks():
    source, target = complete_edges(3, 5)
    blocks = torch.randn(3, 5, 5)
    dense = torch.zeros(15, 15)
    dense[target, source] = blocks.flatten()
    torch.testing.assert_close(dense, torch.block_diag(*blocks))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=6))
def test_ragged_graphs_join_all_nodes_of_each_graph(sizes):
    expected, first = [], 0
    for size in sizes:
        graph = range(first, first + size)
        expected += [(j, i) for i in graph for j in graph]
        first += size
    assert list(map(tuple, ragged_edges(sizes).T.tolist())) == expected
    assert torch.equal(ragged_edges(torch.tensor(sizes, dtype=torch.int32)), ragged_edges(sizes))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 3), st.integers(1, 5), st.integers(1, 3), st.integers(0, 6))
def test_windows_join_frames_that_are_near(graphs, frames, patches, window):
    size = frames * patches
    nodes = [(g, t, p) for g in range(graphs) for t in range(frames) for p in range(patches)]
    expected = [
        (j, i)
        for i, (g, t, _) in enumerate(nodes)
        for j, (other, s, _) in enumerate(nodes)
        if g == other and abs(t - s) <= window
    ]
    edges = window_edges(graphs, frames, patches, window)
    assert pairs(edges) == sorted(expected)
    assert (edges[1].diff() >= 0).all()
    if window >= frames - 1:
        assert torch.equal(edges, complete_edges(graphs, size))


def test_top_k_takes_the_strongest_of_each_row():
    a = torch.rand(3, 5, 5)
    for k in (1, 3, 5):
        expected = []
        for g, graph in enumerate(a):
            for i, row in enumerate(graph.tolist()):
                strongest = sorted(range(5), key=row.__getitem__, reverse=True)[:k]
                expected += [(5 * g + j, 5 * g + i) for j in strongest]
        assert pairs(top_k_edges(a, k)) == sorted(expected)


def test_the_affinity_over_the_strongest_edges_is_their_share():
    affinity = SquaredAffinity(7)
    x = torch.randn(10, 7)
    a = affinity(x, complete_edges(2, 5), graph_size=5)
    edges = top_k_edges(a, k=2)
    weight = affinity(x, edges)
    chosen = a.flatten(0, 1)[edges[1], edges[0] % 5]
    total = torch.zeros(10).index_add(0, edges[1], chosen)
    torch.testing.assert_close(weight, chosen / total[edges[1]])
