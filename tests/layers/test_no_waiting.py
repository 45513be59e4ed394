"""Equal, dense, masked and ragged batches copy nothing from the device to the host."""

import contextlib
import copy

import pytest
import torch
from simulated_device import Device, OnDevice, moved

from stgcn_pyg.layers import (
    AffinityGCN,
    DenseAffinityGCN,
    complete_edges,
    pool_graphs,
    temporal_graphs,
    top_k_mask,
)

C, D, T, P, B = 6, 8, 2, 3, 4
V = B * T * P
PTR = torch.tensor([0, 5, 9, 9, V])  # on the host, of graphs of different sizes
ROUTES = {
    "equal, no edges": lambda gcn, x, mask: pool_graphs(gcn(x, graph_size=P), graph_size=P),
    "equal, edges": lambda gcn, x, mask: gcn(
        x, complete_edges(B * T, P, x.device), graph_size=P, return_attention_weights=True
    )[1][1],
    "ragged": lambda gcn, x, mask: pool_graphs(gcn(x, ptr=PTR), "mean", ptr=PTR),
    "ragged, edges": lambda gcn, x, mask: gcn(
        x, ptr=PTR, return_attention_weights=True, edge_weight=x.new_ones(266)
    )[1][1],
    "dense": lambda gcn, x, mask: pool_graphs(gcn(x.view(B, T, P, C))),
    "masked": lambda gcn, x, mask: pool_graphs(
        gcn(x.view(B, T, P, C), mask, node_dims=2, bias=x.new_ones(B, T * P, T * P)), mask=mask
    ),
    "nearest": lambda gcn, x, mask: gcn(
        x.view(B * T, P, C),
        edge_weight=top_k_mask(gcn.affinity(x, graph_size=P).detach(), 2),
    ),
}
DENSE = {"dense", "masked", "nearest"}


def gradients(device, route, affinity, frames):
    """The output and gradients of a step, and what crossed on its way."""
    torch.manual_seed(0)
    kind = DenseAffinityGCN if route in DENSE else AffinityGCN
    gcn = kind(C, D, 2, affinity=affinity, num_frames=frames)
    x, mask = torch.randn(V, C), torch.rand(B, T, P) > 0.3
    if device is None:
        x.requires_grad_()
        out = ROUTES[route](gcn, x, mask)
        out.square().sum().backward()
        return [out, x.grad, *(p.grad for p in gcn.parameters() if p.grad is not None)], []
    gcn, x, mask = moved(gcn), OnDevice(x).requires_grad_(), OnDevice(mask)
    with device:
        out = ROUTES[route](gcn, x, mask)
        out.square().sum().backward()
    found = [out, x.grad, *(p.grad for p in gcn.parameters() if p.grad is not None)]
    return [value.values for value in found], copy.copy(device.crossings)


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize("affinity", ["squared", "softmax", "cosine"])
@pytest.mark.parametrize(
    ("route", "frames"),
    # A graph of the masked route is a whole video, which has no frames.
    [(route, n) for route in ROUTES for n in (None, T) if not (n and route == "masked")],
)
def test_a_step_waits_for_nothing(route, affinity, frames):
    found, crossings = gradients(Device(), route, affinity, frames)
    assert crossings == []
    expected, _ = gradients(None, route, affinity, frames)
    for value, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(value, wanted)


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


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(
    ("plant", "crossing"),
    [
        (lambda x: x.sum().item(), "_local_scalar_dense"),
        (lambda x: bool((x > 0).any()), "_local_scalar_dense"),
        (lambda x: x.cpu(), "_to_copy"),
        (lambda x: x[x > 0], "index"),
        (lambda x: x.nonzero(), "nonzero"),
        (lambda x: x + torch.ones(V, C), "add of tensors on two devices"),
        (lambda x: AffinityGCN(C, D, 1).affinity(x, ptr=OnDevice(PTR)), "_to_copy"),
    ],
)
def test_what_waits_is_seen(plant, crossing):
    x = OnDevice(torch.randn(V, C))
    # Not everything goes through on a device that is simulated.
    with Device() as device, contextlib.suppress(RuntimeError, ValueError, TypeError):
        plant(x)
    assert crossing in device.crossings
