"""How the benchmarks measure, and the network and batches that several of them measure."""

import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.benchmark import Timer

from stgcn_pyg import STGCN
from stgcn_pyg.data import ClipBatch
from stgcn_pyg.errors import UserError
from stgcn_pyg.files import write_json
from stgcn_pyg.runs.environment import describe_machine

T = TypeVar("T")
Step = Callable[[], object]
SECONDS = 0.2  # that each step runs for in a round
NOT_MEASURED = "not measured"  # in place of a figure that only another device has


def median_times(steps: Mapping[str, Step], rounds: int) -> dict[str, float]:
    """The median time of each step over :func:`times_by_round`, in seconds."""
    return {name: median(values) for name, values in times_by_round(steps, rounds).items()}


def times_by_round(
    steps: Mapping[str, Step], rounds: int, long_rounds: int = 3
) -> dict[str, list[float]]:
    """The time of each step in each round, in seconds.

    In every round each step runs once for a while, so that a slow moment of the machine affects all
    alike. A step of more than two seconds runs in ``long_rounds`` at most.
    """
    timers = {
        name: Timer("step()", globals={"step": step}, num_threads=torch.get_num_threads())
        for name, step in steps.items()
    }
    counts, rounds_of = {}, {}
    for name, timer in timers.items():
        timer.timeit(1)  # warm up: memory, compilation, the choice of kernels
        seconds = timer.timeit(1).mean
        counts[name] = max(1, round(SECONDS / seconds))
        rounds_of[name] = min(rounds, long_rounds) if seconds > 2 else rounds
    times: dict[str, list[float]] = {name: [] for name in steps}
    for done in range(rounds):
        for name, timer in timers.items():
            if done < rounds_of[name]:
                times[name].append(timer.timeit(counts[name]).mean)
    return times


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median and both quartiles."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": float(middle), "low": float(low), "high": float(high)}


def ratios(one: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """The spread of their ratio, round by round."""
    return spread([a / b for a, b in zip(one, other, strict=False)])


def peak_memory(step: Step, device: torch.device) -> int:
    """The most bytes that tensors made during a step hold at one time."""
    step()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    held = peak = 0
    events = profiler.profiler.kineto_results.events()
    for event in sorted((e for e in events if e.name() == "[memory]"), key=lambda e: e.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def peak_resident(step: Step) -> int:
    """The most bytes by which the process grows during a step, whoever allocates them; Linux."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is resident now
    before = _resident("VmRSS")
    step()
    return _resident("VmHWM") - before


def _resident(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {name}")


def bar(
    ratio: str, value: float | None, sign: Literal["<=", ">="], bound: float
) -> dict[str, object]:
    """A ratio, by its name, beside the bound that it should keep, and whether it does.

    None stands for one that this device cannot show.
    """
    if value is None:
        return {"ratio": ratio, "value": NOT_MEASURED, "bar": f"{sign} {bound}", "met": None}
    met = bool(value <= bound if sign == "<=" else value >= bound)
    told = float(f"{value:.4g}") if isfinite(value) else str(value)  # JSON has no NaN
    return {"ratio": ratio, "value": told, "bar": f"{sign} {bound}", "met": met}


def those_possible(makers: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """What can be made on this machine; what cannot is left out, and printed with the reason."""
    made = {}
    for name, make in makers.items():
        try:
            made[name] = make()
        except UserError as error:
            print(f"{name}: left out: {error}")
    return made


def write_results(
    path: Path | None,
    results: object,
    settings: Mapping[str, object] | None = None,
    device: str = "cpu",
) -> None:
    """Writes what was measured, with what settings and on what machine, if a path is given."""
    if path is not None:
        of_run = {"machine": describe_machine(device)} | (
            {"settings": settings} if settings else {}
        )
        write_json(path, of_run | {"results": results})


Precision = Literal["32-true", "bf16-mixed"]


class Size(NamedTuple):
    """Of a network and its batch: P x K clips of T frames."""

    backbone: str
    people: int
    tracklets: int
    frames: int
    height: int
    width: int
    classes: int = 625

    @property
    def clips(self) -> int:
        """P x K."""
        return self.people * self.tracklets

    def __str__(self) -> str:
        return (
            f"{self.backbone}, {self.people} x {self.tracklets} clips of {self.frames} images "
            f"of {self.height} x {self.width}"
        )


SIZES = {
    "paper": Size("resnet50", 16, 4, 8, 256, 128),
    "cpu": Size("resnet18", 4, 4, 4, 128, 64),
    "tiny": Size("resnet18", 2, 2, 2, 32, 16),
}
SizeName = Literal["paper", "cpu", "tiny"]


def size_for(device: str, name: SizeName | None) -> Size:
    """The size of a name; if none is given, the paper's on a GPU and a small one on a CPU."""
    return SIZES[name or ("paper" if device == "cuda" else "cpu")]


def patches_of(size: Size) -> int:
    """The paper's four patches, or as many as the rows of the maps of a small image allow."""
    return min(4, -(-size.height // 16))


def network(size: Size) -> STGCN:
    """STGCN with random weights, the same each time."""
    torch.manual_seed(0)
    patches = patches_of(size)
    return STGCN(
        size.classes,
        size.frames,
        size.backbone,
        weights=None,
        temporal_patches=patches,
        spatial_patches=patches,
    )


def batch(size: Size, device: torch.device) -> ClipBatch:
    """A batch as the loader gives it, on the device: bytes, and which clips are flipped."""
    generator = torch.Generator().manual_seed(0)
    shape = (size.clips, size.frames, size.height, size.width, 3)
    clips = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    labels = torch.arange(size.people).repeat_interleave(size.tracklets)
    changes = torch.zeros(size.clips, 1, 14)
    changes[:, 0, 0] = torch.where(torch.arange(size.clips) % 2 == 0, 1.0, -1.0)
    return ClipBatch(clips.to(device).permute(0, 1, 4, 2, 3), labels.to(device), changes.to(device))


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager:
    """The context of a training step of that precision."""
    return torch.autocast(device.type, torch.bfloat16) if precision != "32-true" else nullcontext()
