"""One of eight processes with a fake GPU each: its part of the batch, and the loss over all."""

import pytest
import torch
from conftest import MarsTree
from crossings import Crossings
from fake_gpu import backward, fake_cuda, move, network
from training_data import batches

from stgcn_pyg.data import load_dataset
from stgcn_pyg.distributed import ProcessGroup
from stgcn_pyg.planning.fake_cuda import fake_processes
from stgcn_pyg.runs.training import STGCNTraining, data_parallel
from stgcn_pyg.runs.training import module as training

pytestmark = pytest.mark.usefixtures("shapes_unchecked", "narrow_backbone")

R, P, K = 8, 16, 2


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    tree = MarsTree(tmp_path_factory.mktemp("eight") / "mars")
    for pid in range(10, 10 + 2 * P, 2):
        tree.add("train", pid, camid=1, frames=2)
    dataset = load_dataset("mars", tree.write())
    return batches(dataset, identities_per_batch=P, tracklets_per_identity=K)


def first_batch(data):
    return next(iter(data.train_dataloader()))


def test_the_parts_of_all_are_the_batch_of_one(data):
    parts = []
    for rank in range(R):
        with fake_processes(rank, R):
            parts.append(first_batch(data))
    data.sampler.share(0, 1)
    whole = first_batch(data)
    assert {len(part.clips) for part in parts} == {P * K // R}
    for name in ("clips", "labels", "changes"):
        joined = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(joined, getattr(whole, name))


@pytest.fixture
def without_reducer(monkeypatch):
    """DistributedDataParallel adds gradients up in C++, which takes no fake tensors."""
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(data_parallel, "DistributedDataParallel", lambda module, devices: module)


@pytest.mark.usefixtures("without_reducer")
@pytest.mark.parametrize("synchronised", [True, False])
@pytest.mark.parametrize("options", [{}, {"micro_batches": 2, "centre_loss": 0.1}])
def test_the_loss_is_over_all_and_waits_for_nothing(data, options, synchronised, monkeypatch):
    seen = {}

    def losses(features, logits, labels, *more, original=training.stgcn_losses):
        seen.update(features, logits=logits, labels=labels)
        return original(features, logits, labels, *more)

    monkeypatch.setattr(training, "stgcn_losses", losses)
    model = network(data.num_classes, neck="bnneck")
    module = STGCNTraining(model, compile="off", **options)
    group = ProcessGroup(rank=5, world_size=R)
    how = torch.device("cuda"), synchronised, True  # the batch norms of a compiled network
    with fake_processes(5, R), fake_cuda():
        move(module)
        optimizer, _ = module.build_optimizer(1)
        with data_parallel.data_parallel(module, group, *how) as parallel:
            kinds = {type(part) for part in module.modules() if "Norm" in type(part).__name__}
            kinds.discard(torch.nn.LayerNorm)
            assert (kinds == {data_parallel.SyncedBatchNorm}) == synchronised
            with Crossings() as crossings:
                batch = data.move_and_normalize(first_batch(data), "cuda", model.mean, model.std)
                with torch.autocast("cuda", torch.bfloat16):
                    terms = parallel(batch)
                backward(terms["loss"])
                optimizer.step()
    assert crossings.found == []
    assert {(len(value), value.device.type) for value in seen.values()} == {(P * K, "cuda")}
    for weight in module.model.parameters():
        if weight.requires_grad:
            assert (weight.grad.shape, weight.grad.dtype) == (weight.shape, torch.float32)


@pytest.mark.usefixtures("without_reducer")
def test_uncompiled_batch_norms_on_a_gpu_are_pytorchs():
    """Its kernels take less memory; they have no form without values, so that nothing runs here."""
    norms = torch.nn.Sequential(torch.nn.BatchNorm2d(4), torch.nn.BatchNorm1d(4))
    group = ProcessGroup(rank=5, world_size=R)
    with data_parallel.data_parallel(norms, group, torch.device("cuda"), True) as parallel:
        assert {type(part) for part in parallel} == {torch.nn.SyncBatchNorm}
    assert [type(part) for part in norms] == [torch.nn.BatchNorm2d, torch.nn.BatchNorm1d]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_batch_norm_over_all_keeps_types(dtype):
    norm = data_parallel.SyncedBatchNorm(8)
    with fake_processes(5, R), fake_cuda():
        move(norm)
        x = torch.randn(4, 8, 5, 5, device="cuda", dtype=dtype, requires_grad=True)
        y = norm(x)
        backward(y.float().sum())
    assert y.dtype == x.grad.dtype == dtype
    assert norm.weight.grad.dtype == norm.running_mean.dtype == torch.float32
