"""How the benchmarks measure: interleaved rounds, medians, peak memory, and on what machine."""

import gc
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.benchmark import Timer

from stgcn_pyg.files import write_output

Step = Callable[[], object]


def median_times(
    steps: Mapping[str, Step], rounds: int, seconds_a_round: float = 0.2
) -> dict[str, float]:
    """The median time of each step, in seconds: of :func:`times_by_round`."""
    return {
        n: median(values) for n, values in times_by_round(steps, rounds, seconds_a_round).items()
    }


def times_by_round(
    steps: Mapping[str, Step],
    rounds: int,
    seconds_a_round: float = 0.2,
    long_rounds: int = 3,
) -> dict[str, list[float]]:
    """The time of each step in each round, in seconds.

    In every round each step runs once for a while, so that a slow spell of the machine meets all.
    A step of more than two seconds runs in ``long_rounds`` at most.
    """
    timers = {
        name: Timer("step()", globals={"step": step}, num_threads=torch.get_num_threads())
        for name, step in steps.items()
    }
    counts, rounds_of = {}, {}
    for name, timer in timers.items():
        timer.timeit(1)  # warm up: memory, compilation, the choice of kernels
        seconds = timer.timeit(1).mean
        counts[name] = max(1, round(seconds_a_round / seconds))
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


def machine(device: torch.device) -> dict[str, object]:
    """The hardware and the versions that a figure belongs to."""
    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else _cpu_name(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_geometric": importlib.metadata.version("torch-geometric"),
    }


def _cpu_name() -> str:
    """The processor, and which of its instructions torch uses: others give other last bits."""
    return f"{_model_name()} with {torch.backends.cpu.get_cpu_capability()}"


def _model_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def write_json(path: Path | None, results: dict[str, object]) -> None:
    """Writes results, if a path is given."""
    if path is not None:
        write_output(path, (json.dumps(results, indent=2) + "\n").encode())
