"""How long `stgcn extract` takes from its start to its end on two tracklets, imports included.

    git worktree add ../before COMMIT
    python -m benchmarks.start --before ../before

Whole processes, in turns with those of another checkout, if one is given.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from jsonargparse import auto_cli

from benchmarks import measuring
from benchmarks.inference import write_tracklets
from stgcn_pyg.runs.checkpoint import KEY, checkpoint_path, describe, write_checkpoint

HERE = Path(__file__).parents[1]
BAR = 0.5


def write_run(folder: Path, root: Path, size: measuring.Size) -> Path:
    """A run with random weights."""
    model = measuring.network(size)
    data = {"height": size.height, "width": size.width}
    config = {"dataset": "mars", "root": str(root), "split": 0, "data": data}
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    folder.mkdir()
    content = {KEY: describe(model, config), "state_dict": weights}
    write_checkpoint(checkpoint_path(folder), content)
    return folder


def seconds(checkout: Path, run: Path, output: Path) -> float:
    """How long a checkout's command takes."""
    command = [sys.executable, "-W", "ignore", "-m", "stgcn_pyg.cli", "extract", run, output]
    begin = perf_counter()
    subprocess.run(
        [str(part) for part in command],
        check=True,
        cwd=checkout,  # `python -m` looks there first
        env=os.environ | {"PYTHONPATH": str(checkout.resolve())},
        capture_output=True,
    )
    return perf_counter() - begin


def main(before: Path | None = None, rounds: int = 9, json: Path | None = None) -> None:
    """Times the command.

    Args:
        before: Another checkout to compare with.
        rounds: How often each is run; once more before, for the disk's sake.
        json: Where to write the figures.
    """
    size = measuring.SIZES["cpu"]
    checkouts = {"here": HERE} | ({"before": before} if before is not None else {})
    times: dict[str, list[float]] = {name: [] for name in checkouts}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = write_run(folder / "run", write_tracklets(folder / "data", size, 1), size)
        for number in range(rounds + 1):
            for name, checkout in checkouts.items():
                found = seconds(checkout, run, folder / f"{name}-{number}")
                times[name] += [found] if number else []
    results = {"seconds": {name: measuring.spread(found) for name, found in times.items()}}
    for name, found in results["seconds"].items():
        print(f"{name:8} {found['median']:.2f} s ({found['low']:.2f} to {found['high']:.2f})")
    if before is not None:
        ratio = measuring.ratios(times["here"], times["before"])["median"]
        results["bars"] = measuring.bar("here / before", ratio, "<=", BAR)
        print(results["bars"])
    measuring.write_results(json, results, {"size": str(size), "rounds": rounds})


if __name__ == "__main__":
    auto_cli(main)
