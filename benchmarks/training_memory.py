"""How much memory the activations of a training step take, what lowers it, and what is predicted.

    python -m benchmarks.training_memory                # on the CPU: ResNet-18, 128 x 64, T = 4
    python -m benchmarks.training_memory --device cuda  # the paper's: ResNet-50, 256 x 128, T = 8

The most bytes that activations and gradients hold at one time, measured and, by the same counting
without values that `stgcn plan` does, predicted. Weights and Adam's state, 12 bytes a weight, come
on top.

plain            the batch as a whole
micro_batches=N  in N parts (`--training.micro-batches`)
recompute        blocks computed again in the backward pass (`--training.activation-checkpointing`)
"""

from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from jsonargparse import auto_cli

from benchmarks import measuring
from benchmarks.measuring import Precision, Size, SizeName
from stgcn_pyg.data import ClipBatch
from stgcn_pyg.data.transforms import normalize
from stgcn_pyg.planning.step import PlannedStep
from stgcn_pyg.runs.settings import load_settings
from stgcn_pyg.runs.training import STGCNTraining

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "micro_batches=2": {"micro_batches": 2},
    "micro_batches=4": {"micro_batches": 4},
    "recompute": {"activation_checkpointing": True},
    "recompute, micro_batches=4": {"activation_checkpointing": True, "micro_batches": 4},
}


def step_memory(
    size: Size, device: torch.device, precision: Precision, options: dict[str, Any]
) -> int:
    """The peak of one way."""
    module = STGCNTraining(measuring.network(size), compile="off", **options).to(device).train()
    given = measuring.batch(size, device)
    clips = normalize(given.clips.float() / 255)

    def step() -> None:
        for parameter in module.parameters():
            parameter.grad = torch.zeros_like(parameter)  # those of the step before
        with measuring.autocast(precision, device):
            terms = module(ClipBatch(clips, given.labels))
        module.zero_grad()  # here, as in training
        terms["loss"].backward()
        module.zero_grad()

    return measuring.peak_memory(step, device)


def predicted(size: Size, device: torch.device, precision: Precision) -> PlannedStep:
    """What `stgcn plan` predicts of steps of that size; raises a UserError where it cannot."""
    patches = measuring.patches_of(size)
    changes = {
        "dataset": "mars",
        "root": "nowhere",  # nothing is read
        "precision": precision,
        "model.backbone": size.backbone,
        "model.num_frames": size.frames,
        "model.temporal_patches": patches,
        "model.spatial_patches": patches,
        "data.height": size.height,
        "data.width": size.width,
        "data.tracklets_per_identity": size.tracklets,
    }
    return PlannedStep(load_settings(changes=changes), size.classes, device.type)


def main(
    device: Literal["cpu", "cuda"] = "cpu",
    precision: Precision | None = None,
    size: SizeName | None = None,
    people: list[int] | None = None,
    tracklets: int | None = None,
    json: Path | None = None,
) -> None:
    """Counts the memory of training steps.

    Args:
        device: Where to count.
        precision: Of the step; bf16-mixed on a GPU if it is not given.
        size: `paper`, `cpu` or `tiny`; the paper's on a GPU if not given.
        people: The numbers P of people in a batch; 4, 8 and 16 if they are not given.
        tracklets: K, the tracklets a person; 4 if it is not given.
        json: Where to write the figures.
    """
    where = torch.device(device)
    precision = precision or ("bf16-mixed" if device == "cuda" else "32-true")
    chosen = measuring.size_for(device, size)._replace(tracklets=tracklets or 4)
    settings = {"size": str(measuring.size_for(device, size)), "precision": precision}
    measured: dict[str, dict[str, int]] = {}
    told: dict[str, dict[str, int]] = {}
    bars: dict[str, list[dict[str, object]]] = {}
    results = {"peak_bytes": measured, "predicted_bytes": told, "bars": bars}
    names = {f"{count} x {chosen.tracklets}": count for count in people or [4, 8, 16]}
    for name, count in names.items():
        this = chosen._replace(people=count)
        measured[name] = {way: step_memory(this, where, precision, WAYS[way]) for way in WAYS}
        measuring.write_results(json, results, settings, device)  # now: the next may not fit
    plan = predicted(chosen, where, precision)
    for name, count in names.items():
        told[name] = {way: plan.memory(count, **WAYS[way]).activations for way in WAYS}
        bars[name] = [
            measuring.bar(
                f"{way}: error of the prediction",
                # What a CPU's kernels take while they run is measured and not predicted.
                abs(told[name][way] / measured[name][way] - 1) if device == "cuda" else None,
                *("<=", 0.01),
            )
            for way in WAYS
        ]
        print(f"{name} clips, {precision}, MB")
        table = pd.DataFrame({"measured": measured[name], "predicted": told[name]}) / 1e6
        print(table.round(1).to_string())
    measuring.write_results(json, results, settings, device)


if __name__ == "__main__":
    auto_cli(main)
