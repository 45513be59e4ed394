"""Dense batches with a mask: the parameters and the answers of the sparse layer, without edges."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from stgcn_pyg.layers import (
    Affinity,
    AffinityGCN,
    DenseAffinityGCN,
    SquaredAffinity,
    complete_edges,
    pool_graphs,
    ragged_edges,
)

C, D = 6, 8


class DistanceAffinity(Affinity):
    """No inner product, and no number that a padded node of zeros could not get."""

    def score(self, h_i, h_j):
        return -(h_i - h_j).square().sum(dim=-1)

    def normalize(self, scores, neighbours):
        return neighbours.softmax(scores)


class FourthPower(Affinity):
    def normalize(self, scores, neighbours):
        return neighbours.share(scores, power=4)


class Gate(SquaredAffinity):
    """Weights that do not sum to 1, and of which nobody says which pairs exist."""

    def normalize(self, scores, neighbours):
        return scores.sigmoid()


AFFINITIES = ["squared", "softmax", "cosine", DistanceAffinity, FourthPower, Gate]


def both(affinity, heads, **options):
    """A sparse and a dense stack with the same parameters."""
    stacks = []
    for kind in (AffinityGCN, DenseAffinityGCN):
        own = affinity if isinstance(affinity, str) else affinity(C, heads=heads)
        stacks.append(kind(C, D, 2, affinity=own, heads=heads, **options).double())
    sparse, dense = stacks
    for norm in sparse.norms:
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    dense.load_state_dict(sparse.state_dict())
    return sparse, dense


@settings(max_examples=60, deadline=None)
@given(
    affinity=st.sampled_from(AFFINITIES),
    heads=st.sampled_from([1, 2]),
    frames=st.sampled_from([None, 2]),
    prior=st.sampled_from([(), ("edge_weight",), ("bias",), ("edge_weight", "bias")]),
    masked=st.booleans(),
    bias=st.booleans(),
    graphs=st.integers(1, 2),
    nodes=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_it_gives_the_sparse_layers_values_and_gradients(
    affinity, heads, frames, prior, masked, bias, graphs, nodes, seed
):
    torch.manual_seed(seed)
    graphs *= frames or 1
    sparse, dense = both(affinity, heads, num_frames=frames, bias=bias)
    mask = torch.rand(graphs, nodes) > 0.3 if masked else torch.ones(graphs, nodes).bool()
    sizes = mask.sum(dim=1)
    ptr = torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)])
    x = torch.randn(graphs, nodes, C, dtype=torch.float64)
    pairs = mask.unsqueeze(1) & mask.unsqueeze(2)
    of_pairs = {
        "edge_weight": torch.rand(graphs, nodes, nodes, dtype=torch.float64)
        .mul(1.5)
        .sub(0.3)
        .relu(),
        "bias": torch.randn(graphs, nodes, nodes, dtype=torch.float64),
    }
    by_edge = {name: of_pairs[name][pairs] for name in prior}
    of_pairs = {name: of_pairs[name] for name in prior}
    probe = torch.randn(graphs, nodes, D, dtype=torch.float64)
    results = []
    for route in ("dense", "complete", "edges"):
        given = x.clone()
        given[~mask] = torch.nan
        given.requires_grad_()
        if route == "dense":
            out = dense(given, mask if masked else None, **of_pairs)
            assert (out[~mask] == 0).all()
            values = out[mask]
        else:
            edges = ragged_edges(sizes) if route == "edges" else None
            values = sparse(given[mask], edges, ptr=ptr, **by_edge)
        stack = dense if route == "dense" else sparse
        stack.zero_grad()
        (values * probe[mask]).sum().backward()
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in stack.parameters()]
        results.append([values.detach(), given.grad[mask], *gradients])
        assert (given.grad[~mask] == 0).all()
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=1e-10, atol=1e-10)


def test_a_video_and_its_frames_are_graphs_of_the_same_clips():
    sparse, dense = both("squared", 1)
    clips = torch.randn(3, 4, 5, C, dtype=torch.float64)  # videos, frames, patches
    x = clips.flatten(0, 2)
    expected = sparse(x, complete_edges(3 * 4, 5))
    torch.testing.assert_close(dense(clips).flatten(0, 2), expected)
    expected = sparse(x, complete_edges(3, 4 * 5))
    torch.testing.assert_close(dense(clips, node_dims=2).flatten(0, 2), expected)
    sparse, dense = both("squared", 1, num_frames=4)
    expected = sparse(x, graph_size=5)
    torch.testing.assert_close(dense(clips).flatten(0, 2), expected)


def test_attention_weights_are_blocks_whose_rows_gather():
    sparse, dense = both("softmax", 2)
    x, mask = torch.randn(3, 4, C, dtype=torch.float64), torch.ones(3, 4).bool()
    mask[1, 2] = False
    out, a = dense(x, mask, return_attention_weights=True)
    assert a.shape == (3, 2, 4, 4)
    assert (a[1, :, 2] == 0).all()
    assert (a[1, :, :, 2] == 0).all()
    torch.testing.assert_close(a.sum(dim=3)[:, 0], mask.double())
    _, (edges, alpha) = sparse(
        x[mask], ptr=torch.tensor([0, 4, 7, 11]), return_attention_weights=True
    )
    assert alpha.shape == (edges.size(1), 2)
    pairs = mask.unsqueeze(1) & mask.unsqueeze(2)
    torch.testing.assert_close(alpha, a.movedim(1, 3)[pairs])
    torch.testing.assert_close(out[mask], sparse(x[mask], ptr=torch.tensor([0, 4, 7, 11])))


@pytest.mark.parametrize("norm", [torch.nn.BatchNorm1d, torch.nn.RMSNorm, None])
def test_norms_see_the_nodes_that_exist(norm):
    sparse = AffinityGCN(C, D, 2, norm=norm).double()
    dense = DenseAffinityGCN(C, D, 2, norm=norm).double()
    dense.load_state_dict(sparse.state_dict())
    x, mask = torch.randn(3, 4, C, dtype=torch.float64), torch.rand(3, 4) > 0.3
    ptr = torch.cat([torch.zeros(1, dtype=torch.long), mask.sum(1).cumsum(0)])
    torch.testing.assert_close(dense(x, mask)[mask], sparse(x[mask], ptr=ptr))
    for (name, found), (_, expected) in zip(
        dense.named_buffers(), sparse.named_buffers(), strict=True
    ):
        torch.testing.assert_close(found, expected, msg=name)


class Operations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("masked", [False, True])
def test_no_edges_are_built_and_nothing_is_read(masked):
    dense, x = DenseAffinityGCN(C, D, 2), torch.randn(3, 4, C, requires_grad=True)
    mask = torch.rand(3, 4) > 0.3 if masked else None
    with Operations() as seen:
        dense(x, mask).sum().backward()
    reading = {
        "_local_scalar_dense",
        "nonzero",
        "equal",
        "is_nonzero",
        "arange",
        "repeat_interleave",
    }
    assert not seen.names & reading
    assert seen.names & {"bmm"}


@pytest.mark.parametrize("reduce", ["max", "mean", "sum"])
def test_dense_nodes_are_pooled(reduce):
    x, mask = torch.randn(2, 3, 4, C) - 5, torch.rand(2, 3, 4) > 0.4
    mask[1, 2] = False
    found = pool_graphs(x.masked_fill(~mask.unsqueeze(3), torch.nan), reduce, mask=mask)
    sizes = mask.flatten(0, 1).sum(dim=1)
    ptr = torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)])
    torch.testing.assert_close(found.flatten(0, 1), pool_graphs(x[mask], reduce, ptr=ptr))
    everything = pool_graphs(x, reduce)
    expected = pool_graphs(x.flatten(0, 2), reduce, graph_size=4)
    torch.testing.assert_close(everything.flatten(0, 1), expected)


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (0, 0)])
def test_empty_dense_batches(shape):
    dense = DenseAffinityGCN(C, D, 2)
    x = torch.zeros(*shape, C, requires_grad=True)
    for mask in (None, torch.ones(shape).bool()):
        out = dense(x, mask)
        assert out.shape == (*shape, D)
        assert pool_graphs(out, mask=mask).shape == (shape[0], D)
        out.sum().backward()


def test_the_affinity_alone_and_priors_of_all_graphs():
    gcn = DenseAffinityGCN(C, D, 2, affinity="softmax", heads=2).double()
    x, mask = torch.randn(3, 4, C, dtype=torch.float64), torch.rand(3, 4) > 0.3
    weight, bias = torch.rand(2, 4, 4, dtype=torch.float64)
    out, a = gcn(x, mask, edge_weight=weight, bias=bias, return_attention_weights=True)
    given = x.masked_fill(~mask.unsqueeze(2), torch.nan)
    alone = gcn.attention_weights(given, mask, edge_weight=weight, bias=bias)
    torch.testing.assert_close(alone, a, rtol=0, atol=0)
    each = {"edge_weight": weight.expand(3, 4, 4), "bias": bias.expand(3, 4, 4)}
    torch.testing.assert_close(gcn(x, mask, **each), out, rtol=0, atol=0)


def test_a_gates_gradients_are_those_of_differences():
    gcn = AffinityGCN(C, D, 2, affinity=Gate(C)).double()
    x = torch.randn(5, C, dtype=torch.float64, requires_grad=True)
    for promise in ({}, {"ptr": torch.tensor([0, 2, 5])}):
        assert torch.autograd.gradcheck(lambda x, p=promise: gcn(x, **p), x)
    keep = torch.ones(5, 5).bool()
    keep[1, 3] = False
    assert (gcn.affinity(x, edge_weight=keep.unsqueeze(0))[0] > 0).equal(keep)


def test_an_affinity_without_its_formula_says_what_to_write():
    with pytest.raises(NotImplementedError, match=r"Affinity has no method normalize.*softmax"):
        AffinityGCN(C, D, 1, affinity=Affinity(C))(torch.randn(4, C))
