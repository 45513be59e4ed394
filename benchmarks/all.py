"""All benchmarks, one after the other, into one JSON file and one table.

    python -m benchmarks.all --device cuda --quick  # at most 8 minutes
    python -m benchmarks.all                        # on the CPU, as each is documented: hours

Both are written to `benchmarks/results/<hardware>-torch<version>/`. Each benchmark runs in a
process of its own. One that fails does not stop the others; it is named at the end, and the exit
status is 1.
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

import torch

from benchmarks.measuring import machine, write_json
from stgcn_pyg.files import write_output

ROOT = Path(__file__).parents[1]
LIMIT = 480  # seconds that a quick run takes at most

# The options of each, in the order of what one wants to know first: of a quick run, and of the
# smallest, which shows that they run. A whole run takes them as they are.
QUICK = {
    "train_step": "--rounds 3",
    "inference": "--rounds 3",
    "training_memory": "--people [4]",
    "graph_layers": "--rounds 3 --smallest true",
    "evaluation": "--smallest true",
    "data_loading": "--smallest true",
    "rendering": "--smallest true",
    "reranking": "--smallest true",
    "uncertainty": "--smallest true",
    "coverage": "--people [35] --sets 20 --resamples 100",
    "import_time": "--rounds 1",
}
QUICK_ON_A_GPU = QUICK | {
    "train_step": "--rounds 9",
    "inference": "--rounds 5",
    "training_memory": "--people [4,8,16]",
    "graph_layers": "--rounds 9 --dtype bfloat16",
    "evaluation": "--rounds 3",
}
SMALLEST = QUICK | {
    "train_step": "--size tiny --rounds 1",
    "inference": "--size tiny --rounds 1",
    "training_memory": "--size tiny --people [2] --tracklets 2",
    "graph_layers": "--rounds 1 --smallest true",
}
WHOLE_ON_A_GPU = {"graph_layers": "--dtype bfloat16 --compile true"}
ON_DEVICES = {"train_step", "inference", "training_memory", "graph_layers", "evaluation"}


def run(name: str, options: list[str], folder: Path, limit: float | None) -> Any:
    """What a benchmark writes, or in one line why it wrote nothing."""
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
        return f"the {LIMIT} seconds of a quick run are over"
    if done.returncode or not path.is_file():
        return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return json.loads(path.read_text())


def options_of(name: str, device: str, quick: bool, smallest: bool) -> list[str]:
    """What a benchmark is called with."""
    if smallest:
        chosen = SMALLEST[name]
    elif quick:
        chosen = (QUICK_ON_A_GPU if device == "cuda" else QUICK)[name]
    else:
        chosen = WHOLE_ON_A_GPU.get(name, "") if device == "cuda" else ""
    return chosen.split() + (["--device", device] if name in ON_DEVICES else [])


def rows(value: Any, path: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """The figures in what a benchmark wrote: name, median, quartiles, what is wanted, if met."""
    name = " / ".join(path)
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return
    if isinstance(value, int | float):
        yield [name, _short(value), "", "", "", ""]
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield from rows(item, (*path, _label(item)))
    elif "median" in value:
        yield [name, *(_short(value[key]) for key in ("median", "low", "high")), "", ""]
    elif "bar" in value:
        yield [name, _short(value["value"]), "", "", value["bar"], "yes" if value["met"] else "no"]
    else:
        for key, part in value.items():
            if key != "case":
                yield from rows(part, (*path, key))


def _label(item: dict[str, Any]) -> str:
    """What tells an item of a list from the others."""
    if "case" in item:
        return item["case"]["name"]
    (key, first), *others = item.items()
    names = [str(value) for _, value in others if isinstance(value, str) and "bar" not in item]
    return ", ".join([first if isinstance(first, str) else f"{key} {first}", *names])


def _short(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e6 else f"{value:.3e}"


def markdown(found: dict[str, Any]) -> str:
    """One page: where and of what, then one table."""
    here = found["machine"]
    lines = [
        f"# Benchmarks on {here['device']}",
        "",
        f"`{found['command']}`, {found['seconds']:.0f} seconds; commit {found['commit']}; torch "
        f"{here['torch']}, PyG {here['torch_geometric']}, Python {here['python']}; "
        f"{here['threads']} threads of {here['cores']} cores. Medians and quartiles.",
        "",
        "| benchmark | figure | median | low | high | wanted | met |",
        "| --- | --- | ---: | ---: | ---: | --- | --- |",
    ]
    for name, written in found["benchmarks"].items():
        for row in rows(written["results"]):
            lines.append(
                "| " + " | ".join([name, *(cell.replace("|", "/") for cell in row)]) + " |"
            )
    lines += [f"\n{name} failed: {why}" for name, why in found["failures"].items()]
    return "\n".join(lines) + "\n"


def commit() -> str:
    """The commit that is measured, with a mark where files differ from it."""
    git = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    done = subprocess.run(git, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def parser() -> ArgumentParser:
    """The arguments."""
    parser = ArgumentParser(prog="python -m benchmarks.all", description="Runs the benchmarks.")
    add = parser.add_argument
    add(
        "--device",
        choices=("cpu", "cuda"),
        default="cpu",
        help="where those run that can run on a GPU",
    )
    add(
        "--quick",
        action="store_true",
        help="fewer rounds and smaller cases; ends after 8 minutes",
    )
    add("--smallest", action="store_true", help="the smallest of everything, to see that it runs")
    add("--only", nargs="+", choices=list(QUICK), metavar="NAME", help="of those to run, not all")
    add(
        "--output",
        type=Path,
        default=ROOT / "benchmarks" / "results",
        help="the folder that receives the folder of this hardware",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmarks, and gives the exit status."""
    options = parser().parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser().error("--device cuda: PyTorch sees no GPU here")
    return run_all(options.device, options.quick, options.smallest, options.only, options.output)


def run_all(
    device: str, quick: bool, smallest: bool, only: Sequence[str] | None, output: Path
) -> int:
    """Runs benchmarks, one after the other, and writes their figures."""
    begun = perf_counter()
    benchmarks, failures = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in only or QUICK:
            left = LIMIT - (perf_counter() - begun) if quick else None
            print(f"\n== {name}", file=sys.stderr, flush=True)
            options = options_of(name, device, quick, smallest)
            written = run(name, options, Path(folder), None if left is None else max(left, 1))
            (failures if isinstance(written, str) else benchmarks)[name] = written
    here = machine(torch.device(device))
    kind = "smallest" if smallest else "quick" if quick else "all"
    found = {
        "machine": here,
        "commit": commit(),
        "command": " ".join(["python -m benchmarks.all", *sys.argv[1:]]),
        "seconds": round(perf_counter() - begun, 1),
        "failures": failures,
        "benchmarks": benchmarks,
    }
    folder_name = f"{re.sub(r'[^a-z0-9]+', '-', str(here['device']).lower())}-torch{here['torch']}"
    path = output / folder_name / f"{kind}.json"
    write_json(path, found)
    write_output(path.with_suffix(".md"), markdown(found).encode())
    print(
        f"\n{len(benchmarks)} benchmarks in {found['seconds']} seconds: {path.with_suffix('.md')}"
    )
    for name, why in failures.items():
        print(f"{name} failed: {why}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
