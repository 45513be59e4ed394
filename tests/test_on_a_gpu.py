"""A step, the layers and the evaluation on a GPU are those of the CPU, within a tolerance."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
import torch.distributed as dist
from device import DEVICE, ON_A_GPU, error
from torch.nn.functional import pad

from stgcn_pyg import STGCN
from stgcn_pyg.data import ClipBatch
from stgcn_pyg.distributed import ProcessGroup
from stgcn_pyg.evaluation import evaluate_features, rerank
from stgcn_pyg.export import ExportedNetwork, export_program
from stgcn_pyg.layers import AffinityGCN, complete_edges, ragged_edges
from stgcn_pyg.runs.devices import tf32_allowed
from stgcn_pyg.runs.training import STGCNTraining
from stgcn_pyg.runs.training.data_parallel import data_parallel

pytestmark = pytest.mark.usefixtures("shapes_unchecked")
DOUBLE = torch.float64

# -- A training step -------------------------------------------------------------------------------

GENERATOR = torch.Generator().manual_seed(0)
CLIPS = torch.randn(8, 2, 3, 64, 32, generator=GENERATOR)
LABELS = torch.arange(4).repeat_interleave(2)


def network():
    torch.manual_seed(0)
    size = {"temporal_patches": 2, "spatial_patches": 2, "spatial_channels": 32}
    return STGCN(4, 2, "resnet18", weights=None, **size)


def step(module, device, dtype=torch.float32, precision="32-true"):
    """The loss of a batch and its gradients, on the CPU."""
    module = module.to(device, dtype).train()
    with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16-mixed"):
        loss = module(ClipBatch(CLIPS.to(device, dtype), LABELS.to(device)))["loss"]
    loss.backward()
    return loss.detach().cpu(), [p.grad.cpu() for p in module.parameters() if p.grad is not None]


def plain(**options):
    """A training whose loss has a gradient at any distance."""
    return STGCNTraining(network(), **{"margin": "soft", "compile": "off"} | options)


# Where rounding changes which node is a graph's largest, or which clip is the hardest, a gradient
# takes another way: with bfloat16 it is as far from float64 on a CPU, 0.4 to 0.5.
@pytest.mark.parametrize(
    ("precision", "tf32", "compile", "of_loss", "of_gradients"),
    [
        ("32-true", False, "off", 1e-5, 1e-2),
        ("32-true", False, "on", 1e-5, 1e-2),
        ("32-true", True, "off", 1e-2, 0.1),
        ("bf16-mixed", True, "on", 3e-2, 0.6),
    ],
)
def test_a_step_has_the_loss_and_the_gradients_of_float64(
    precision, tf32, compile, of_loss, of_gradients, monkeypatch
):
    torch.compiler.reset()
    if not ON_A_GPU:  # the graph is followed, but no code is made of it, which takes minutes
        monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    loss, gradients = step(plain(channels_last=False), "cpu", DOUBLE)
    module = plain(compile=compile, channels_last=True)
    with tf32_allowed(tf32):
        found, found_gradients = step(module, DEVICE, precision=precision)
    assert module.compiled_forward.compiled == (compile == "on")
    assert error([found], [loss]) < of_loss
    assert error(found_gradients, gradients) < of_gradients


@pytest.mark.parametrize(("allowed", "least", "most"), [(False, 0, 3e-6), (True, 3e-5, 3e-3)])
def test_tf32_false_is_float32(allowed, least, most):
    model = network().eval()
    with torch.no_grad():
        expected = network().eval().to(DOUBLE)(CLIPS.to(DOUBLE)).embedding
        with tf32_allowed(allowed):
            found = error([model.to(DEVICE)(CLIPS.to(DEVICE)).embedding], [expected])
    assert (least if ON_A_GPU else 0) <= found < most


def test_processes_take_the_step_of_one(tmp_path):
    """NCCL, DistributedDataParallel and SyncBatchNorm; one GPU has room for a single process."""
    loss, gradients = step(plain(channels_last=False), "cpu", DOUBLE)
    backend = "nccl" if ON_A_GPU else "gloo"
    dist.init_process_group(backend, init_method=f"file://{tmp_path}/s", rank=0, world_size=1)
    try:
        module, device = plain().to(DEVICE), torch.device(DEVICE)
        two = ProcessGroup(0, 2)  # for which all is done that several processes need
        with tf32_allowed(False), data_parallel(module, two, device, True) as parallel:
            batch_norm = module.model.backbone.get_submodule("bn1")
            assert type(batch_norm) is not torch.nn.BatchNorm2d
            found, found_gradients = step(parallel, DEVICE)
    finally:
        dist.destroy_process_group()
    assert error([found], [loss]) < 1e-5
    assert error(found_gradients, gradients) < 1e-3


# -- Layers ----------------------------------------------------------------------------------------

SIZES = torch.tensor([3, 6, 1, 8, 8, 2])
V = int(SIZES.sum())
WAYS = {
    "blocks": (complete_edges(V // 4, 4), {"graph_size": 4}),
    "ragged": (ragged_edges(SIZES), {"ptr": pad(SIZES.cumsum(0), (1, 0))}),
    "edges": (torch.randint(V, (2, 9 * V), generator=GENERATOR), {}),
}


def stack(dtype, device, way, affinity="squared", rounded=torch.float32):
    """A stack on its device, its nodes, and the arguments that tell its edges."""
    torch.manual_seed(0)
    gcn = AffinityGCN(32, 32, 3, affinity=affinity).to(rounded).to(device, dtype)
    x = torch.randn(V, 32, generator=torch.Generator().manual_seed(1)).to(rounded)
    edges, how = WAYS[way]
    how = {name: v.to(device) if torch.is_tensor(v) else v for name, v in how.items()}
    return gcn, x.to(device, dtype).requires_grad_(), (edges.to(device), how)


def forward_and_backward(gcn, x, edges):
    out = gcn(x, edges[0], **edges[1])
    gradient = torch.randn(out.shape, generator=torch.Generator().manual_seed(2)).bfloat16()
    out.backward(gradient.to(out))
    return [out.detach(), x.grad, *(p.grad for p in gcn.parameters())]


@pytest.mark.parametrize("affinity", ["squared", "softmax", "cosine"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("dtype", "of_output", "of_gradients"),
    # Of bfloat16, a value near 0 falls on the other side of LeakyReLU: up to 0.12 on a CPU.
    [(torch.float32, 2e-6, 2e-5), (torch.bfloat16, 1e-2, 0.25)],
)
def test_layers_are_those_of_float64(way, dtype, of_output, of_gradients, affinity):
    expected = forward_and_backward(*stack(DOUBLE, "cpu", way, affinity, rounded=dtype))
    found = forward_and_backward(*stack(dtype, DEVICE, way, affinity))
    assert error(found[:1], expected[:1]) < of_output
    assert error(found[1:], expected[1:]) < of_gradients


@pytest.mark.parametrize(("way", "most"), [("blocks", 0), ("edges", 0), ("ragged", 2)])
def test_how_often_a_forward_makes_the_host_wait(way, most):
    """Ragged graphs: where they begin, and whether their edges are complete."""
    gcn, x, (edges, how) = stack(torch.float32, DEVICE, way)
    if not ON_A_GPU:
        pytest.skip("the CPU's own look at edges costs no waiting")
    gcn(x, edges, **how)
    with warnings.catch_warnings(record=True) as waits:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            gcn(x, edges, **how)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert sum("called a synchronizing" in str(wait.message) for wait in waits) <= most


# -- Evaluation ------------------------------------------------------------------------------------


def ranked():
    """Features in clusters, some of them equal, and their labels."""
    rng = np.random.default_rng(0)
    pids = rng.integers(1, 40, 760)
    features = rng.standard_normal((40, 256))[pids] + 2 * rng.standard_normal((760, 256))
    features[100:140] = features[60:100]
    cameras = rng.integers(1, 5, 760)
    features = torch.from_numpy(features).float()
    labels = pids[:60], pids[60:], cameras[:60], cameras[60:]
    return features[:60], features[60:], labels


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_ranking_there_is_ranking_here(metric):
    queries, gallery, labels = ranked()
    expected = evaluate_features(queries, gallery, *labels, metric=metric)
    there = queries.to(DEVICE), gallery.to(DEVICE)
    for found in (
        evaluate_features(*there, *labels, metric=metric),
        evaluate_features(queries, gallery, *labels, metric=metric, device=DEVICE, block_size=7),
    ):
        assert found.mAP == expected.mAP
        np.testing.assert_array_equal(found.cmc, expected.cmc)
        np.testing.assert_array_equal(found.average_precision, expected.average_precision)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_reranking_there_is_reranking_here(metric):
    queries, gallery, _ = ranked()
    expected = rerank(queries, gallery, metric=metric)
    assert torch.equal(rerank(queries, gallery, metric=metric, device=DEVICE), expected)
    assert torch.equal(rerank(queries.to(DEVICE), gallery.to(DEVICE), metric=metric), expected)


# -- Export ----------------------------------------------------------------------------------------


def test_a_network_there_is_exported_with_a_number_of_clips_without_an_end():
    model = network().to(DEVICE)
    program = export_program(ExportedNetwork(model, 64, 32))
    (limits,) = program.range_constraints.values()  # on CUDA they would end at 65,535
    assert limits.lower == 1 and limits.upper > 10**12
    assert next(model.parameters()).device.type == DEVICE
