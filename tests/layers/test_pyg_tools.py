"""What works on PyG's own layers works on these."""

import copy
import pickle

import pytest
import torch
from by_the_book import affinity_by_the_book, joined_by
from torch_geometric.data import Batch, Data
from torch_geometric.explain import Explainer, GNNExplainer
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks
from torch_geometric.loader import DataLoader
from torch_geometric.nn import MessagePassing, Sequential

from stgcn_pyg.layers import (
    AffinityConv,
    AffinityGCN,
    CosineAffinity,
    DenseAffinityGCN,
    SoftmaxAffinity,
    SquaredAffinity,
    complete_edges,
    ragged_edges,
    temporal_graphs,
)

GRAPHS, NODES, CHANNELS = 3, 5, 7
PTR = torch.arange(GRAPHS + 1) * NODES
EDGES = complete_edges(GRAPHS, NODES)
ROUTES = pytest.mark.parametrize(
    "promise", [{}, {"graph_size": NODES}, {"ptr": PTR}], ids=["edges", "equal", "ragged"]
)


def nodes():
    return torch.randn(GRAPHS * NODES, CHANNELS)


@pytest.mark.parametrize("promise", [{"graph_size": NODES}, {"ptr": PTR}], ids=["equal", "ragged"])
def test_a_message_hook_is_called_and_changes_nothing_in_blocks(promise):
    gcn, x = AffinityGCN(CHANNELS, 4, num_layers=2), nodes()
    before = gcn(x, EDGES, **promise)
    seen = []
    handle = gcn.convs[1].register_message_forward_hook(
        lambda module, inputs, out: seen.append(out.shape)
    )
    torch.testing.assert_close(gcn(x, EDGES, **promise), before)
    assert seen == [(EDGES.size(1) + len(x), 4)]  # the identity of Eq. 4 behind the edges
    handle.remove()
    gcn(x, EDGES, **promise)
    assert len(seen) == 1


@pytest.mark.parametrize("layer", [SquaredAffinity, SoftmaxAffinity, CosineAffinity])
@pytest.mark.parametrize("promise", [{"graph_size": NODES}, {"ptr": PTR}], ids=["equal", "ragged"])
def test_an_edge_hook_on_the_affinity_gives_the_same_weights(layer, promise):
    affinity, x = layer(CHANNELS), nodes()
    edges = EDGES[:, torch.randperm(EDGES.size(1))]
    before = affinity(x, edges, **promise)
    seen = []
    affinity.register_edge_update_forward_hook(lambda module, inputs, out: seen.append(out))
    torch.testing.assert_close(affinity(x, edges, **promise), before)
    assert len(seen) == 1


@ROUTES
def test_a_message_hook_can_silence_an_edge(promise):
    conv, x = AffinityConv(CHANNELS, 4), nodes()
    weight = torch.rand(EDGES.size(1))
    silenced = weight.clone()
    silenced[3] = 0

    def silence(module, inputs, out):
        keep = torch.ones(len(out), 1)
        keep[3] = 0
        return out * keep

    expected = conv(x, EDGES, silenced, **promise)
    conv.register_message_forward_hook(silence)
    torch.testing.assert_close(conv(x, EDGES, weight, **promise), expected)


@ROUTES
def test_forward_hooks_see_every_layer(promise):
    gcn, seen = AffinityGCN(CHANNELS, 4, num_layers=2), []
    for module in (gcn.affinity, *gcn.convs):
        module.register_forward_hook(lambda module, inputs, out: seen.append(type(module)))
    gcn(nodes(), EDGES, **promise)
    assert seen == [SquaredAffinity, AffinityConv, AffinityConv]


class NodeClassifier(torch.nn.Module):
    def __init__(self, promise):
        super().__init__()
        self.gcn = AffinityGCN(CHANNELS, 4, num_layers=1)
        self.promise = promise

    def forward(self, x, edge_index):
        return self.gcn(x, edge_index, **self.promise)


