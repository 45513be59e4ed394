"""The layers on a fake GPU: equal, dense, masked and ragged batches read nothing from it."""

import pytest
import torch
from crossings import Crossings
from fake_gpu import backward, fake_cuda, move, there

from stgcn_pyg.layers import (
    AffinityGCN,
    DenseAffinityGCN,
    complete_edges,
    part_edges,
    pool_graphs,
    ragged_edges,
    temporal_graphs,
    top_k_mask,
)

pytestmark = pytest.mark.usefixtures("shapes_unchecked")

C, D, T, P, B = 6, 8, 2, 3, 4
V = B * T * P
PTR = torch.tensor([0, 5, 9, 9, V])  # on the host, of graphs of different sizes
ROUTES = {
    "equal": lambda gcn, x, edges: pool_graphs(gcn(x, graph_size=P), graph_size=P),
    "equal, edges": lambda gcn, x, edges: gcn(
        x, complete_edges(B * T, P, x.device), graph_size=P, return_attention_weights=True
    )[1][1],
    "edges": lambda gcn, x, edges: gcn(x, edges),
    "ragged": lambda gcn, x, edges: pool_graphs(gcn(x, ptr=PTR), "mean", ptr=PTR),
    "ragged, edges": lambda gcn, x, edges: gcn(
        x, ptr=PTR, return_attention_weights=True, edge_weight=x.new_ones(266)
    )[1][1],
    "dense": lambda gcn, x, edges: pool_graphs(gcn(x.view(B, T, P, C))),
    "masked": lambda gcn, x, edges: pool_graphs(
        gcn(
            x.view(B, T, P, C),
            x.view(B, T, P, C)[..., 0] > 0,
            node_dims=2,
            bias=x.new_ones(B, T * P, T * P),
        ),
        mask=x.view(B, T, P, C)[..., 0] > 0,
    ),
    "nearest": lambda gcn, x, edges: gcn(
        x.view(B * T, P, C),
        edge_weight=top_k_mask(gcn.affinity(x, graph_size=P).detach(), 2),
    ),
}
DENSE = {"dense", "masked", "nearest"}
# Without the graphs' sizes edges have no frames, and a graph of the masked route is a whole video.
WITHOUT_FRAMES = {"edges", "masked"}


def step(route, affinity, frames, narrow):
    """What waits in a forward and a backward pass, and the types of output and gradients."""
    kind = DenseAffinityGCN if route in DENSE else AffinityGCN
    gcn = kind(C, D, 2, affinity=affinity, num_frames=frames)
    edges = part_edges(B, T, P)
    with fake_cuda():
        move(gcn)
        x, edges = torch.randn(V, C, device="cuda", requires_grad=True), there(edges)
        with Crossings() as crossings, torch.autocast("cuda", torch.bfloat16, enabled=narrow):
            out = ROUTES[route](gcn, x, edges)
            backward(out.float().square().sum())
    gradients = [x.grad, *(p.grad for p in gcn.parameters() if p.grad is not None)]
    return crossings.found, out, gradients


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("affinity", ["squared", "softmax", "cosine"])
@pytest.mark.parametrize(
    ("route", "frames"),
    [(route, n) for route in ROUTES for n in (None, T) if not (n and route in WITHOUT_FRAMES)],
)
def test_a_step_waits_for_nothing(route, frames, affinity, narrow):
    found, out, gradients = step(route, affinity, frames, narrow)
    assert found == []
    assert out.device.type == "cuda"
    assert {(g.device.type, g.dtype) for g in gradients} == {("cuda", torch.float32)}


def test_of_unknown_edges_is_read_once_whether_they_are_complete():
    gcn, edges = AffinityGCN(C, D, 2), ragged_edges(PTR.diff())
    with fake_cuda():
        move(gcn)
        x, edges = torch.randn(V, C, device="cuda"), there(edges)
        with Crossings() as crossings:
            gcn(x, edges, ptr=PTR)
    (read,) = crossings.found
    assert read.startswith("_local_scalar_dense < blocks.py")


def test_a_batch_of_videos_is_never_read_though_its_ptr_is_on_the_device():
    # Of "meta" no value can be read at all.
    lengths = [1, 5, 2]
    batch = temporal_graphs(torch.empty(8, P, C, device="meta"), lengths)
    gcn = AffinityGCN(C, D, 2).to("meta")
    for edges in (batch.edge_index, None):
        out = gcn(batch.x, edges, ptr=batch.ptr)
        assert pool_graphs(out, ptr=batch.ptr).shape == (3, D)
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta"):
        gcn(batch.x, ptr=batch.ptr.clone())
