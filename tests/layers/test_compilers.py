"""torch.compile, torch.export and ONNX take the layers and the network whole."""

import onnxruntime
import pytest
import torch
from conftest import slow
from torch._dynamo.testing import CompileCounter
from torch._subclasses import FakeTensorMode
from torch.export import Dim, export

from stgcn_pyg import STGCN
from stgcn_pyg.layers import (
    AffinityGCN,
    DenseAffinityGCN,
    complete_edges,
    frame_edges,
    part_edges,
    patch_nodes,
    pool_graphs,
    ragged_edges,
    skeleton_edges,
    temporal_graphs,
    top_k_mask,
    window_edges,
)

pytestmark = pytest.mark.usefixtures("shapes_unchecked")

C, T, P = 16, 3, 4  # sizes that no number of graphs below is equal to


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch.compiler.reset()


def calls_and_compilations(function, batches):
    """The answers, held to those without the compiler, and how often it compiled."""
    counter = CompileCounter()
    compiled = torch.compile(function, fullgraph=True, dynamic=True, backend=counter)
    for batch in batches:
        torch.testing.assert_close(compiled(*batch), function(*batch))
    return counter.frame_count


def equal_batch(num_graphs, size=P):
    return torch.randn(num_graphs * size, C), complete_edges(num_graphs, size)


def ragged_batch(sizes):
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    return torch.randn(sum(sizes), C), ragged_edges(sizes), ptr


@pytest.mark.parametrize(
    ("affinity", "graph_size"),
    [
        ("squared", P),
        ("squared", None),
        slow("softmax", P),
        slow("softmax", None),
        slow("cosine", P),
        slow("cosine", None),
    ],
)
def test_the_stack_compiles_once_whatever_the_number_of_graphs(affinity, graph_size):
    gcn = AffinityGCN(C, 8, num_layers=2, affinity=affinity)
    batches = [equal_batch(graphs) for graphs in (2, 5, 7, 33)]
    assert calls_and_compilations(lambda x, e: gcn(x, e, graph_size=graph_size), batches) == 1


@pytest.mark.slow
def test_weights_by_frame_compile_once():
    gcn = AffinityGCN(C, 8, 2, num_frames=T)
    batches = [equal_batch(T * videos) for videos in (2, 5, 7)]
    assert calls_and_compilations(lambda x, e: gcn(x, e, graph_size=P), batches) == 1


@pytest.mark.parametrize("num_frames", [None, T])
def test_ragged_batches_compile_once(num_frames):
    gcn = AffinityGCN(C, 8, 2, num_frames=num_frames)
    batches = [
        ragged_batch(sizes)
        for sizes in ([2, 3, 4, 5, 1, 2], [4, 3, 1, 7, 2, 2, 2, 2, 2], [5, 2, 2, 2, 1, 1] * 2)
    ]

    def run(x, edge_index, ptr):
        return pool_graphs(gcn(x, edge_index, ptr=ptr), ptr=ptr)

    assert calls_and_compilations(run, batches) == 1


@pytest.mark.parametrize("num_frames", [None, slow(2)])
@pytest.mark.parametrize("of_graphs", ["ptr", "batch"])
def test_complete_graphs_of_any_sizes_compile_once_without_edges(of_graphs, num_frames):
    gcn = AffinityGCN(C, 8, 2, num_frames=num_frames)
    batches = []
    for sizes in ([2, 3, 4, 5], [4, 3, 1, 7, 2, 2], [5, 2, 1, 1, 1, 1, 3, 2]):
        x, _, ptr = ragged_batch(sizes)
        batch = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
        batches.append((x, {"ptr": ptr, "batch": batch}[of_graphs]))
    assert calls_and_compilations(lambda x, graphs: gcn(x, **{of_graphs: graphs}), batches) == 1


