"""A batch in parts: the losses and gradients of the whole, and nothing counted twice."""

import pytest
import torch
from torch import nn

from stgcn_pyg import STGCN
from stgcn_pyg.data import ClipBatch
from stgcn_pyg.errors import UserError
from stgcn_pyg.losses import stgcn_losses
from stgcn_pyg.models import STGCNOutput
from stgcn_pyg.runs.training import STGCNTraining
from stgcn_pyg.runs.training.module import grad_cache_forward

pytestmark = pytest.mark.usefixtures("narrow_backbone")

PEOPLE, TRACKLETS, FRAMES = 3, 2, 2


def build(**options):
    torch.manual_seed(0)
    model = STGCN(
        5,
        FRAMES,
        "resnet18",
        weights=None,
        spatial_channels=16,
        temporal_patches=2,
        spatial_patches=2,
    )
    return STGCNTraining(model, compile="off", **options)


def batch(dtype=torch.float32):
    torch.manual_seed(1)
    clips = torch.randn(PEOPLE * TRACKLETS, FRAMES, 3, 32, 16, dtype=dtype)
    return ClipBatch(clips, torch.arange(PEOPLE).repeat_interleave(TRACKLETS))


def told_and_gradients(module, dtype=torch.float32):
    told = module(batch(dtype))
    told["loss"].backward()
    return told, {name: p.grad for name, p in module.model.named_parameters()}


@pytest.mark.parametrize("micro_batches", [2, 4, 100])
def test_with_batch_norm_frozen_losses_and_gradients_are_those_of_the_whole(micro_batches):
    whole, parts = build().eval().double(), build(micro_batches=micro_batches).eval().double()
    expected, gradients = told_and_gradients(whole, torch.float64)
    told, found = told_and_gradients(parts, torch.float64)
    torch.testing.assert_close(told, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found, gradients, rtol=1e-6, atol=1e-6)


def test_a_triplet_may_reach_from_one_part_to_another():
    """Each part by itself holds one person, and so no triplet at all."""
    module = build(micro_batches=PEOPLE).eval()
    told, _ = told_and_gradients(module)
    output, labels = module.model(batch().clips), batch().labels
    alone = [
        stgcn_losses({"global": f}, logits, part)[1]["triplet_global"]
        for f, logits, part in zip(
            output.features["global"].split(TRACKLETS),
            output.logits.split(TRACKLETS),
            labels.split(TRACKLETS),
            strict=True,
        )
    ]
    assert [loss.item() for loss in alone] == [0.0] * PEOPLE
    assert told["triplet_global"] > 0


def statistics(model):
    return {n: b.clone() for n, b in model.named_buffers() if "running" in n or "num_batches" in n}


def test_running_statistics_take_in_each_part_once():
    module, plain = build(micro_batches=3).train(), build().train()
    told_and_gradients(module)
    with torch.no_grad():
        for part in batch().clips.split(TRACKLETS):
            plain.model(part)
    expected, found = statistics(plain.model), statistics(module.model)
    assert {int(v) for n, v in found.items() if "num_batches" in n} == {3}
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


class Noisy(nn.Module):
    """A network that draws: both times it runs, a part must see the same numbers."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, clips):
        noise = torch.rand(len(clips))
        return STGCNOutput({"noise": self.scale * noise[:, None]}, noise, noise * self.scale**2)


def test_both_times_a_part_runs_its_random_numbers_are_the_same():
    model = Noisy()
    output = grad_cache_forward(model, model, torch.zeros(6, 1), 3)
    assert len(set(output.embedding.tolist())) == 6
    torch.rand(7)  # others draw in between
    output.logits.sum().backward()
    torch.testing.assert_close(model.scale.grad, (output.embedding * 2 * model.scale).sum())


def test_fewer_parts_than_one_are_refused():
    with pytest.raises(UserError, match="micro_batches=0: pass a whole number of at least 1"):
        build(micro_batches=0)
