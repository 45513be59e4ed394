"""What other libraries and precisions change: the embeddings and the mAP of a run's test set.

    python -m benchmarks.precision runs/ward
    stgcn export runs/ward --format openvino --precision int8 --input clips --output ward8.xml
    python -m benchmarks.precision runs/ward --exported "[ward8.xml]"

Each way is compared with the network as it was trained, clip by clip in eager PyTorch: the largest
difference of a number, the smallest cosine of a tracklet, and the mAP under the data set's usual
protocol, whose difference has the paired 95 % interval over the test identities.
"""

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jsonargparse import auto_cli
from torch import Tensor

from benchmarks import measuring
from stgcn_pyg.data import ClipBatch
from stgcn_pyg.data.sampling import TestClips
from stgcn_pyg.evaluation import compare
from stgcn_pyg.export.clip_network import convert, open_exported
from stgcn_pyg.runs.embedding import average_clips, embed_tracklets
from stgcn_pyg.runs.scoring import score_features
from stgcn_pyg.runs.torch_network import ClipNetwork, TorchNetwork
from stgcn_pyg.runs.trained_model import TrainedModel

BARS = {"torch float32": ("difference", "<=", 1e-5), "torch bfloat16": ("points", "<=", 0.1)}


def networks(trained: TrainedModel, exported: list[Path]) -> dict[str, ClipNetwork]:
    """Every way to embed that this CPU has; others are named."""
    model, size = trained.model, (trained.data.height, trained.data.width)
    ways: dict[str, ClipNetwork] = measuring.those_possible(
        {
            "torch float32": lambda: TorchNetwork(model, size),
            "torch bfloat16": lambda: TorchNetwork(model, size, precision="bfloat16"),
            "onnxruntime": lambda: convert(model, size, "onnxruntime"),
            "openvino float32": lambda: convert(model, size, "openvino"),
            "openvino bfloat16": lambda: convert(model, size, "openvino", "bfloat16"),
        }
    )
    for path in exported:
        backend = "onnxruntime" if path.suffix == ".onnx" else "openvino"
        file = open_exported(path, backend, "float32")
        ways[f"{backend} {file.precision}, {path.name}"] = file
    return ways


@torch.inference_mode()
def eager(trained: TrainedModel, tracklets: pd.DataFrame) -> Tensor:
    """The embeddings of the network as it was trained."""
    model, data = trained.model, trained.data

    def embed(batch: ClipBatch) -> Tensor:
        return model(data.move_and_normalize(batch, "cpu", model.mean, model.std).clips).embedding

    return average_clips(embed, data.clip_dataloader(tracklets), len(tracklets), "eager")


def main(
    run: Path,
    root: Path | None = None,
    exported: list[Path] | None = None,
    test_clips: TestClips = "all",
    json: Path | None = None,
) -> None:
    """Compares embeddings and mAP.

    Args:
        run: Folder of a run.
        root: Folder of its data set, if it has moved.
        exported: Files of the run that `stgcn export` wrote.
        test_clips: Clips of a tracklet whose embeddings are averaged.
        json: Where to write the figures.
    """
    trained = TrainedModel(run, root=root, test_clips=test_clips, accelerator="cpu")
    data, task = trained.data, trained.task
    tracklets = data.dataset.test()
    query, gallery = (tracklets[part].to_numpy() for part in ("is_query", "is_gallery"))
    protocol = task.protocols[0]
    wanted = eager(trained, tracklets)
    first = score_features(task, wanted[query], wanted[gallery])[protocol]
    rows: dict[str, dict[str, Any]] = {}
    for way, network in networks(trained, exported or []).items():
        found = embed_tracklets(trained.model, data, tracklets, title=way, network=network)
        second = score_features(task, found[query], found[gallery])[protocol]
        paired = compare(first, second, task.query_pids)
        rows[way] = {
            "difference": float((found - wanted).abs().max()),
            "cosine": float(torch.cosine_similarity(found, wanted).min()),
            "mAP": 100 * second.mAP,
            "points": 100 * paired.difference["mAP"],
            "low": 100 * paired.low["mAP"],
            "high": 100 * paired.high["mAP"],
        }
    print(f"{run}, {protocol}: mAP {100 * first.mAP:.3f} in eager PyTorch")
    print(pd.DataFrame(rows).T.to_string(float_format=lambda number: f"{number:.3g}"))
    bars = [
        measuring.bar(f"{way}, {what}", abs(rows[way][what]), sign, bound)  # type: ignore[arg-type]
        for way, (what, sign, bound) in BARS.items()
        if way in rows
    ]
    print(pd.DataFrame(bars).to_string(index=False))
    settings = {"run": str(run), "test_clips": test_clips}
    measuring.write_results(json, {"ways": rows, "bars": bars}, settings)


if __name__ == "__main__":
    auto_cli(main)
