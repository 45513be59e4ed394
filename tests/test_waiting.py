"""Between two looks at the losses, nothing in a training makes the host wait for a GPU."""

import re
import signal

import pytest
import torch
from conftest import MarsTree
from watched_reads import watched_reads

from stgcn_pyg import STGCN
from stgcn_pyg.data import TrackletDataModule, load_dataset
from stgcn_pyg.errors import RunError
from stgcn_pyg.runs.training import STGCNTraining, checkpoint_path, fit

pytestmark = pytest.mark.usefixtures("shapes_unchecked")

STEPS = 6  # an epoch
CHANGES = {"shift": 0.1, "zoom": 0.1, "colour": 0.1, "erase": 0.5}
CHANGES |= {"brightness": 0.1, "contrast": 0.1, "saturation": 0.1}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    tree = MarsTree(tmp_path_factory.mktemp("waiting") / "mars")
    for pid in range(10, 26, 2):
        for camid in (1, 2):
            tree.add("train", pid, camid, frames=3)
    return tree.write()


class Noted(STGCNTraining):
    """Notes at which of an epoch's steps each read happened: after the callbacks of the last."""

    def watch(self, reads):
        self.reads, self.before, self.by_step = reads, 0, []

    def on_train_batch_start(self, batch, batch_idx):
        if batch_idx == 0:
            self.before = len(self.reads.found)

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.by_step.append(self.reads.found[self.before :])
        self.before = len(self.reads.found)


def build(root, kind=STGCNTraining, changes=CHANGES, **options):
    data = TrackletDataModule(
        load_dataset("mars", root),
        num_frames=2,
        height=32,
        width=16,
        people_per_batch=2,
        tracklets_per_person=2,
        num_workers=1,  # what it reads from files is its own affair
        **changes,
    )
    torch.manual_seed(0)
    model = STGCN(
        data.num_classes,
        2,
        "resnet18",
        weights=None,
        temporal_patches=2,
        spatial_patches=2,
        spatial_channels=16,
    )
    return kind(model, **options), data


def reads_by_step(module, data, output, **options):
    with watched_reads() as reads:
        module.watch(reads)
        fit(module, data, output, epochs=1, accelerator="cpu", **options)
    assert len(module.by_step) == STEPS
    return module.by_step


@pytest.mark.parametrize(
    ("options", "precision"),
    [
        ({}, "32-true"),
        ({"margin": "soft", "micro_batches": 2, "recompute": True}, "bf16-mixed"),
    ],
)
def test_no_step_reads_a_value_or_copies_one_to_the_device(root, tmp_path, options, precision):
    module, data = build(root, Noted, **options)
    first, *others = reads_by_step(module, data, tmp_path, precision=precision)
    assert others == [[]] * (STEPS - 1)
    # Once a run, Lightning makes the sums of what is logged.
    assert all(re.match(r"tensor < result\.py", read) for read in first)


def test_the_looks_read_and_are_seen(root, tmp_path):
    module, data = build(root, Noted, changes={})
    _, second, third, *others = reads_by_step(module, data, tmp_path, look_every=3)
    assert second == others[0] == others[1] == []
    for reads in (third, others[2]):
        assert any(re.match(r"item < finite\.py", read) for read in reads)
        assert any(re.match(r"tolist < epoch_log\.py", read) for read in reads)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU here")
def test_on_a_gpu_no_step_waits(root, tmp_path):
    class Strict(STGCNTraining):
        def on_train_batch_end(self, outputs, batch, batch_idx):
            torch.cuda.set_sync_debug_mode("default" if batch_idx == STEPS - 1 else "error")

    module, data = build(root, Strict, compile="off")
    try:
        fit(module, data, tmp_path, epochs=2, accelerator="gpu", precision="bf16-mixed")
    finally:
        torch.cuda.set_sync_debug_mode("default")


def weights_of(module):
    return {name: value.clone() for name, value in module.model.named_parameters()}


@pytest.mark.parametrize(
    ("fused", "look_every", "done"), [(True, 2, 3), (True, 50, 6), (False, 50, 2)]
)
def test_from_the_first_bad_step_on_weights_stay_and_the_next_look_names_it(
    root, tmp_path, fused, look_every, done
):
    seen = []

    class Seen(STGCNTraining):
        def on_train_batch_end(self, outputs, batch, batch_idx):
            seen.append(weights_of(self))

    module, data = build(root, Seen, changes={}, fused=fused)
    # The third and the fifth step are bad, the others good.
    module.model.classifier.bias.register_hook(
        lambda gradient: gradient / 0 if len(seen) in (2, 4) else gradient
    )
    with pytest.raises(RunError) as stopped:
        fit(module, data, tmp_path, epochs=1, accelerator="cpu", look_every=look_every)
    draws = list(data.sampler)[2]
    numbers = ", ".join(str(data.dataset.train.index[draw.row]) for draw in draws)
    assert str(stopped.value).startswith(
        "step 3 (batch 3 of epoch 1): the gradient of model.classifier.bias is not finite; its "
        f"tracklets are {numbers}; there is no checkpoint yet: "
    )
    assert not checkpoint_path(tmp_path).exists()
    assert len(seen) == done
    good, bad = seen[1], weights_of(module)
    assert not all(torch.equal(seen[0][name], good[name]) for name in good)
    assert all(torch.equal(good[name], bad[name]) for name in good)


def test_a_signal_saves_no_run_with_a_bad_step(root, tmp_path):
    class Interrupted(STGCNTraining):
        def on_train_batch_start(self, batch, batch_idx):
            if batch_idx == 1:
                signal.raise_signal(signal.SIGTERM)

    module, data = build(root, Interrupted, changes={})
    module.model.classifier.bias.register_hook(lambda gradient: gradient / 0)
    with pytest.raises(RunError, match=r"^step 1 \(batch 1 of epoch 1\): the gradient of"):
        fit(module, data, tmp_path, epochs=1, accelerator="cpu")
    assert not checkpoint_path(tmp_path).exists()


def test_a_run_without_fused_adam_goes_on_without_it_to_the_same_bits(root, tmp_path):
    """As the runs of older versions are."""
    whole, data = build(root, changes={}, fused=False)
    fit(whole, data, tmp_path / "whole", epochs=2, accelerator="cpu")
    for epochs, fused in ((1, False), (2, True)):
        module, data = build(root, changes={}, fused=fused)
        fit(module, data, tmp_path / "parts", epochs=epochs, accelerator="cpu")
    expected = weights_of(whole)
    assert all(torch.equal(expected[name], value) for name, value in weights_of(module).items())
