"""A stack looks at its edges once a forward, however many layers it has."""

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from stgcn_pyg.layers import (
    AffinityConv,
    AffinityGCN,
    complete_edges,
    ragged_edges,
    window_edges,
)

C, GRAPHS, NODES = 5, 4, 3
PTR = torch.arange(GRAPHS + 1) * NODES
BATCH = torch.arange(GRAPHS).repeat_interleave(NODES)
READS = {
    *(Tensor.item, Tensor.tolist, Tensor.numpy, Tensor.cpu, Tensor.equal, Tensor.nonzero),
    *(Tensor.__bool__, Tensor.__int__, Tensor.__float__, Tensor.__index__, torch.equal),
}


class Reads(TorchFunctionMode):
    """Counts the calls that copy values to the host, which would wait for a GPU."""

    count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.count += function in READS
        return function(*args, **(kwargs or {}))


def reads(layer, edge_index, *args, **graphs):
    """How often a forward reads values, of edges that it has not seen before."""
    edge_index = edge_index.clone()
    with Reads() as mode:
        layer(torch.randn(GRAPHS * NODES, C), edge_index, *args, **graphs)
    return mode.count


COMPLETE = complete_edges(GRAPHS, NODES)
WINDOWS = window_edges(GRAPHS, NODES, num_patches=1, window=1)
BATCHES = [
    (COMPLETE, {}, None, 2),  # the least and the largest index
    (COMPLETE, {"graph_size": NODES}, None, 2),  # all edges, against the numbers of the nodes
    (COMPLETE, {"graph_size": NODES}, 2, 2),
    (COMPLETE, {"ptr": PTR}, None, 12),
    (COMPLETE, {"ptr": PTR}, 2, 12),
    (COMPLETE, {"batch": BATCH}, 2, 12),
    (WINDOWS, {"ptr": PTR}, 2, 12),
    (WINDOWS, {"batch": BATCH}, None, 12),
]


@pytest.mark.parametrize(("edges", "graphs", "num_frames", "most"), BATCHES)
def test_a_stack_reads_its_edges_once(edges, graphs, num_frames, most):
    counts = [
        reads(AffinityGCN(C, C, num_layers, num_frames=num_frames), edges, **graphs)
        for num_layers in (1, 2, 7)
    ]
    assert counts[0] == counts[1] == counts[2]
    affinity = reads(AffinityGCN(C, C, 1).affinity, edges, **graphs)
    assert 0 < affinity <= counts[0] <= affinity + (num_frames is not None)
    assert affinity <= most
    assert reads(AffinityConv(C, C), edges, torch.ones(edges.size(1)), **graphs) == affinity


def test_edges_that_were_found_complete_are_not_read_again():
    gcn, edges = AffinityGCN(C, C, num_layers=2), complete_edges(GRAPHS, NODES)
    x = torch.randn(GRAPHS * NODES, C)
    gcn(x, edges, graph_size=NODES)
    with Reads() as mode:
        gcn(x, edges, graph_size=NODES)
    assert mode.count == 0


def test_edges_that_were_made_complete_are_not_read_and_others_are():
    gcn, sizes = AffinityGCN(C, C, num_layers=2).double(), [2, 3, 4]
    x, edges = torch.randn(9, C, dtype=torch.float64), ragged_edges(sizes)
    ptr = torch.tensor([0, 2, 5, 9])
    expected = gcn(x, edges.clone())
    with Reads() as mode:
        found = gcn(x, edges, ptr=ptr)
    torch.testing.assert_close(found, expected)
    of_others = edges.clone()
    with Reads() as read:
        gcn(x, of_others, ptr=ptr)
    assert mode.count < read.count
    # The same edges are not those of complete graphs of other sizes, nor once they have changed.
    other = torch.tensor([0, 4, 7, 9])
    torch.testing.assert_close(gcn(x, edges, ptr=other), gcn(x, edges.clone()))
    edges[0, 3] = 4
    torch.testing.assert_close(gcn(x, edges, ptr=ptr), gcn(x, edges.clone()))
