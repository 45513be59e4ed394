"""`stgcn plan`: whether a training fits a GPU, what would make it fit, and how long it takes."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt, restricted_number_type

from stgcn_pyg.cli.arguments import Parser
from stgcn_pyg.errors import RunError, UserError
from stgcn_pyg.files import require_writable, write_json
from stgcn_pyg.planning.gpus import MEASURED_SHARE, find_gpu
from stgcn_pyg.planning.plan import GIB, IDENTITIES, RESERVE, Plan, Way, make_plan
from stgcn_pyg.runs.run import load
from stgcn_pyg.runs.settings import RunSettings, add_settings
from stgcn_pyg.runs.settings_files import RENAMED
from stgcn_pyg.runs.training.validation import number_held_out

Finite = restricted_number_type("Finite", float, [(">", 0), ("<", math.inf)])

DESCRIPTION = """Predicts the memory and the time that a training takes on a GPU.

It needs no GPU, no data set and no weights: a step of the training runs on tensors without values.
All options of `stgcn train` are options here as well.

Examples:
  stgcn plan mars --preset paper --precision bf16-mixed --gpu "RTX 4090"
  stgcn plan mars data/MARS --config runs/mars/config.yaml --memory 16"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    options = parser().parse_args(arguments)
    require_writable("--json", options.json)
    gpu, rate, memory = None, options.rate, options.memory
    if options.gpu is not None:
        gpu = find_gpu(options.gpu)
        memory = memory or gpu.memory
        if rate is None and gpu.rate is not None and options.precision == "bf16-mixed":
            rate = gpu.rate * MEASURED_SHARE
    if memory is not None and memory * GIB <= RESERVE:
        raise UserError(
            f"--memory {memory:g}: {RESERVE / GIB:g} GiB is left to CUDA itself, so that no "
            "training fits: pass more"
        )
    root = options.root
    settings = RunSettings.of({**options.as_dict(), "root": root or Path()})
    count, source = _identities(settings, root, options.identities)
    plan = make_plan(settings, count, None if memory is None else int(memory * GIB))
    name = "a GPU" if gpu is None else f"an {gpu.name}"
    print(_network(settings, plan, f"{count:,} identities to train on ({source})"))
    print(f"\n{_memory(plan.ways[0], memory, name)}\n\n{_ways(plan, settings)}")
    print(f"\n{_time(settings, plan, rate, options.rate is None)}")
    if options.json is not None:
        asked = {"identities": count, "memory_gib": memory, "tflop_per_second": rate}
        write_json(options.json, asked | plan.to_dict() | {"settings": settings.nested()})
    if memory is not None and not plan.ways[0].fits(int(memory * GIB)):
        raise RunError(_does_not_fit(plan, settings, memory, name))
    return 0


def parser() -> Parser:
    """The options of the command."""
    parser = Parser(prog="stgcn plan", description=DESCRIPTION, renamed=RENAMED)
    add = parser.add_argument
    add("--preset", help="settings by name: paper, strong, finetune or small")
    add("--config", action="config", help="settings from a YAML file, such as RUN/config.yaml")
    add("--gpu", type=str, default=None, help="name of the GPU, such as RTX 4090")
    memory = "memory of the GPU in GiB, as nvidia-smi shows it, where its name is not known"
    add("--memory", type=Finite, default=None, help=memory)
    rate = "TFLOP a second that a step reaches, as `python -m benchmarks gpu` measures it"
    add("--rate", type=Finite, default=None, help=rate)
    identities = "number of identities to train on, where there is no data set to count them in"
    add("--identities", type=PositiveInt, default=None, help=identities)
    add("--json", type=Path, default=None, help="file to write the prediction to")
    add_settings(parser, without={"root"})
    root = "folder that holds the data set, or the manifest file, to count its identities"
    add("root", nargs="?", type=Path, default=None, help=root)
    return parser


