"""A test of the tests: what makes a step wait for the device is noted, wherever it is planted."""

from contextlib import suppress

import pytest
import torch
from fake_gpu import OnFakeGPU, network, train
from training_data import batches, dataset_in

from stgcn_pyg.data import TrackletDataModule, transforms
from stgcn_pyg.layers import blocks
from stgcn_pyg.models import branches
from stgcn_pyg.runs.training import module as training

pytestmark = pytest.mark.usefixtures("shapes_unchecked", "narrow_backbone")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return dataset_in(tmp_path_factory.mktemp("faults"))


class ReadInBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient / float(gradient.norm())


def behind(place, change):
    """Changes the output of a module of the network."""

    def plant(patch, module):
        part = module.model.get_submodule(place)
        part.register_forward_hook(lambda _, inputs, output: change(output))

    return plant


def instead(owner, name, wrap):
    """Puts ``wrap(original)`` in place of a function."""
    return lambda patch, module: patch.setattr(owner, name, wrap(getattr(owner, name)))


def stays_on_the_host(patch, module):
    class Forgotten(OnFakeGPU):
        def to(self, device):
            centres = self.centres.centres
            super().to(device)
            self.centres.centres = centres
            return self

    module.__class__ = Forgotten


def if_all_is_finite(output):
    if output.isfinite().all():
        output = output + 1
    return output


def eye_on_the_host(original):
    def renormalized_rows(a, constant_degree):
        return original(a, constant_degree) + 0 * torch.eye(a.size(-1), dtype=a.dtype)

    return renormalized_rows


def colours_from_the_host(original):
    return lambda values, clips: torch.tensor(values, device=clips.device)[:, None, None]


def moved_while_the_host_waits(original):
    def move_and_normalize(self, batch, device, mean, std):
        moved = {"clips": batch.clips.to(device), "changes": batch.changes.to(device)}
        return original(self, batch._replace(**moved), device, mean, std)

    return move_and_normalize


def losses_with(change):
    def wrap(original):
        def losses(features, logits, labels, *options):
            total, terms = original(features, logits, labels, *options)
            return change(total, labels, features), terms

        return losses

    return instead(training, "stgcn_losses", wrap)


FAULTS = {
    "item": (losses_with(lambda loss, labels, _: loss / loss.item()), "_local_scalar_dense"),
    "float": (losses_with(lambda loss, labels, _: loss * float(loss)), "_local_scalar_dense"),
    "tolist": (losses_with(lambda loss, labels, _: loss * labels.tolist()[0]), "_local_scalar"),
    "cpu": (losses_with(lambda loss, labels, _: loss * (labels.cpu() > 0).sum()), "_to_copy"),
    "equal": (losses_with(lambda loss, labels, _: loss * labels.equal(labels)), "equal"),
    "unique": (losses_with(lambda loss, labels, _: loss * len(labels.unique())), "_unique2"),
    "if tensor": (behind("neck", if_all_is_finite), "_local_scalar_dense"),
    "mask": (behind("neck", lambda x: x * x[x > 0].mean()), "index <"),
    "nonzero": (behind("neck", lambda x: x + (x > 0).nonzero().size(0)), "nonzero"),
    "numbers of the host": (behind("neck", lambda x: x + torch.ones(x.shape)), "add <"),
    "index of the host": (
        instead(branches, "patch_nodes", lambda f: lambda maps, n: f(maps, n)[:, torch.arange(n)]),
        "index < branches.py",
    ),
    "copied index": (
        instead(
            branches,
            "patch_nodes",
            lambda f: lambda maps, n: f(maps, n)[:, torch.arange(n).to(maps.device)],
        ),
        "_to_copy < branches.py",
    ),
    "list as an index": (
        instead(branches, "patch_nodes", lambda f: lambda maps, n: f(maps, n)[:, [*range(n)]]),
        "_to_copy < branches.py",
    ),
    "eye of the host": (instead(blocks, "renormalized_rows", eye_on_the_host), "add < blocks.py"),
    "forgotten buffer": (stays_on_the_host, "index < losses.py"),
    "colours of the host": (
        instead(transforms, "_by_colour", colours_from_the_host),
        "_to_copy < transforms.py",
    ),
    "waiting copies": (
        instead(TrackletDataModule, "move_and_normalize", moved_while_the_host_waits),
        "_to_copy < loop.py",
    ),
    "in the backward pass": (behind("neck", ReadInBackward.apply), "_local_scalar_dense < loop.py"),
}


def training_of():
    return OnFakeGPU(network(neck="bnneck"), centre_loss=0.1, steps=1)


def run(module, dataset, output):
    train(module, batches(dataset), output, epochs=1, precision="bf16-mixed")


def test_without_a_fault_nothing_is_noted(dataset, tmp_path):
    module = training_of()
    run(module, dataset, tmp_path)
    assert module.by_step() == [([], 3)]


@pytest.mark.filterwarnings("ignore:neck has forward hooks")
@pytest.mark.parametrize("fault", FAULTS)
def test_what_waits_is_noted(fault, dataset, tmp_path, monkeypatch):
    plant, noted = FAULTS[fault]
    module = training_of()
    plant(monkeypatch, module)
    with suppress(RuntimeError):  # not everything goes on on a fake GPU
        run(module, dataset, tmp_path)
    assert any(note.startswith(noted) for note in module.crossings.found)
