"""What `python -m benchmarks` runs: the parts of each plan, in order."""

from math import inf
from typing import NamedTuple


class Part(NamedTuple):
    """A benchmark with its options.

    Attributes:
        module: Name of the module below ``benchmarks``.
        options: Its options.
        smoke: Its options where only the smallest is run, to see that it runs.
        share: The share of the time for all parts after which it is ended.
    """

    module: str
    options: str
    smoke: str
    share: float = 1.0


SMALLEST = "--smallest true"
ONE_ROUND = "--smallest true --rounds 1"
TINY = "--size tiny --rounds 1"
TINY_BATCH = "--size tiny --people [2] --tracklets 2"
FEW_SETS = "--people [35] --sets 20 --resamples 100"

# What a GPU alone can show, the most valuable first.
GPU = {
    "correct_step": Part("correctness", "--group step", "--group step --smallest true", 0.3),
    "train_step": Part("train_step", "--rounds 7", TINY, 0.4),
    "correct_processes": Part(
        "correctness", "--group processes", "--group processes --smallest true", 0.2
    ),
    "correct_device": Part("correctness", "--group device", "--group device --smallest true", 0.2),
    "graph_layers": Part("graph_layers", "--dtype bfloat16 --rounds 5", ONE_ROUND, 0.15),
    "evaluation": Part("evaluation", "--rounds 1", SMALLEST, 0.2),
    "reranking": Part("reranking", "--rounds 1 --widths [2048]", SMALLEST, 0.2),
    "correct_commands": Part(
        "correctness", "--group commands", "--group commands --smallest true", 0.25
    ),
    "training_memory": Part("training_memory", "--people [16]", TINY_BATCH, 0.15),
    "inference": Part("inference", "--rounds 1", TINY, 0.35),
    "graph_layers_compiled": Part(
        "graph_layers", "--dtype bfloat16 --compile true --rounds 5", ONE_ROUND, 0.5
    ),
}

# The options of each in a quick run, and in the smallest. A whole run takes each as it is.
CPU = {
    "train_step": ("--rounds 3", TINY),
    "backbones": ("--rounds 3", TINY),
    "inference": ("--rounds 3", TINY),
    "training_memory": ("--people [4]", TINY_BATCH),
    "graph_layers": ("--rounds 3 --smallest true", ONE_ROUND),
    "evaluation": (SMALLEST, SMALLEST),
    "data_loading": (SMALLEST, SMALLEST),
    "rendering": (SMALLEST, SMALLEST),
    "reranking": (SMALLEST, SMALLEST),
    "uncertainty": (SMALLEST, SMALLEST),
    "videos": (
        "--rounds 3",
        "--rounds 1 --frames 12 --width 320 --height 180 --rows 1000",
    ),
    "coverage": (FEW_SETS, FEW_SETS),
    "pair_coverage": (SMALLEST, SMALLEST),
    "import_time": ("--rounds 1", "--rounds 1"),
    "search": (SMALLEST, SMALLEST),
}
PLANS = {
    "gpu": GPU,
    "quick": {name: Part(name, quick, smoke) for name, (quick, smoke) in CPU.items()},
    "all": {name: Part(name, "", smoke) for name, (_, smoke) in CPU.items()},
}
LIMITS = {"gpu": 360.0, "quick": 480.0, "all": inf}  # seconds for all parts
ON_DEVICES = {
    *("correctness", "train_step", "inference", "training_memory"),
    *("graph_layers", "evaluation", "reranking"),
}


def options_of(part: Part, device: str, smoke: bool) -> list[str]:
    """The options that a part is run with."""
    where = ["--device", device] if part.module in ON_DEVICES else []
    return (part.smoke if smoke else part.options).split() + where