def _identities(settings: RunSettings, root: Path | None, given: int | None) -> tuple[int, str]:
    """How many identities there are to train on, and how that is known."""
    if given is not None:
        return given, "as given"
    if root is not None and root.exists():
        dataset, _ = load(settings)
        return len(np.unique(dataset.train["pid"])), f"counted in {root}"
    if settings.dataset not in IDENTITIES:
        where = "" if root is None else f"; there is no {root}"
        raise UserError(
            f"{settings.dataset}: how many identities it has to train on is not known{where}: pass "
            "its folder or file, or --identities"
        )
    whole, share = IDENTITIES[settings.dataset], settings.validation_share
    held_out = number_held_out(whole, share) if share else 0
    less = f", less {held_out:,} that are held out" if held_out else ""
    missing = "" if root is None else f"; there is no {root}"
    return whole - held_out, f"as published{less}{missing}"


def _network(settings: RunSettings, plan: Plan, people: str) -> str:
    model, data = settings.model, settings.data
    p, k, frames = data["identities_per_batch"], data["tracklets_per_identity"], model["num_frames"]
    return (
        f"{settings.dataset}: {people}\n"
        f"STGCN: {model['backbone']}, {' + '.join(model['branches'])}, "
        f"{plan.num_parameters / 1e6:.1f} million parameters, {settings.precision}\n"
        f"a batch: {p} identities x {k} tracklets x {_count(frames, 'frame')} = {p * k * frames:,} "
        f"images of {data['height']} x {data['width']}"
    )


def _memory(way: Way, memory: float | None, name: str) -> str:
    parts = {
        "weights": way.memory.weights,
        "optimizer": way.memory.optimizer,
        "batch": way.memory.batch,
        "activations and gradients": way.memory.activations,
        "all": way.memory.total,
    }
    lines = [f"  {part:<27}{size / GIB:>7.2f}" for part, size in parts.items()]
    if memory is not None:
        left = f"{RESERVE / GIB:g} is left to CUDA itself"
        lines[-1] += f"   of the {memory:g} of {name}, of which {left}"
    return "\n".join(["memory at the peak of a step, predicted, in GiB", *lines])


def _ways(plan: Plan, settings: RunSettings) -> str:
    k = settings.data["tracklets_per_identity"]
    rows = {
        "as it is" if way is plan.ways[0] else way.options: {"GiB": f"{way.memory.total / GIB:.2f}"}
        | ({} if way.largest is None else {"largest batch": _batch(way.largest, k)})
        for way in plan.ways
    }
    return pd.DataFrame(rows).T.to_string()


def _batch(largest: int, k: int) -> str:
    return f"{largest} x {k}" if largest else "none"


def _time(settings: RunSettings, plan: Plan, rate: float | None, by_share: bool) -> str:
    steps, epochs = plan.steps, settings.epochs
    work = (
        f"work: {plan.flop / 1e12:.4g} TFLOP a step, {_count(steps, 'step')} an epoch, "
        f"{_count(epochs, 'epoch')}"
    )
    if rate is None:
        return f"{work}\ntime: pass --rate, the TFLOP a second that a step reaches"
    minutes = plan.flop * steps * epochs / (rate * 1e12) / 60
    whole = "less than a minute" if minutes < 0.5 else _count(round(minutes), "minute")
    long = f"{minutes / 60:.1f} hours" if minutes >= 60 else whole
    how = f"at {rate:.3g} TFLOP a second"
    if by_share:
        how += (
            f", {MEASURED_SHARE:.0%} of its rate for products of bfloat16: the share that an H200 "
            "reached in the paper's step"
        )
    return f"{work}\ntime: {long} {how}"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" + "s" * (number != 1)


def _does_not_fit(plan: Plan, settings: RunSettings, memory: float, name: str) -> str:
    first, *others = plan.ways
    fitting = [way for way in others if way.fits(int(memory * GIB))]
    advice = [f"{way.options} ({way.memory.total / GIB:.2f} GiB)" for way in fitting[:2]]
    if first.largest:
        advice.append(f"--data.identities-per-batch {first.largest}")
    elif not fitting:
        best = max(others, key=lambda way: way.largest or 0)
        advice.append(
            f"{best.options} --data.identities-per-batch {best.largest}"
            if best.largest
            else "smaller images, fewer frames, or a smaller backbone"
        )
    return (
        f"a step takes {first.memory.total / GIB:.2f} GiB, more than the {memory:g} GiB of {name} "
        f"less {RESERVE / GIB:g} for CUDA itself: pass {' or '.join(advice)}"
    )
