"""All benchmarks, one after the other, into one JSON file and one table.

    python -m benchmarks.all --device cuda --quick  # at most 8 minutes
    python -m benchmarks.all                        # on the CPU, as each is documented: hours

Both are written to `benchmarks/results/<hardware>-torch<version>/`, anew after each benchmark. Each
runs in a process of its own. One that fails does not stop the others; it is named at the end, and
the exit status is 1.
"""

import json
import re
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
import torch

from benchmarks.measuring import write_json
from stgcn_pyg.files import write_output
from stgcn_pyg.runs.environment import describe_machine

ROOT = Path(__file__).parents[1]
LIMIT = 480.0  # seconds that a quick run takes at most

# The options of each: of a quick run, and of the smallest, which shows that they run. A whole run
# takes each benchmark as it is.
QUICK = {
    "train_step": "--rounds 3",
    "backbones": "--rounds 3",
    "inference": "--rounds 3",
    "training_memory": "--people [4]",
    "graph_layers": "--rounds 3 --smallest true",
    "evaluation": "--smallest true",
    "data_loading": "--smallest true",
    "rendering": "--smallest true",
    "reranking": "--smallest true",
    "uncertainty": "--smallest true",
    "videos": "--rounds 3",
    "coverage": "--people [35] --sets 20 --resamples 100",
    "pair_coverage": "--smallest true",
    "import_time": "--rounds 1",
    "search": "--smallest true",
}
QUICK_ON_A_GPU = QUICK | {
    "train_step": "--rounds 9",
    "inference": "--rounds 3",
    "training_memory": "--people [4,8,16]",
    "graph_layers": "--rounds 9 --dtype bfloat16",
    "evaluation": "--rounds 3",
}
SMALLEST = QUICK | {
    "train_step": "--size tiny --rounds 1",
    "backbones": "--size tiny --rounds 1",
    "inference": "--size tiny --rounds 1",
    "training_memory": "--size tiny --people [2] --tracklets 2",
    "graph_layers": "--rounds 1 --smallest true",
    "videos": "--rounds 1 --frames 12 --width 320 --height 180 --rows 1000",
}
WHOLE_ON_A_GPU = {"graph_layers": "--dtype bfloat16 --compile true"}
ON_DEVICES = {
    *("train_step", "inference", "training_memory", "graph_layers", "evaluation", "reranking"),
}


