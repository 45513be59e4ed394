"""Many benchmarks, one after the other, into one JSON file and one page.

    python -m benchmarks gpu      # what only a GPU shows, in at most 6 minutes
    python -m benchmarks quick    # on the CPU, in at most 8 minutes
    python -m benchmarks all      # on the CPU, each as it is documented: hours

Both files are written to `benchmarks/results/<hardware>-torch<version>/`, anew after each part. A
part runs in a process of its own, which is ended when its time is over. One that fails does not
stop the others; it is named at the end, and the exit status is 1.

The same command goes on where it ended: it keeps each part that did not fail, if its options and
the sources of `stgcn_pyg` and `benchmarks` are what they were, and runs all others. What was
measured before stays until it is measured again.
"""

import hashlib
import json
import re
import signal
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any

from benchmarks import running
from benchmarks.parts import LIMITS, PLANS, options_of
from stgcn_pyg.errors import UserError
from stgcn_pyg.files import write_json, write_output
from stgcn_pyg.runs.environment import commit_of, describe_machine

RESULTS = running.ROOT / "benchmarks" / "results"


def parsed(arguments: Sequence[str] | None) -> Namespace:
    """The command's options; raises a UserError where they do not fit each other or the machine."""
    parser = ArgumentParser(prog="python -m benchmarks", description="Runs many benchmarks.")
    add = parser.add_argument
    add("plan", choices=list(PLANS), help="which of them, and how long each")
    add("--device", choices=("cpu", "cuda"), help="where those run that can run on a GPU")
    add("--smoke", action="store_true", help="the smallest of each, to see that it runs")
    add("--limit", type=float, metavar="SECONDS", help="that all of them may take together")
    add("--only", nargs="+", metavar="PART", help="those to run, whether measured or not")
    add("--output", type=Path, default=RESULTS, help="the folder for that of this hardware")
    options = parser.parse_args(arguments)
    options.command = " ".join(["python -m benchmarks", *(arguments or sys.argv[1:])])
    parts = PLANS[options.plan]
    if unknown := [name for name in options.only or () if name not in parts]:
        raise UserError(f"--only {unknown[0]}: the parts of {options.plan} are {', '.join(parts)}")
    if options.device is None:
        options.device = "cuda" if options.plan == "gpu" and not options.smoke else "cpu"
    if options.device == "cuda":
        import torch  # here, since it takes seconds, as what a part imports does

        if not torch.cuda.is_available():
            raise UserError(
                "PyTorch sees no GPU here: run this on a machine that has one, or pass --smoke, "
                "which shows on the CPU that everything runs"
            )
    return options


def sources() -> dict[str, str]:
    """The code that is measured: its commit, and a digest which tells whether it is the same."""
    digest = hashlib.sha256()
    for folder in ("benchmarks", "stgcn_pyg"):
        for path in sorted((running.ROOT / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(running.ROOT)}\n".encode() + path.read_bytes())
    commit, changed = commit_of(running.ROOT / "stgcn_pyg")
    name = f"{commit[:12]}{', changed' if changed else ''}" if commit else "unknown"
    return {"commit": name, "sources": digest.hexdigest()[:16]}


def measured_before(path: Path) -> dict[str, Any]:
    """The parts that a file of results holds."""
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text())["parts"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: holds no results of this command: move it away") from error


def measure(module: str, options: list[str], limit: float) -> dict[str, Any]:
    """What a part writes, how long it took, and why it failed, if it did."""
    begun = monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.json"
        failed = running.run(module, options, path, limit)
        written = json.loads(path.read_text()) if path.is_file() else {}
    figures = {name: written.get(name) for name in ("settings", "results")}
    return {"seconds": round(monotonic() - begun, 1), "failed": failed, **figures}


def run_parts(options: Namespace) -> int:
    """Runs what is missing, writes after each part, and gives the exit status."""
    from benchmarks.page import page

    begun, parts = monotonic(), PLANS[options.plan]
    limit = options.limit or (inf if options.smoke else LIMITS[options.plan])
    machine, code = describe_machine(options.device), sources()
    hardware = re.sub(r"[^a-z0-9]+", "-", str(machine["device"]).lower())
    name = f"{options.plan}-smoke.json" if options.smoke else f"{options.plan}.json"
    path = options.output / f"{hardware}-torch{machine['torch']}" / name
    measured, failures = measured_before(path), {}
    for name in options.only or parts:
        part = parts[name]
        arguments = options_of(part, options.device, options.smoke)
        command = " ".join([f"python -m benchmarks.{part.module}", *arguments])
        before = measured.get(name, {})
        good = {"command": command, "sources": code["sources"], "failed": None}
        if good.items() <= before.items() and not options.only:
            continue
        left = limit - (monotonic() - begun)
        if left < 1:
            failures[name] = "not begun, because the time is over"
            continue
        seconds = min(part.share * limit, left)
        within = "" if seconds == inf else f", at most {seconds:.0f} seconds"
        print(f"\n== {name}{within}", file=sys.stderr, flush=True)
        found = measure(part.module, arguments, seconds)
        if found["failed"] is not None:
            failures[name] = found["failed"]
        if found["results"] is None and before.get("results") is not None:
            measured[name] = before | {"failed": found["failed"]}
        else:
            measured[name] = {"command": command, **code, **found}
        in_order = {name: measured[name] for name in parts if name in measured}
        content = {"machine": machine, "command": options.command, "parts": in_order}
        # Now, so that what was measured is there whatever ends the others.
        write_json(path, content)
        write_output(path.with_suffix(".md"), page(content, list(parts)).encode())
    count = sum(name in measured for name in parts)
    print(f"\n{count} of {len(parts)} parts are in {path.with_suffix('.md')}")
    for name, why in failures.items():
        print(f"{name} failed: {why}", file=sys.stderr)
    return 1 if failures else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `python -m benchmarks`; gives its exit status."""
    try:
        return run_parts(parsed(arguments))
    except UserError as error:
        print(f"python -m benchmarks: {error}", file=sys.stderr)
        return error.status


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # with which a part's processes end, too
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    sys.exit(main())