def test_complete_graphs_of_any_sizes_are_exported_without_edges():
    class Stack(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gcn = AffinityGCN(C, 8, num_layers=1)

        def forward(self, x, ptr):
            return self.gcn(x, ptr=ptr)

    stack, shapes = Stack(), {"x": {0: Dim("nodes", min=2)}, "ptr": {0: Dim("starts", min=3)}}
    batches = [ragged_batch(sizes)[::2] for sizes in ([2, 3, 4], [4, 3, 1, 7])]
    program = export(stack, batches[0], dynamic_shapes=shapes)
    for batch in batches:
        torch.testing.assert_close(program.module()(*batch), stack(*batch))


def test_graphs_of_several_lengths_are_made_inside_a_compiled_graph():
    def run(nodes, lengths):
        batch = temporal_graphs(nodes, lengths)
        return batch.x, batch.edge_index, batch.ptr, ragged_edges(lengths)

    nodes = torch.randn(6, P, C)
    batches = [(nodes, torch.tensor(lengths)) for lengths in ([2, 4], [3, 2, 1])]
    compiled = torch.compile(run, fullgraph=True, dynamic=True, backend="eager")
    for batch in batches:
        for found, expected in zip(compiled(*batch), run(*batch), strict=True):
            assert torch.equal(found, expected)


@pytest.mark.parametrize("affinity", ["squared", slow("softmax"), slow("cosine")])
def test_dense_masked_batches_of_the_nearest_compile_once_and_export(affinity):
    gcn = DenseAffinityGCN(C, 8, num_layers=2, affinity=affinity, heads=2)

    class Nearest(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gcn = gcn

        def forward(self, x, mask):
            a = self.gcn.attention_weights(x, mask)
            keep = top_k_mask(a.mean(dim=1), 2, mask=mask)
            return pool_graphs(self.gcn(x, mask, edge_weight=keep), mask=mask)

    batches = [(torch.randn(n, 5, C), torch.rand(n, 5) > 0.3) for n in (2, 5, 7)]
    assert calls_and_compilations(Nearest(), batches) == 1
    shapes = {"x": {0: Dim("batch", min=1)}, "mask": {0: Dim("batch", min=1)}}
    program = export(Nearest().eval(), batches[0], dynamic_shapes=shapes)
    for batch in batches:
        torch.testing.assert_close(program.module()(*batch), Nearest()(*batch))


@pytest.mark.slow
def test_the_nearest_of_ragged_batches_compile_once():
    gcn = AffinityGCN(C, 8, num_layers=2)

    class Nearest(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gcn = gcn

        def forward(self, x, edge_index, ptr):
            a = self.gcn.affinity(x, edge_index, ptr=ptr)
            return self.gcn(x, edge_index, top_k_mask(a, 2, edge_index=edge_index), ptr=ptr)

    batches = [ragged_batch(sizes) for sizes in ([2, 3, 4], [4, 3, 1, 7], [5, 2])]
    assert calls_and_compilations(Nearest(), batches) == 1


@pytest.mark.slow
def test_the_nearest_by_edge_export_with_any_number_of_edges():
    gcn = AffinityGCN(C, 8, num_layers=2).eval()

    class Nearest(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gcn = gcn

        def forward(self, x, edge_index):
            a = self.gcn.affinity(x, edge_index)
            return self.gcn(x, edge_index, top_k_mask(a, 2, edge_index=edge_index))

    batches = [ragged_batch(sizes)[:2] for sizes in ([2, 3, 4], [4, 3, 1, 7], [5, 2])]
    shapes = {"x": {0: Dim("nodes", min=2)}, "edge_index": {1: Dim("edges", min=3)}}
    program = export(Nearest(), batches[0], dynamic_shapes=shapes)
    for batch in batches:
        torch.testing.assert_close(program.module()(*batch), Nearest()(*batch))


@pytest.mark.slow
def test_edges_by_name_are_followed_inside_a_compiled_graph():
    gcn = AffinityGCN(17, 8, num_layers=2)
    for make in (
        lambda n: frame_edges(n, 2, 3),
        lambda n: window_edges(n, 3, 2, 1),
        lambda n: part_edges(n, 3, 2),
        lambda n: skeleton_edges([(0, 1), (1, 2)], n, 2),
    ):

        def run(x, make=make):
            return gcn(x.flatten(0, 1), make(x.size(0)))

        batches = [(torch.randn(graphs, 6, 17),) for graphs in (2, 5, 7)]
        assert calls_and_compilations(run, batches) == 1


@pytest.mark.slow
def test_a_batch_made_inside_a_compiled_graph_is_followed():
    gcn = AffinityGCN(C, 8, num_layers=2)

    def run(feature_maps):
        batch = temporal_graphs(patch_nodes(feature_maps, P), num_frames=T)
        return gcn(batch.x, batch.edge_index, graph_size=T * P)

    batches = [(torch.randn(videos * T, C, 8, 4),) for videos in (2, 5, 7)]
    assert calls_and_compilations(run, batches) == 1


class TokenBranch(torch.nn.Module):
    """Makes its graphs inside, of as many frames as come."""

    def __init__(self):
        super().__init__()
        self.gcn = AffinityGCN(C, 8, num_layers=2)

    def forward(self, stripes):  # [B, T, P, C]
        graph_size = stripes.size(1) * stripes.size(2)
        batch = temporal_graphs(stripes.flatten(0, 1), num_frames=stripes.size(1))
        x = self.gcn(batch.x, batch.edge_index, graph_size=graph_size)
        return pool_graphs(x, graph_size=graph_size)


@pytest.mark.parametrize("strict", [False, slow(True)])
def test_graphs_of_a_free_number_of_frames_are_exported(strict):
    branch = TokenBranch().eval()
    shapes = {"stripes": {0: Dim("batch", min=1), 1: Dim("frames", min=1, max=64)}}
    program = export(branch, (torch.randn(2, 3, P, C),), dynamic_shapes=shapes, strict=strict)
    for videos, frames in ((2, 3), (4, 3), (1, 7)):
        x = torch.randn(videos, frames, P, C)
        torch.testing.assert_close(program.module()(x), branch(x))


def test_fake_tensors_go_through_by_graph_size():
    # Tensors without values, by which memory and operations are counted.
    with FakeTensorMode():
        gcn, (x, edges) = AffinityGCN(C, 8, num_layers=2), equal_batch(5)
        assert gcn(x, edges, graph_size=P).shape == (5 * P, 8)


@pytest.mark.slow
def test_gradients_are_those_without_the_compiler():
    gcn, (x, edges) = AffinityGCN(C, 8, num_layers=2), equal_batch(5)
    compiled = torch.compile(gcn, fullgraph=True, dynamic=True, backend="aot_eager")
    for run in (gcn, compiled):
        gcn.zero_grad()
        run(x, edges, graph_size=P).square().sum().backward()
        gradients = [p.grad for p in gcn.parameters()]
        expected = gradients if run is gcn else expected
    torch.testing.assert_close(gradients, expected)


def network():
    return STGCN(11, num_frames=T, backbone="resnet18", weights=None).eval()


def clips(batch):
    return torch.randn(batch, T, 3, 64, 32)


@pytest.mark.slow
@pytest.mark.usefixtures("narrow_backbone")
def test_the_network_compiles_once():
    # From 16 frames on: below, torch's own convolution is compiled for a size apart.
    model = network()
    with torch.no_grad():
        assert calls_and_compilations(model, [(clips(batch),) for batch in (6, 7, 11)]) == 1


@pytest.mark.usefixtures("narrow_backbone")
def test_the_network_exports_with_a_free_batch_size():
    model = network()
    program = export(model, (clips(2),), dynamic_shapes={"clips": {0: Dim("batch", min=1)}})
    for batch in (1, 2, 5):
        x = clips(batch)
        torch.testing.assert_close(program.module()(x), model(x))


@pytest.mark.slow
@pytest.mark.usefixtures("narrow_backbone")
def test_onnxruntime_computes_what_the_network_does(tmp_path):
    model, path = network(), tmp_path / "stgcn.onnx"
    torch.onnx.export(
        model,
        (clips(2),),
        path,
        dynamic_shapes={"clips": {0: Dim("batch", min=1)}},
        input_names=["clips"],
        output_names=[*model.branches, "embedding", "logits"],
    )
    session = onnxruntime.InferenceSession(path)
    for batch in (1, 2, 5):
        x = clips(batch)
        with torch.no_grad():
            output = model(x)
        expected = [*output.features.values(), output.embedding, output.logits]
        results = session.run(None, {"clips": x.numpy()})
        for result, want in zip(results, expected, strict=True):
            torch.testing.assert_close(torch.tensor(result), want, rtol=1e-4, atol=1e-4)
