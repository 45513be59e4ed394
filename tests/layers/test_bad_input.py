"""Bad input is named before anything is computed."""

import pytest
import torch

from stgcn_pyg.layers import (
    AffinityConv,
    AffinityGCN,
    DenseAffinityGCN,
    PerFrameLinear,
    SquaredAffinity,
    complete_edges,
    patch_nodes,
    pool_graphs,
    ragged_edges,
    renormalize,
    spatial_graphs,
    squared_affinity,
    temporal_graphs,
    top_k_edges,
    top_k_mask,
    window_edges,
)
from stgcn_pyg.models.fully_connected import FullyConnected

pytestmark = pytest.mark.usefixtures("shapes_unchecked")

C = 7
X = torch.zeros(6, C)
EDGES = complete_edges(2, 3)
BATCH, PTR = torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([0, 3, 6])
affinity, gcn = SquaredAffinity(C), AffinityGCN(C, 2, 1)
conv, framed = AffinityConv(C, 2), AffinityConv(C, 2, num_frames=4)
dense, CLIPS = DenseAffinityGCN(C, 2, 1), torch.zeros(2, 3, 4, C)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: affinity(X, EDGES, graph_size=4), r"x \(6, 7\) holds 6 nodes, .* graph_size=4"),
        (lambda: affinity(X, EDGES, graph_size=0), "graph_size=0"),
        (lambda: SquaredAffinity(3)(X, EDGES), r"x must be \[nodes, 3\], got \(6, 7\)"),
        (lambda: affinity(X.long(), EDGES), "x must hold floating point features, got torch.int64"),
        (lambda: affinity(X, EDGES + 1), "edge_index points at node 6, x has only 6"),
        (lambda: affinity(X, EDGES - 1), "edge_index points at node -1, x has only 6"),
        (lambda: affinity(X, EDGES[0]), r"edge_index must be \[2, edges\]"),
        (lambda: affinity(X, EDGES.float()), r"of integers, got \(2, 18\) of torch.float32"),
        (lambda: affinity(X, EDGES[:, :4], graph_size=3), "18 edges"),
        (lambda: affinity(X, EDGES, batch=BATCH.flip(0)), "batch must be sorted .* node 3"),
        (lambda: affinity(X, EDGES, batch=BATCH - 1), "node 0 is of graph -1"),
        (lambda: affinity(X, EDGES, batch=BATCH[:5]), r"batch must be \[6\] .* got \(5,\)"),
        (lambda: affinity(X, EDGES, batch=BATCH.float()), "batch must be .* torch.float32"),
        (lambda: affinity(X, EDGES, ptr=PTR[:2]), r"the 6 nodes of x, got \[0, 3\]"),
        (lambda: affinity(X, EDGES, ptr=PTR[1:]), r"ptr must rise from 0 .* got \[3, 6\]"),
        (lambda: affinity(X, EDGES, ptr=torch.tensor([0, 4, 3, 6])), "ptr must rise"),
        (
            lambda: affinity(X, EDGES, ptr=torch.zeros(0, dtype=torch.long)),
            r"ptr must rise .* got \[\]",
        ),
        (lambda: affinity(X, EDGES, graph_size=3, batch=BATCH), "leave out batch and ptr"),
        (lambda: conv(X, EDGES, torch.ones(5)), r"edge_weight must be \(18,\), got \(5,\)"),
        (
            lambda: conv(X, EDGES, torch.ones(3, 3, 2), graph_size=3),
            r"edge_weight must be \(18,\) or \(2, 3, 3\), got \(3, 3, 2\)",
        ),
        (lambda: framed(X, EDGES, torch.ones(2, 3, 3), graph_size=3), "2 graphs, .* num_frames=4"),
        (lambda: framed(X, EDGES, torch.ones(18), batch=BATCH), "2 graphs, .* num_frames=4"),
        (lambda: framed(X, EDGES, torch.ones(18)), "need graph_size, batch or ptr"),
        (lambda: PerFrameLinear(2, C, 2)(X), "need graph_size, batch or ptr"),
        (lambda: AffinityGCN(C, 2, 0), "num_layers must be 1 or above, got 0"),
        (lambda: AffinityGCN(C, 2, 1, affinity="dot"), "affinity must be one of .*'softmax'"),
        (lambda: AffinityGCN(C, 2, 1, affinity=torch.nn.Linear(C, C)), "a subclass of Affinity"),
        (lambda: AffinityGCN(C, 2, 1, affinity=SquaredAffinity(3)), "affinity is of nodes of 3"),
        (
            lambda: AffinityGCN(C, 2, 1, heads=2, affinity=SquaredAffinity(C)),
            "heads=2, but the affinity has 1",
        ),
        (lambda: AffinityGCN(C, 2, 1, heads=2), "in_channels=7 is no multiple of heads=2"),
        (lambda: AffinityGCN(8, 3, 1, heads=2), "out_channels=3 is no multiple of heads=2"),
        (lambda: AffinityGCN(C, 2, 1, heads=0), "heads must be 1 or above, got 0"),
        (lambda: AffinityGCN(C, 2, 1, dropout="a"), r"dropout must lie in 0\.\.1, got 'a'"),
        (lambda: AffinityGCN(C, 2, 1, norm="layer"), "norm must make a norm .* got 'layer'"),
        (lambda: AffinityGCN(C, 2, 1, norm=torch.nn.LayerNorm(2)), "norm must make a norm"),
        (lambda: AffinityGCN(C, 2, 1, act=3), "act must be a function, .* got 3"),
        (lambda: AffinityGCN(-2, 2, 1), "in_channels must be -1 or above, got -2"),
        (lambda: AffinityGCN(C, -1, 1), "hidden_channels must be 0 or above, got -1"),
        (lambda: FullyConnected(C, 2, 0), "num_layers must be 1 or above, got 0"),
        (lambda: gcn((X, X), EDGES), "x must be a tensor, got a tuple"),
        (lambda: gcn(X.numpy(), graph_size=3), "x must be a tensor, got a ndarray"),
        (lambda: pool_graphs(None, graph_size=3), "x must be a tensor, got a NoneType"),
        (lambda: top_k_mask([1], 1), "a must be a tensor, got a list"),
        (lambda: temporal_graphs([1], 1), "nodes must be a tensor, got a list"),
        (lambda: patch_nodes([1], 1), "feature_maps must be a tensor, got a list"),
        (lambda: gcn(X, batch_size=2), "batch_size=2 does not say which nodes are a graph"),
        (lambda: AffinityGCN(C, 2, 1, dropout=1.5), r"dropout must lie in 0\.\.1, got 1.5"),
        (lambda: AffinityGCN(C, 2.5, 1), "hidden_channels must be a whole number, got 2.5"),
        (lambda: AffinityGCN("7", 2, 1), "in_channels must be a whole number, got '7'"),
        (lambda: gcn(X, EDGES, torch.ones(5)), r"edge_weight must be \(18,\), got \(5,\)"),
        (lambda: gcn(X, EDGES, bias=torch.ones(18, 2)), r"bias must be \(18,\), got \(18, 2\)"),
        (lambda: gcn(X, EDGES, -torch.ones(18)), "edge_weight must be 0 or above, .* got -1.0"),
        (lambda: affinity(X, EDGES, -torch.ones(18)), "edge_weight must be 0 or above"),
        (lambda: dense(CLIPS, edge_weight=-torch.ones(4, 4)), "edge_weight must be 0 or above"),
        (lambda: gcn(X, EDGES, EDGES[0]), "edge_weight must hold floating point .*torch.int64"),
        (lambda: gcn(X, batch_size=2.5, batch=BATCH), "batch_size must be a whole number, got 2.5"),
        (lambda: dense(X), r"x must be \[graphs, nodes, channels\], got \(6, 7\): use AffinityGCN"),
        (lambda: dense(CLIPS, node_dims=3), r"x must be \[graphs, 3 dimensions of nodes, channels"),
        (lambda: dense(CLIPS, node_dims=0), "node_dims must be 1 or above, got 0"),
        (lambda: dense(CLIPS[..., :3]), r"x must be \[nodes, 7\]"),
        (
            lambda: dense(CLIPS, torch.ones(2, 3)),
            r"mask must be \(2, 3, 4\) of torch.bool, got \(2",
        ),
        (
            lambda: dense(CLIPS, torch.ones(2, 3, 4)),
            r"torch.bool, got \(2, 3, 4\) of torch.float32",
        ),
        (
            lambda: dense(CLIPS, EDGES),
            r"got \(2, 18\) of torch.int64: .* takes no edge_index, use AffinityGCN",
        ),
        (
            lambda: dense(CLIPS, edge_weight=torch.ones(2, 3, 4, 4)),
            r"edge_weight must be \(6, 4, 4\) or \(4, 4\), got \(2, 3, 4, 4\)",
        ),
        (
            lambda: dense(CLIPS, bias=torch.ones(6, 3, 3)),
            r"bias must be \(6, 4, 4\) or \(4, 4\), got \(6, 3, 3\)",
        ),
        (
            lambda: pool_graphs(CLIPS, graph_size=4),
            "leave out graph_size, batch, ptr and batch_size",
        ),
        (lambda: pool_graphs(X, mask=torch.ones(6).bool()), r"x must be \[graphs, nodes, channels"),
        (lambda: gcn(X[:5], EDGES, graph_size=3), "graph_size=3"),
        (lambda: gcn(X[None], EDGES), r"x must be \[nodes, 7\], got \(1, 6, 7\)"),
        (lambda: patch_nodes(torch.zeros(2, 3, 4, 4), 5), r"num_patches must lie in 1\.\.4"),
        (lambda: patch_nodes(torch.zeros(2, 3, 4), 2), "feature_maps must be"),
        (lambda: temporal_graphs(torch.zeros(5, 4, 2), 2), "num_frames=2"),
        (
            lambda: temporal_graphs(torch.zeros(5, 4, 2), [2, 2]),
            r"add up to the 5 frames .* got \[2, 2\]",
        ),
        (lambda: temporal_graphs(torch.zeros(5, 4, 2), [6, -1]), "0 or above"),
        (lambda: spatial_graphs(torch.zeros(5, 4)), "nodes must be"),
        (lambda: ragged_edges([2, -1]), "sizes must be 0 or above, got -1"),
        (lambda: window_edges(1, 2, 3, -1), "window must be 0 or above, got -1"),
        (lambda: top_k_edges(torch.zeros(1, 3, 3), 4), r"k must lie in 1\.\.3"),
        (lambda: top_k_edges(torch.zeros(3, 3), 1), r"a must be \[graphs, size, size\]"),
        (lambda: pool_graphs(X), "needs graph_size, batch or ptr"),
        (lambda: pool_graphs(X, "median", graph_size=3), 'reduce must be "max", "mean" or "sum"'),
        (lambda: pool_graphs(X, graph_size=4), "graph_size=4"),
        (lambda: pool_graphs(X[0], graph_size=1), "x must be"),
        (lambda: pool_graphs(X, batch=BATCH.flip(0)), "batch must be sorted"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_wrong_shape_is_noticed_by_the_annotations(shapes_checked):
    with pytest.raises(TypeError, match="squared_affinity"):
        squared_affinity(torch.zeros(3))
    with pytest.raises(TypeError, match="renormalize"):
        renormalize(torch.zeros(3, 4))
    with pytest.raises(TypeError, match="forward"):
        affinity(X, EDGES.float())