def run(name: str, options: list[str], folder: Path, limit: float | None) -> Any:
    """What a benchmark writes, or why it wrote nothing, in one line.

    Args:
        name: Name of the benchmark.
        options: Its options.
        folder: Folder for what it writes.
        limit: Seconds after which it is ended, or None.
    """
    path = folder / f"{name}.json"
    command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}", *options]
    try:
        done = subprocess.run(
            [*command, "--json", str(path)],
            cwd=ROOT,
            stdout=sys.stderr,
            stderr=subprocess.PIPE,
            text=True,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return f"the time is over, of which {limit:.0f} seconds were left to it"
    if done.returncode or not path.is_file():
        print(done.stderr, file=sys.stderr, flush=True)
        return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return json.loads(path.read_text())


def options_of(name: str, device: str, kind: str) -> list[str]:
    """The options of a benchmark in a run that is ``"smallest"``, ``"quick"`` or ``"all"``."""
    on_a_gpu = device == "cuda"
    by_kind = {
        "smallest": SMALLEST,
        "quick": QUICK_ON_A_GPU if on_a_gpu else QUICK,
        "all": WHOLE_ON_A_GPU if on_a_gpu else {},
    }
    where = ["--device", device] if name in ON_DEVICES else []
    return by_kind[kind].get(name, "").split() + where


def figures(value: Any, path: tuple[str, ...] = ()) -> Iterator[dict[str, object]]:
    """The figures in what a benchmark wrote: median and quartiles, or a ratio and its bound."""
    figure = {"figure": " / ".join(path)}
    if isinstance(value, dict) and "median" in value:
        yield figure | value
    elif isinstance(value, dict) and "bar" in value:
        yield figure | {"median": value["value"], "bar": value["bar"], "met": value["met"]}
    elif isinstance(value, dict):
        for key, part in value.items():
            if key != "case":
                yield from figures(part, (*path, key))
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield from figures(item, (*path, _label(item)))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield figure | {"median": value}


def _label(item: dict[str, Any]) -> str:
    """What tells an item of a list from the others."""
    if "case" in item:
        return item["case"]["name"]
    (key, first), *others = item.items()
    names = [str(value) for _, value in others if isinstance(value, str) and "bar" not in item]
    return ", ".join([first if isinstance(first, str) else f"{key} {first}", *names])


def page(found: dict[str, Any]) -> str:
    """What was run and where, and one table of all figures, as Markdown."""
    here = found["machine"]
    rows = [
        {"benchmark": name} | row
        for name, written in found["benchmarks"].items()
        for row in figures(written["results"])
    ]
    columns = ["benchmark", "figure", "median", "low", "high", "bar", "met"]
    table = pd.DataFrame(rows, columns=columns).set_index("benchmark")
    text = table.to_string(na_rep="", float_format="{:.4g}".format) if rows else "no figures"
    failed = "".join(f"\n{name} failed: {why}\n" for name, why in found["failures"].items())
    return (
        f"# Benchmarks on {here['device']}\n\n"
        f"`{found['command']}`, {found['seconds']:.0f} seconds; commit {found['commit']}; torch "
        f"{here['torch']}, PyG {here['torch_geometric']}, Python {here['python']}; "
        f"{here['threads']} threads of {here['cores']} cores. Medians and quartiles.\n\n"
        f"```\n{text}\n```\n{failed}"
    )


def commit() -> str:
    """The commit that is measured, with a mark where files differ from it."""
    git = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    done = subprocess.run(git, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def parser() -> ArgumentParser:
    """The command's parser."""
    parser = ArgumentParser(prog="python -m benchmarks.all", description="Runs the benchmarks.")
    add = parser.add_argument
    devices = ("cpu", "cuda")
    add("--device", choices=devices, default="cpu", help="where those run that can run on a GPU")
    add("--quick", action="store_true", help="fewer rounds, smaller cases; ends after 8 minutes")
    add("--smallest", action="store_true", help="the smallest of everything, to see that it runs")
    add("--limit", type=float, default=LIMIT, help="seconds that a quick run takes at most")
    add("--only", nargs="+", choices=list(QUICK), metavar="NAME", help="those to run, in order")
    add(
        "--output",
        type=Path,
        default=ROOT / "benchmarks" / "results",
        help="the folder that receives the folder of this hardware",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmarks, writes their figures, and gives the exit status."""
    options = parser().parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser().error("--device cuda: PyTorch sees no GPU here")
    kind = "smallest" if options.smallest else "quick" if options.quick else "all"
    begun = perf_counter()
    here = describe_machine(options.device)
    found: dict[str, Any] = {
        "machine": here,
        "commit": commit(),
        "command": " ".join(["python -m benchmarks.all", *sys.argv[1:]]),
        "seconds": 0.0,
        "failures": {},
        "benchmarks": {},
    }
    hardware = re.sub(r"[^a-z0-9]+", "-", str(here["device"]).lower())
    path = options.output / f"{hardware}-torch{here['torch']}" / f"{kind}.json"
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only or QUICK:
            left = max(options.limit - (perf_counter() - begun), 1) if options.quick else None
            print(f"\n== {name}", file=sys.stderr, flush=True)
            written = run(name, options_of(name, options.device, kind), Path(folder), left)
            found["failures" if isinstance(written, str) else "benchmarks"][name] = written
            found["seconds"] = round(perf_counter() - begun, 1)
            # Now, so that what was measured is there whatever ends the others.
            write_json(path, found)
            write_output(path.with_suffix(".md"), page(found).encode())
    count, seconds = len(found["benchmarks"]), found["seconds"]
    print(f"\n{count} benchmarks in {seconds} seconds: {path.with_suffix('.md')}")
    for name, why in found["failures"].items():
        print(f"{name} failed: {why}", file=sys.stderr)
    return 1 if found["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
