"""A loop of one's own around the training's losses, in float16 with PyTorch's scaler."""

import pytest
import torch
from crossings import Crossings
from fake_gpu import network

from stgcn_pyg.data import ClipBatch
from stgcn_pyg.planning.fake_cuda import backward, fake_cuda, move
from stgcn_pyg.runs.training import STGCNTraining

pytestmark = pytest.mark.usefixtures("shapes_unchecked", "narrow_backbone")

LABELS = torch.tensor([0, 0, 1, 1])


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("options", [{}, {"micro_batches": 2, "activation_checkpointing": True}])
def test_float16_with_a_scaler_waits_only_where_the_scaler_does(options, fused):
    module = STGCNTraining(network(), compile="off", fused=fused, **options)
    seen = []
    module.model.register_forward_hook(lambda *call: seen.append(call[2].logits.dtype))
    with fake_cuda(), Crossings() as crossings:
        move(module)
        optimizer, _ = module.build_optimizer(1)
        batch = ClipBatch(torch.zeros(4, 2, 3, 32, 16, device="cuda"), LABELS.to("cuda"))
        scaler = torch.amp.GradScaler("cuda")
        crossings.found.clear()
        for _ in range(2):
            with torch.autocast("cuda", torch.float16):
                terms = module(batch)
            backward(scaler.scale(terms["loss"]))
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    # Without a fused optimiser the scaler asks whether to skip a step.
    assert crossings.found == ([] if fused else ["_local_scalar_dense"] * 2)
    assert {term.dtype for term in terms.values()} == {torch.float32}
    assert {*seen} == {torch.float16}
    assert module.model.backbone.conv1.weight.dtype == torch.float32
