"""Trainings on a GPU that is not there; the tests that import this are skipped where none can be
faked."""

from contextlib import ExitStack, suppress
from functools import partial
from unittest.mock import patch

import pytest
import torch

from stgcn_pyg import STGCN
from stgcn_pyg.planning.fake_cuda import RealHost, backward, fake_cuda, missing, move
from stgcn_pyg.runs.training import STGCNTraining, fit

if reason := missing():
    pytest.skip(f"no GPU can be faked: {reason}", allow_module_level=True)

from crossings import Crossings

STEPS = 2  # that are looked at; the first also makes the optimiser's state


class Enough(Exception):  # noqa: N818
    """The steps that are looked at are done."""


class OnFakeGPU(STGCNTraining):
    """Moves to the fake GPU, and notes what crosses in each step; ends when it has seen enough."""

    crossings: Crossings

    def __init__(self, *arguments, steps=STEPS, **options):
        super().__init__(*arguments, compile="off", **options)
        self.steps, self.begun = steps, []

    def to(self, device):
        return move(self, str(device))

    def cpu(self):
        return self  # what is fake stays fake

    def build_optimizer(self, epochs):
        optimizer, schedule = super().build_optimizer(epochs)
        if not self.fused:  # what PyTorch takes on a GPU, for any tensors but fake ones
            optimizer.param_groups[0]["foreach"] = True
        return optimizer, schedule

    def forward(self, batch):
        self.begun.append((len(self.crossings.found), len(self.crossings.queued)))
        if len(self.begun) > self.steps:
            raise Enough
        if len(self.begun) == 1:
            self.model.register_forward_hook(partial(self._keep, "output"))
            self.model.backbone.register_forward_hook(partial(self._keep, "maps"))
        self.terms = super().forward(batch)
        return self.terms

    def _keep(self, name, module, inputs, output):
        setattr(self, name, output)

    def by_step(self):
        """What waited, and how much was queued, from each step to the next."""
        notes = self.crossings
        ends = [*self.begun[1:], (len(notes.found), len(notes.queued))][: self.steps]
        pairs = zip(self.begun, ends, strict=False)
        return [(notes.found[a:b], len(notes.queued[p:q])) for (a, p), (b, q) in pairs]


def network(classes=8, backbone="resnet18", **options):
    """A small network; two frames, small images."""
    torch.manual_seed(0)
    small = {"temporal_patches": 2, "spatial_patches": 2, "spatial_channels": 16}
    return STGCN(classes, 2, backbone, weights=None, **small | options)


def train(module, data, output, **options):
    """:func:`fit` with a fake GPU, which is there from when it asks for its device."""
    module.crossings = Crossings()
    with ExitStack() as stack:

        def device_for(*_):
            stack.enter_context(fake_cuda())
            stack.enter_context(module.crossings)
            return "cuda"

        with (
            patch("stgcn_pyg.runs.training.fit.device_for", device_for),
            patch.object(torch.Tensor, "backward", backward),
            suppress(Enough),
        ):
            fit(module, data, output, **options)


def there(value):
    """A tensor of the host, copied to the fake GPU."""
    with RealHost():
        return value.to("cuda")