@ROUTES
def test_an_explainers_edge_mask_is_a_mask_of_the_edges(promise):
    model, x = NodeClassifier(promise).eval(), nodes()
    explainer = Explainer(
        model,
        GNNExplainer(epochs=3),
        explanation_type="model",
        edge_mask_type="object",
        model_config={"mode": "regression", "task_level": "node", "return_type": "raw"},
    )
    explanation = explainer(x, EDGES, index=2)
    mask = explanation.edge_mask
    assert mask.shape == (EDGES.size(1),)
    # Only the edges into node 2 can tell why node 2 got its value.
    assert (mask[EDGES[1] == 2] > 0).all()
    assert (mask[EDGES[1] != 2] == 0).all()


def mask_all(conv):
    conv.explain = True
    conv._edge_mask = torch.zeros(EDGES.size(1))
    conv._loop_mask = EDGES[0] != EDGES[1]
    conv._apply_sigmoid = False


@ROUTES
def test_an_edge_mask_reaches_the_messages(promise):
    conv, weight = AffinityConv(CHANNELS, 4), torch.rand(EDGES.size(1))
    mask_all(conv)
    assert (conv(nodes(), EDGES, weight, **promise) == 0).all()


@ROUTES
@pytest.mark.parametrize("propagated", ["all", "one"])
@pytest.mark.parametrize("num_frames", [None, GRAPHS])
def test_the_identity_of_equation_4_is_not_masked(promise, propagated, num_frames):
    if num_frames is not None and not promise:
        promise = {"batch": torch.arange(GRAPHS).repeat_interleave(NODES)}
    gcn = AffinityGCN(CHANNELS, 4, num_layers=2, num_frames=num_frames).double()
    x, seen = nodes().double(), []
    for conv in gcn.convs if propagated == "all" else gcn.convs[:1]:
        mask_all(conv)
        conv.register_forward_hook(lambda module, inputs, out: seen.append((inputs[0], out)))
    gcn(x, EDGES, **promise)
    for conv, (given, out) in zip(gcn.convs, seen, strict=False):
        alone = conv.transform(given, ptr=PTR)
        torch.testing.assert_close(out, alone / 2)  # A's rows sum to 1, so degrees are 2


class Masked(torch.nn.Module):
    """A stack with a number on each edge that scales what flows along it, as explainers do it."""

    def __init__(self, gcn, way):
        super().__init__()
        self.gcn, self.way = gcn, way

    def forward(self, x, edge_index, mask, **promise):
        if self.way == "mask":
            set_masks(self.gcn, torch.nn.Parameter(mask), edge_index, apply_sigmoid=False)
            out = self.gcn(x, edge_index, **promise)
            clear_masks(self.gcn)
            return out
        handles = [
            conv.register_message_forward_hook(
                lambda module, inputs, out: torch.cat(
                    [mask[:, None] * out[: len(mask)], out[len(mask) :]]
                )
            )
            for conv in self.gcn.convs
        ]
        out = self.gcn(x, edge_index, **promise)
        for handle in handles:
            handle.remove()
        return out


def masked_by_the_book(gcn, x, edge_index, mask, kind):
    """Equations 2 to 6 with the messages along the edges scaled, and those of the identity not."""
    a = affinity_by_the_book(x @ gcn.affinity.phi.weight.T, joined_by(edge_index, len(x)), kind)
    scales = torch.zeros_like(a)
    scales[edge_index[1], edge_index[0]] = mask
    degree = 1 + a.sum(dim=1)
    a_hat = (a * scales + torch.eye(len(x))) / (degree[:, None] * degree).sqrt()
    for m, (conv, norm) in enumerate(zip(gcn.convs, gcn.norms, strict=True)):
        h = torch.nn.functional.leaky_relu(norm(a_hat @ x @ conv.lin.weight.T), 0.1)
        x = h + x if m > 0 else h
    return x


