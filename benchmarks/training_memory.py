"""How much memory the activations of a training step take, what lowers it, and what is predicted.

    python -m benchmarks.training_memory                # on the CPU: ResNet-18, 128 x 64, T = 4
    python -m benchmarks.training_memory --device cuda  # the paper's: ResNet-50, 256 x 128, T = 8
    python -m benchmarks.training_memory --compare FILE  # what a GPU wrote, with the prediction

The most bytes that activations and gradients hold at one time, measured and, by the same counting
without values that `stgcn plan` does, predicted. Weights and Adam's state, 12 bytes a weight, come
on top.

plain            the batch as a whole
micro_batches=N  in N parts (`--training.micro-batches`)
recompute        blocks computed again in the backward pass (`--training.activation-checkpointing`)
"""

from json import loads
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


def compared(
    measured: dict[str, dict[str, int]], plan: PlannedStep, on_a_gpu: bool
) -> dict[str, dict[str, Any]]:
    """What is predicted for each batch that was measured, and how far off it is."""
    results: dict[str, dict[str, Any]] = {"predicted_bytes": {}, "bars": {}}
    for batch, found in measured.items():
        people = int(batch.partition(" x ")[0])
        told = {way: plan.memory(people, **WAYS[way]).activations for way in found}
        # What a CPU's kernels take while they run is measured and not predicted.
        errors = {way: abs(told[way] / found[way] - 1) if on_a_gpu else None for way in found}
        results["predicted_bytes"][batch] = told
        results["bars"][batch] = [
            measuring.bar(f"{way}: error of the prediction", error, "<=", 0.01)
            for way, error in errors.items()
        ]
        table = pd.DataFrame({"measured, MB": found, "predicted, MB": told}) / 1e6
        table["measured / predicted"] = pd.Series(found) / pd.Series(told)
        print(f"{batch} clips", table.round(4).to_string(), sep="\n", flush=True)
    return results


def main(
    device: Literal["cpu", "cuda"] = "cpu",
    precision: Precision | None = None,
    size: SizeName | None = None,
    people: list[int] | None = None,
    tracklets: int | None = None,
    compare: Path | None = None,
    json: Path | None = None,
) -> None:
    """Measures the memory of training steps and compares it with the prediction.

    Args:
        device: Where to measure.
        precision: Precision of the step; bf16-mixed on a GPU if not given.
        size: Size of network and images: `paper`, `cpu` or `tiny`; the paper's on a GPU if not
            given.
        people: Numbers P of people in a batch; 4, 8 and 16 if not given.
        tracklets: Number K of tracklets a person; 4 if not given.
        compare: File that this program wrote with `--device cuda`: its bytes are compared, and
            nothing is measured, so that no GPU is needed.
        json: Where to write the figures.
    """
    device = "cuda" if compare else device
    where = torch.device(device)
    precision = precision or ("bf16-mixed" if device == "cuda" else "32-true")
    chosen = measuring.size_for(device, size)._replace(tracklets=tracklets or 4)
    settings = {"size": str(measuring.size_for(device, size)), "precision": precision}
    measured: dict[str, dict[str, int]] = {}
    if compare:
        measured = loads(compare.read_text())["results"]["peak_bytes"]
    else:
        for count in people or [4, 8, 16]:
            this = chosen._replace(people=count)
            measured[f"{count} x {this.tracklets}"] = {
                way: step_memory(this, where, precision, WAYS[way]) for way in WAYS
            }
            # Now, since the next may not fit.
            measuring.write_results(json, {"peak_bytes": measured}, settings, device)
    results = compared(measured, predicted(chosen, where, precision), device == "cuda")
    if not compare:
        measuring.write_results(json, {"peak_bytes": measured} | results, settings, device)


if __name__ == "__main__":
    auto_cli(main)
