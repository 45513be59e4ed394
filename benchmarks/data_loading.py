"""How fast frames come from disk, and what a training step loses to waiting for them.

    python -m benchmarks.data_loading

Renders a small data set of 256 x 128 JPEGs, then times

files   frames a second and core, decoded by Pillow from JPEG
pack    the same frames from a pack (`stgcn pack`), memory-mapped
loader  both again as training gets them: from one worker process, through shared memory
step    a training step of the preset `small`, its batches read by two worker processes, beside the
        same step on batches that are in memory already
"""

import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from jsonargparse import auto_cli

from benchmarks.measuring import median_times, write_results
from stgcn_pyg.data import load_dataset
from stgcn_pyg.data.clips import FrameFiles
from stgcn_pyg.data.datamodule import ClipBatch, TrackletDataModule
from stgcn_pyg.data.pack import PackedFrames, write_pack
from stgcn_pyg.runs.run import build
from stgcn_pyg.runs.settings import load_settings, preset_path
from stgcn_pyg.runs.training import STGCNTraining
from stgcn_pyg.synthetic import write_benchmark

HEIGHT, WIDTH, FRAMES = 256, 128, 8
IDENTITIES, TRACKLETS = 8, 4  # of a batch
SMALLEST = {"data.height": 64, "data.width": 32, "data.tracklets_per_identity": 2}


def frames_a_second(root: Path, pack: Path, rounds: int) -> dict[str, float]:
    """From images and from a pack, in batches of clips at random places, on one thread."""
    dataset = load_dataset("mars", root)
    sources = {
        "files": FrameFiles(dataset.root, dataset.frames, HEIGHT, WIDTH),
        "pack": PackedFrames(pack, dataset.frames, HEIGHT, WIDTH),
    }
    rng = np.random.default_rng(0)
    rows = rng.integers(len(dataset.frames), size=IDENTITIES * TRACKLETS * FRAMES).tolist()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = median_times({name: partial(sources[name].read, rows) for name in sources}, rounds)
    torch.set_num_threads(threads)
    return {name: len(rows) / seconds for name, seconds in times.items()}


def loader_frames_a_second(root: Path, pack: Path, rounds: int) -> dict[str, float]:
    """Whole epochs of training batches from one worker, with nothing done to them."""
    dataset = load_dataset("mars", root)
    loaders = {
        name: TrackletDataModule(
            dataset,
            FRAMES,
            HEIGHT,
            WIDTH,
            identities_per_batch=IDENTITIES,
            tracklets_per_identity=TRACKLETS,
            pack=folder,
            num_workers=1,
        ).train_dataloader()
        for name, folder in (("files", None), ("pack", pack))
    }
    # A deque of no length drops the batches of an epoch as they come.
    epochs = {name: partial(deque, loader, maxlen=0) for name, loader in loaders.items()}
    times = median_times(epochs, rounds)
    frames = IDENTITIES * TRACKLETS * FRAMES
    return {name: len(loaders[name]) * frames / seconds for name, seconds in times.items()}


def step_times(root: Path, rounds: int, steps: int, changes: Mapping[str, int]) -> dict[str, float]:
    """The median training step on batches from disk, and on batches from memory."""
    given = {"dataset": "mars", "root": root, "data.num_workers": 2} | dict(changes)
    run = build(load_settings([preset_path("small")], given))
    data, module = run.data, run.module.train()
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-4)
    times: dict[str, list[float]] = {"disk": [], "memory": []}

    def from_disk(count: int) -> Iterator[ClipBatch]:
        return islice(data.train_dataloader(data.sampler.over_epochs(sys.maxsize)), count)

    kept = list(from_disk(4))
    for _ in range(rounds):
        for name, batches in (("disk", from_disk(steps + 1)), ("memory", cycle(kept))):
            some = islice(batches, steps + 1)
            times[name] += _time_steps(module, data, optimizer, some)[1:]
    return {name: median(values) for name, values in times.items()}


def _time_steps(
    module: STGCNTraining,
    data: TrackletDataModule,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[ClipBatch],
) -> list[float]:
    times, begin = [], perf_counter()
    for batch in batches:
        loss = module(data.transform(batch, module.model.mean, module.model.std))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(perf_counter() - begin)
        begin = perf_counter()
    return times


def main(rounds: int = 9, steps: int = 8, smallest: bool = False, json: Path | None = None) -> None:
    """Times reading, and training steps that read.

    Args:
        rounds: How many interleaved rounds of reading; a third of them of training steps.
        steps: Training steps a round.
        smallest: A quarter of the identities, smaller images, one round and one step, to see that
            it runs.
        json: Where to write the figures.
    """
    if smallest:
        rounds, steps = 1, 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        people = 8 if smallest else 32
        others = {"test_people": 2, "distractors": 2, "junk": 2}  # not trained on
        write_benchmark(folder / "data", train_people=people, frames=(8, 8), **others)
        pack = folder / "pack"
        for _ in write_pack(load_dataset("mars", folder / "data"), pack, HEIGHT, WIDTH):
            pass
        rates = frames_a_second(folder / "data", pack, rounds)
        loader_rates = loader_frames_a_second(folder / "data", pack, rounds)
        changes = SMALLEST if smallest else {}
        seconds = step_times(folder / "data", max(1, rounds // 3), steps, changes)
    results = {"frames_a_second": rates, "loader_frames_a_second": loader_rates}
    results["step_seconds"] = seconds
    for name, values in results.items():
        print(name, {key: round(value, 3) for key, value in values.items()})
    table = pd.DataFrame(
        [
            ("files, frames a second and core", rates["files"], ">= 1200"),
            ("pack / files", rates["pack"] / rates["files"], ">= 10"),
            ("step from disk / from memory", seconds["disk"] / seconds["memory"], "<= 1.05"),
        ],
        columns=["", "value", "bar"],
    )
    print(table.round(3).to_string(index=False))
    write_results(json, results)


if __name__ == "__main__":
    auto_cli(main)
