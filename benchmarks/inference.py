"""How many tracklets a second `embed_tracklets` embeds, with and without reading their images.

    python -m benchmarks.inference                # on the CPU: ResNet-18, images of 128 x 64
    python -m benchmarks.inference --device cuda  # ResNet-50, images of 256 x 128

Rendered tracklets of two clips each. `from memory` has the batches in memory already; `from disk`
decodes JPEGs in two worker processes.

eager float32  maps channel after channel, full float32
channels last  maps pixel after pixel, as the backbone comes
bf16           the same under autocast to bfloat16
compile        the one before through torch.compile (on a GPU, or if `--compile true`)
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from jsonargparse import auto_cli
from tqdm import tqdm

from benchmarks import measuring
from benchmarks.measuring import Precision, Size, SizeName
from stgcn_pyg import STGCN
from stgcn_pyg.data import ClipBatch, TrackletDataModule, load_dataset
from stgcn_pyg.runs.devices import tf32_allowed
from stgcn_pyg.runs.embedding import embed_tracklets
from stgcn_pyg.synthetic import write_benchmark

IDENTITIES = {"paper": 64, "cpu": 8, "tiny": 2}  # seen by two cameras each


class KeptBatches:
    """Gives the batches of a data module from memory, at no cost."""

    def __init__(self, data: TrackletDataModule, tracklets: pd.DataFrame):
        self.data = data
        self.batches = list(data.clip_dataloader(tracklets))

    def clip_dataloader(self, tracklets: pd.DataFrame, *how: object) -> list[ClipBatch]:
        return self.batches

    def move_and_normalize(
        self, batch: ClipBatch, device: torch.device, *colours: Sequence[float]
    ) -> ClipBatch:
        return self.data.move_and_normalize(batch, device, *colours)


class Variant:
    """One way to run the network."""

    def __init__(
        self,
        size: Size,
        device: torch.device,
        precision: Precision = "32-true",
        channels_last: bool = True,
        compile: bool = False,
    ):
        self.model: STGCN = measuring.network(size).to(device)
        self.model.backbone.channels_last = channels_last
        if compile:
            self.model.compile(fullgraph=True)
        self.device = device
        self.precision = precision
        self.tf32 = channels_last  # all but the plainest

    def embedding(self, data: Any, tracklets: pd.DataFrame) -> Callable[[], object]:
        def step() -> None:
            with tf32_allowed(self.tf32), measuring.autocast(self.precision, self.device):
                silent = tqdm(total=len(tracklets), disable=True)
                embed_tracklets(self.model, data, tracklets, self.device, bar=silent)

        return step


def variants(size: Size, device: torch.device, compile: bool) -> dict[str, Variant]:
    """All ways that the device has."""
    ways = {
        "eager float32": Variant(size, device, channels_last=False),
        "channels last": Variant(size, device),
        "bf16": Variant(size, device, "bf16-mixed"),
    }
    if compile:
        ways["compile"] = Variant(size, device, "bf16-mixed", compile=True)
    return ways


def main(
    device: Literal["cpu", "cuda"] = "cpu",
    compile: bool | None = None,
    size: SizeName | None = None,
    rounds: int = 5,
    json: Path | None = None,
) -> None:
    """Times embedding.

    Args:
        device: Where to embed.
        compile: Whether to time torch.compile too; only on a GPU if not given.
        size: `paper`, `cpu` or `tiny`; the paper's on a GPU if not given.
        rounds: How many interleaved rounds.
        json: Where to write the figures.
    """
    where, chosen = torch.device(device), measuring.size_for(device, size)
    compile = device == "cuda" if compile is None else compile
    identities = next(n for name, n in IDENTITIES.items() if measuring.SIZES[name] is chosen)
    with tempfile.TemporaryDirectory() as name:
        root = write_tracklets(Path(name) / "data", chosen, identities)
        shape = chosen.frames, chosen.height, chosen.width
        data = TrackletDataModule(load_dataset("mars", root), *shape, identities_per_batch=2)
        tracklets = data.dataset.test()
        kept = KeptBatches(data, tracklets)
        ways = variants(chosen, where, compile)
        steps = {f"{way}, from memory": v.embedding(kept, tracklets) for way, v in ways.items()}
        steps |= {f"{way}, from disk": v.embedding(data, tracklets) for way, v in ways.items()}
        times = measuring.times_by_round(steps, rounds, long_rounds=rounds)
    first = times["eager float32, from memory"]
    results = {
        "tracklets_a_second": {
            name: measuring.spread([len(tracklets) / seconds for seconds in values])
            for name, values in times.items()
        },
        "ratios": {
            f"eager float32 / {way}": measuring.ratios(first, times[f"{way}, from memory"])
            for way in list(ways)[1:]
        },
    }
    for figures in results.values():
        print(pd.DataFrame(figures).T.round(3).to_string())
    settings = {"size": str(chosen), "tracklets": len(tracklets), "rounds": rounds}
    measuring.write_results(json, results, settings, device)


def write_tracklets(root: Path, size: Size, identities: int) -> Path:
    """Renders tracklets of two clips."""
    write_benchmark(
        root,
        train_people=2,
        test_people=identities,
        cameras=2,
        tracklets_per_camera=1,
        frames=(2 * size.frames, 2 * size.frames),
        height=size.height,
        width=size.width,
        distractors=0,
        junk=0,
        workers=os.cpu_count() or 1,
        progress=False,
    )
    return root


if __name__ == "__main__":
    auto_cli(main)
