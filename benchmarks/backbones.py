"""How many images a second a training step takes with each backbone.

    python -m benchmarks.backbones                      # on the CPU: 128 x 64, T = 4
    python -m benchmarks.backbones --device cuda        # the paper's batch: 256 x 128, T = 8

A step is that of STGCN: augmentation, forward, losses, backward and Adam. All backbones keep the
resolution in their last stage (stride1), unless the row says as-is. Every round runs each of them.
"""

from pathlib import Path
from typing import Literal

import pandas as pd
import torch
from jsonargparse import auto_cli

from benchmarks import measuring
from benchmarks.measuring import Precision, Size, SizeName, Step
from stgcn_pyg import STGCN
from stgcn_pyg.data import ClipBatch
from stgcn_pyg.data.transforms import ClipAugmentation, normalize
from stgcn_pyg.models.backbones import LastStage
from stgcn_pyg.runs.training import STGCNTraining

REFERENCE = "resnet18"
NAMES = [REFERENCE, "mobilenet_v2", "timm/tf_efficientnet_lite0"]


def training_step(
    name: str, last_stage: LastStage, size: Size, device: torch.device, precision: Precision
) -> Step:
    """A step with a backbone of random weights."""
    torch.manual_seed(0)
    patches = min(2 if last_stage == "as-is" else 4, -(-size.height // 16))
    model = STGCN(
        *(size.classes, size.frames, name, None),
        temporal_patches=patches,
        spatial_patches=patches,
        last_stage=last_stage,
    )
    module = STGCNTraining(model).to(device).train()
    optimizer, _ = module.build_optimizer(epochs=1)
    given, augmentation = measuring.batch(size, device), ClipAugmentation()

    def step() -> None:
        clips = augmentation.apply(given.clips.float() / 255, given.changes, model.mean)
        with measuring.autocast(precision, device):
            loss = module(ClipBatch(normalize(clips, model.mean, model.std), given.labels))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def main(
    device: Literal["cpu", "cuda"] = "cpu",
    backbones: list[str] = NAMES,
    size: SizeName | None = None,
    precision: Precision | None = None,
    rounds: int = 5,
    json: Path | None = None,
) -> None:
    """Times training steps, all backbones in turns.

    Args:
        device: Where to train.
        backbones: Names of backbones; the first is what the others are compared with.
        size: `paper`, `cpu` or `tiny`: the batch; its own backbone is not used.
        precision: Of the step; bf16-mixed on a GPU if it is not given.
        rounds: How often each runs.
        json: Where to write the figures.
    """
    where = torch.device(device)
    precision = precision or ("bf16-mixed" if device == "cuda" else "32-true")
    batch = measuring.size_for(device, size)
    steps = {
        f"{name}, {last_stage}": training_step(name, last_stage, batch, where, precision)
        for name in backbones
        for last_stage in ("stride1", "as-is")
        if batch.height >= 64 or last_stage == "stride1"
    }
    times = measuring.times_by_round(steps, rounds)
    reference = times[f"{backbones[0]}, stride1"]
    images = batch.clips * batch.frames
    results = {
        name: {
            "images_per_second": images / measuring.spread(of_one)["median"],
            "times_the_first": measuring.ratios(reference, of_one),
        }
        for name, of_one in times.items()
    }
    print(f"{batch}, {precision}, on {device}".replace(f"{batch.backbone}, ", "", 1))
    rows = {
        name: (round(row["images_per_second"], 1), round(row["times_the_first"]["median"], 2))
        for name, row in results.items()
    }
    columns = ["images a second", f"times {backbones[0]}"]
    print(pd.DataFrame.from_dict(rows, orient="index", columns=columns).to_string())
    settings = {"size": str(batch), "precision": precision}
    measuring.write_results(json, results, settings, device)


if __name__ == "__main__":
    auto_cli(main)
