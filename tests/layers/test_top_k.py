"""The k strongest neighbours, against plain loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stgcn_pyg.layers import (
    AffinityGCN,
    DenseAffinityGCN,
    SquaredAffinity,
    complete_edges,
    ragged_edges,
    top_k_edges,
    top_k_mask,
)


def strongest(weights, k):
    """The places of the k largest of a list; of equal ones the first."""
    return set(sorted(range(len(weights)), key=lambda j: (-weights[j], j))[:k])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 6), st.booleans(), st.data())
def test_of_dense_batches(graphs, nodes, k, masked, data):
    levels = st.integers(0, 3)  # few, so that many are equal
    flat = data.draw(st.lists(levels, min_size=graphs * nodes**2, max_size=graphs * nodes**2))
    a = torch.tensor(flat, dtype=torch.float64).view(graphs, nodes, nodes)
    mask = None
    if masked:
        drawn = data.draw(st.lists(st.booleans(), min_size=graphs * nodes, max_size=graphs * nodes))
        mask = torch.tensor(drawn).view(graphs, nodes)
    found = top_k_mask(a, k, mask=mask)
    for g in range(graphs):
        exist = [j for j in range(nodes) if mask is None or mask[g, j]]
        for i in range(nodes):
            kept = strongest([a[g, i, j].item() for j in exist], k) if i in exist else set()
            expected = [exist.index(j) in kept if j in exist else False for j in range(nodes)]
            assert found[g, i].tolist() == expected


def test_the_heads_of_masked_graphs_share_their_nodes():
    a, mask = torch.rand(3, 2, 4, 4), torch.rand(3, 4) > 0.3
    found = top_k_mask(a, 2, mask=mask)
    for head in range(2):
        assert torch.equal(found[:, head], top_k_mask(a[:, head], 2, mask=mask))
    dense = DenseAffinityGCN(6, 4, 2, heads=2)
    assert dense(torch.randn(3, 4, 6), mask, edge_weight=found).shape == (3, 4, 4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(1, 6), st.data())
def test_of_edges_in_any_order(sizes, k, data):
    edges = ragged_edges(sizes)
    edges = edges[:, data.draw(st.permutations(range(edges.size(1))))]
    a = torch.tensor([data.draw(st.integers(0, 3)) for _ in range(edges.size(1))]).float()
    expected = []
    for node in range(sum(sizes)):
        into = [e for e in range(edges.size(1)) if edges[1, e] == node]
        expected += [into[place] for place in strongest([a[e].item() for e in into], k)]
    assert top_k_mask(a, k, edge_index=edges).nonzero().flatten().tolist() == sorted(expected)
    assert torch.equal(top_k_edges(a, k, edges), edges[:, sorted(expected)])


def test_of_equal_neighbours_the_edges_are_those_of_the_mask():
    a = torch.randint(0, 4, (2, 40, 40)).float()
    edges, keep = top_k_edges(a, 5), torch.zeros(80, 80).bool()
    keep[edges[1], edges[0]] = True
    assert torch.equal(keep, torch.block_diag(*top_k_mask(a, 5)))


@pytest.mark.parametrize("kind", ["squared", "softmax", "cosine"])
def test_a_graph_of_the_k_strongest_is_the_same_as_edges_and_as_a_mask(kind):
    gcn = AffinityGCN(7, 6, 2, affinity=kind).double()
    dense = DenseAffinityGCN(7, 6, 2, affinity=kind).double()
    dense.load_state_dict(gcn.state_dict())
    x, edges, ptr = torch.randn(12, 7).double(), complete_edges(2, 6), torch.tensor([0, 6, 12])
    a = gcn.affinity(x, graph_size=6)
    expected = gcn(x, top_k_edges(a, 2))
    keep = top_k_mask(a, 2)
    by_edge = top_k_mask(a.flatten(), 2, edge_index=edges)
    for found in (
        gcn(x, edges, keep.flatten()),
        gcn(x, edges, by_edge, ptr=ptr),
        gcn(x, None, keep, graph_size=6),
        dense(x.view(2, 6, 7), edge_weight=keep).flatten(0, 1),
        gcn(x, top_k_edges(a.flatten(), 2, edges)),
    ):
        torch.testing.assert_close(found, expected)


def test_gradients_flow_through_the_weights_that_are_kept():
    affinity, x = SquaredAffinity(4), torch.randn(5, 4, requires_grad=True)
    with torch.no_grad():
        keep = top_k_mask(affinity(x), 2)
    affinity(x, edge_weight=keep)[0].max().backward()
    assert x.grad.isfinite().all()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: top_k_mask(torch.zeros(3), 1),
            r"a must be \[..., size, size\], or pass edge_index",
        ),
        (lambda: top_k_mask(torch.zeros(3, 3), 0), "k must be 1 or above, got 0"),
        (
            lambda: top_k_mask(torch.zeros(3, 3), 1, mask=torch.ones(3)),
            "mask must be .* torch.float32",
        ),
        (
            lambda: top_k_mask(torch.zeros(3), 1, edge_index=complete_edges(1, 2)),
            r"a must be \(4,\), one an edge, got \(3,\)",
        ),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