@pytest.mark.parametrize("way", ["mask", "hook"])
@pytest.mark.parametrize("kind", ["squared", "softmax", "cosine"])
@pytest.mark.parametrize("order", ["of blocks", "shuffled"])
def test_a_masked_explanation_is_the_same_on_all_routes(way, kind, order):
    gcn = AffinityGCN(CHANNELS, 4, num_layers=3, affinity=kind).double()
    x, edges = nodes().double(), EDGES
    if order == "shuffled":
        edges = edges[:, torch.randperm(edges.size(1))]
    mask = torch.rand(edges.size(1), dtype=torch.float64)
    with torch.no_grad():
        expected = masked_by_the_book(gcn, x, edges, mask, kind)
        batch = torch.arange(GRAPHS).repeat_interleave(NODES)
        for promise in ({}, {"graph_size": NODES}, {"ptr": PTR}, {"batch": batch}):
            found = Masked(gcn, way)(x, edges, mask, **promise)
            torch.testing.assert_close(found, expected)


@ROUTES
def test_an_explainer_learns_the_same_mask_on_all_routes(promise):
    torch.manual_seed(1)
    x, plain = nodes(), NodeClassifier({}).eval()
    model = NodeClassifier(promise).eval()
    model.load_state_dict(plain.state_dict())
    masks = []
    for network in (plain, model):
        torch.manual_seed(2)
        explainer = Explainer(
            network,
            GNNExplainer(epochs=20),
            explanation_type="model",
            edge_mask_type="object",
            model_config={"mode": "regression", "task_level": "node", "return_type": "raw"},
        )
        masks.append(explainer(x, EDGES, index=2).edge_mask)
    torch.testing.assert_close(masks[1], masks[0], rtol=1e-3, atol=1e-3)


@ROUTES
def test_a_hook_on_a_norm_keeps_what_the_norm_gave(promise):
    gcn, x, kept, gradients = AffinityGCN(CHANNELS, 4, num_layers=2), nodes(), [], []
    for norm in gcn.norms:
        norm.register_forward_hook(lambda module, inputs, out: kept.append((module, *inputs, out)))
        norm.register_full_backward_hook(lambda module, grads, _: gradients.append(grads[0].shape))
    gcn(x, EDGES, **promise).sum().backward()
    for norm, given, out in kept:
        expected = torch.nn.functional.layer_norm(given, (4,), norm.weight, norm.bias)
        torch.testing.assert_close(out, expected)
        assert (out < -0.5).any()  # a leaky ReLU would have shrunk it
    assert gradients == [(len(x), 4)] * 2


@ROUTES
@pytest.mark.parametrize("affinity", ["squared", "softmax", "cosine"])
def test_full_backward_hooks_are_called_on_every_module(promise, affinity):
    gcn, called = AffinityGCN(CHANNELS, 4, num_layers=2, affinity=affinity), []
    # Blocks do not call what sums messages, and nobody calls a list of modules.
    named = [
        (n, m) for n, m in gcn.named_modules() if not n.endswith(("convs", "norms", "aggr_module"))
    ]
    for name, module in named:
        module.register_full_backward_hook(lambda _, grads, outs, name=name: called.append(name))
    x = nodes().requires_grad_()
    gcn(x, EDGES, **promise).square().sum().backward()
    hooked = x.grad
    assert sorted(called) == sorted(name for name, _ in named)
    plain = AffinityGCN(CHANNELS, 4, num_layers=2, affinity=affinity)
    plain.load_state_dict(gcn.state_dict())
    x.grad = None
    plain(x, EDGES, **promise).square().sum().backward()
    torch.testing.assert_close(hooked, x.grad)


@pytest.mark.parametrize("affinity", ["squared", "softmax", "cosine"])
def test_a_message_hook_changes_nothing_in_a_masked_dense_batch(affinity):
    gcn = DenseAffinityGCN(CHANNELS, 4, num_layers=2, affinity=affinity)
    x, mask = torch.randn(3, 5, CHANNELS), torch.rand(3, 5) > 0.3
    before, a = gcn(x, mask, return_attention_weights=True)
    pairs = int(mask.sum(dim=1).square().sum())
    for layer in ("conv", "affinity"):
        seen = []
        if layer == "conv":
            handle = gcn.convs[1].register_message_forward_hook(
                lambda module, inputs, out, seen=seen: seen.append(len(out))
            )
        else:
            handle = gcn.affinity.register_edge_update_forward_hook(
                lambda module, inputs, out, seen=seen: seen.append(len(out))
            )
        out, weights = gcn(x, mask, return_attention_weights=True)
        torch.testing.assert_close(out, before)
        torch.testing.assert_close(weights, a)
        assert seen == [pairs + (mask.numel() if layer == "conv" else 0)]
        handle.remove()


