"""Which nodes are joined."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networkx import weakly_connected_components
from torch_geometric.data import Data
from torch_geometric.utils import to_networkx

from stgcn_pyg.layers import (
    SquaredAffinity,
    complete_edges,
    frame_edges,
    part_edges,
    ragged_edges,
    skeleton_edges,
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


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3), st.integers(0, 4), st.integers(0, 3), st.integers(0, 4))
def test_parts_and_frames_are_joined_by_name(graphs, frames, patches, window):
    nodes = [(b, t, p) for b in range(graphs) for t in range(frames) for p in range(patches)]
    parts, within = [], []
    for i, (b, t, p) in enumerate(nodes):
        for j, (other, s, q) in enumerate(nodes):
            if b == other and p == q and abs(t - s) <= window:
                parts.append((j, i))
            if b == other and t == s:
                within.append((j, i))
    found = part_edges(graphs, frames, patches, window)
    assert list(map(tuple, found.T.tolist())) == parts
    found = frame_edges(graphs, frames, patches)
    assert list(map(tuple, found.T.tolist())) == within


@pytest.mark.parametrize(
    ("skeleton", "joints", "bones"), [("coco", 17, 19), ("openpose", 18, 17), ("ntu", 25, 24)]
)
def test_skeletons_are_whole_and_joined_through_time(skeleton, joints, bones):
    graphs, frames = 2, 3
    edges = skeleton_edges(skeleton, graphs, frames)
    links = graphs * (frames * bones + (frames - 1) * joints)
    assert edges.size(1) == 2 * links + graphs * frames * joints
    assert set(pairs(edges)) == set(pairs(edges.flip(0)))
    assert torch.equal(edges[1], edges[1].sort().values)
    whole = to_networkx(Data(edge_index=edges, num_nodes=graphs * frames * joints))
    assert len(list(weakly_connected_components(whole))) == graphs
    one = skeleton_edges(skeleton)
    inside = {(j, i) for j, i in pairs(edges) if i // joints == j // joints}
    shifted = [
        (j + g * joints, i + g * joints) for g in range(graphs * frames) for j, i in pairs(one)
    ]
    assert inside == set(shifted)


def test_a_skeleton_of_ones_own():
    assert pairs(skeleton_edges([(0, 1)], num_joints=3)) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)]
    assert skeleton_edges([], num_joints=0).shape == (2, 0)
    for call, words in (
        (lambda: skeleton_edges("body"), "skeleton must be one of .*'coco'.*got 'body'"),
        (lambda: skeleton_edges([(0, 3)], num_joints=3), "joints are 0 to 2, .* of joint 3"),
        (lambda: skeleton_edges([(0, -1)]), "of joint -1"),
        (lambda: skeleton_edges([(0, 1.5)]), "a joint must be a whole number, got 1.5"),
        (lambda: skeleton_edges("coco", num_frames=-1), "num_frames must be 0 or above"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