def test_layers_work_in_pygs_loader_and_sequential():
    graphs = [
        Data(x=torch.randn(size, CHANNELS), edge_index=complete_edges(1, size), num_nodes=size)
        for size in (3, 1, 4, 2)
    ]
    model = Sequential(
        "x, edge_index, ptr",
        [(AffinityGCN(CHANNELS, 6, num_layers=2), "x, edge_index, ptr=ptr -> x")],
    )
    alone = torch.cat([model(g.x, g.edge_index, None) for g in graphs])
    together = [model(b.x, b.edge_index, b.ptr) for b in DataLoader(graphs, batch_size=3)]
    torch.testing.assert_close(torch.cat(together), alone)


def test_a_batch_goes_apart_and_together_again():
    batch = temporal_graphs(torch.randn(5, 2, CHANNELS), num_frames=[2, 3])
    again = Batch.from_data_list(batch.to_data_list())
    gcn = AffinityGCN(CHANNELS, 6, num_layers=2)
    torch.testing.assert_close(
        gcn(again.x, again.edge_index, ptr=again.ptr), gcn(batch.x, batch.edge_index, ptr=batch.ptr)
    )
    assert batch[1].num_nodes == 6


def test_layers_move_between_devices_and_types():
    # The meta device is a device that every machine has.
    gcn = AffinityGCN(CHANNELS, 6, num_layers=2).to("meta")
    edges = torch.empty(2, GRAPHS * NODES * NODES, dtype=torch.long, device="meta")
    out = gcn(torch.empty(GRAPHS * NODES, CHANNELS, device="meta"), edges, graph_size=NODES)
    assert out.device.type == "meta"
    assert out.shape == (GRAPHS * NODES, 6)
    half = AffinityGCN(CHANNELS, 6, num_layers=2).to(torch.bfloat16)
    for promise in ({}, {"graph_size": NODES}, {"ptr": PTR}):
        assert half(nodes().to(torch.bfloat16), EDGES, **promise).dtype == torch.bfloat16


@ROUTES
def test_layers_run_under_autocast(promise):
    gcn, x = AffinityGCN(CHANNELS, 6, num_layers=2), nodes()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = gcn(x, EDGES, **promise)
    out.float().sum().backward()
    torch.testing.assert_close(out.float(), gcn(x, EDGES), rtol=0.1, atol=0.1)


def test_layers_pickle_copy_and_load_their_state():
    gcn = AffinityGCN(CHANNELS, 6, num_layers=2, num_frames=GRAPHS)
    x = nodes()
    fresh = AffinityGCN(CHANNELS, 6, num_layers=2, num_frames=GRAPHS)
    fresh.load_state_dict(gcn.state_dict())
    for other in (copy.deepcopy(gcn), pickle.loads(pickle.dumps(gcn)), fresh):
        assert torch.equal(other(x, EDGES, graph_size=NODES), gcn(x, EDGES, graph_size=NODES))
    fresh.reset_parameters()
    for name, parameter in fresh.named_parameters():
        if "norm" not in name:
            assert not torch.equal(parameter, gcn.get_parameter(name)), name
    assert isinstance(gcn.affinity, MessagePassing)
    assert isinstance(gcn.convs[0], MessagePassing)


def test_layers_say_what_they_are():
    gcn = AffinityGCN(16, 8, num_layers=1, num_frames=2, affinity="cosine")
    text = repr(gcn)
    assert "CosineAffinity(16, 16)" in text
    assert "AffinityConv(16, 8, num_frames=2)" in text
    assert repr(gcn.convs[0].lin) == "PerFrameLinear(2, 16, 8)"


def test_ragged_edges_are_those_of_complete_graphs_in_order():
    sizes = [2, 0, 3]
    parts = [complete_edges(1, size) + first for size, first in zip(sizes, [0, 2, 2], strict=True)]
    assert torch.equal(ragged_edges(sizes), torch.cat(parts, dim=1))
