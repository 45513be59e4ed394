"""Whether a run fits a GPU, what would make it fit, and how long it takes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tqdm import tqdm

from stgcn_pyg.planning.memory import StepMemory
from stgcn_pyg.planning.step import PlannedStep
from stgcn_pyg.progress import bar_options
from stgcn_pyg.runs.settings import RunSettings

GIB = 2**30
RESERVE = GIB  # for CUDA itself, the work space of cuDNN, and gaps between tensors
FEWEST = 2  # identities in a batch: a triplet needs two

# Training identities of the data sets, as published: data.cross_camera has a half of each of the
# last two, data.mars and data.dukemtmc_videoreid name their sources.
IDENTITIES = {"mars": 625, "dukemtmc-videoreid": 702, "ilids-vid": 150, "prid2011": 89, "ward": 35}


@dataclass(frozen=True)
class Way:
    """One way to run the step.

    Attributes:
        micro_batches: Number of parts of the batch.
        activation_checkpointing: Whether blocks are computed twice.
        precision: Precision in place of that of the settings; None for theirs.
        memory: Memory of a step of the batch that was asked for.
        largest: Largest number P of identities in a batch that fits the GPU; 0 if none does, None
            if no GPU was named.
    """

    micro_batches: int
    activation_checkpointing: bool
    precision: str | None
    memory: StepMemory
    largest: int | None

    @property
    def options(self) -> str:
        """The options of `stgcn train` that choose it."""
        half = f"--precision {self.precision}" * (self.precision is not None)
        parts = f"--training.micro-batches {self.micro_batches}" * (self.micro_batches > 1)
        twice = "--training.activation-checkpointing true" * self.activation_checkpointing
        return " ".join(filter(None, (half, parts, twice)))

    def fits(self, memory: int) -> bool:
        """Whether the batch that was asked for fits into so many bytes."""
        return self.memory.total + RESERVE <= memory


@dataclass(frozen=True)
class Plan:
    """What a run needs.

    Attributes:
        ways: Ways to run the step: as the settings ask for it, then those that take less memory.
        flop: Floating-point operations of a step.
        steps: Number of steps of an epoch.
        num_parameters: Number of weights of the network.
        precision: Precision of the settings.
    """

    ways: list[Way]
    flop: int
    steps: int
    num_parameters: int
    precision: str

    def to_dict(self) -> dict[str, Any]:
        """Its figures as plain values, bytes as whole numbers."""
        ways = [
            {
                "micro_batches": way.micro_batches,
                "activation_checkpointing": way.activation_checkpointing,
                "precision": way.precision or self.precision,
                "bytes": vars(way.memory) | {"total": way.memory.total},
                "largest_identities_per_batch": way.largest,
            }
            for way in self.ways
        ]
        return {
            "ways": ways,
            "flop_per_step": self.flop,
            "steps_per_epoch": self.steps,
            "parameters": self.num_parameters,
        }


def make_plan(settings: RunSettings, num_identities: int, memory: int | None) -> Plan:
    """Predicts the memory and the work of a run, without its data and its weights.

    Args:
        settings: Settings of the run.
        num_identities: Number of identities to train on.
        memory: Bytes of the GPU; None if it is not known.

    Raises:
        UserError: A setting makes no sense, or PyTorch has moved what the prediction is made of.
    """
    step = PlannedStep(settings, num_identities)
    p, chosen = settings.data["identities_per_batch"], settings.training
    given, twice = chosen["micro_batches"], bool(chosen["activation_checkpointing"])
    parts = max(given, 4)
    half = None if settings.precision == "bf16-mixed" else "bf16-mixed"
    # Those first that change the results least.
    less = [(given, True, None), (given, twice, half), (parts, twice, None), (parts, True, None)]
    less.append((parts, True, half))
    ways = []
    bar = tqdm(desc="predicting", unit="step", **bar_options())
    with bar:

        def total(way: tuple[int, bool, str | None], size: int) -> int:
            bar.update()
            return step.memory(size, *way).total

        for way in dict.fromkeys([(given, twice, None), *less]):
            needed = step.memory(p, *way)
            bar.update()
            largest = None
            if memory is not None:
                of_size = partial(total, way)
                largest = largest_batch(of_size, p, needed.total, memory - RESERVE, num_identities)
            ways.append(Way(*way, needed, largest))
        flop = step.flop(p)
        bar.update()
    return Plan(ways, flop, step.steps_per_epoch, step.num_parameters, settings.precision)


def largest_batch(
    total: Callable[[int], int], asked: int, needed: int, memory: int, most: int
) -> int:
    """The largest batch within a memory; 0 if not even one of two identities fits.

    Memory grows nearly in proportion to the batch, so the secant through the largest size known
    to fit and the smallest known not to leads there in a few steps.

    Args:
        total: Gives the bytes of a size.
        asked: Size whose bytes are known.
        needed: Those bytes.
        memory: Bytes that may be used.
        most: Largest size that makes sense.
    """
    if asked > FEWEST and needed > memory:
        fits, high, too_much = (FEWEST, total(FEWEST)), asked, needed
    else:
        fits, high, too_much = (asked, needed), most + 1, None
    if fits[1] > memory:
        return 0
    low, less = fits
    while high - low > 1:
        if too_much is None:  # nothing larger is known: in proportion, and a little beyond
            guess = low * memory // less + 1
        else:
            guess = low + (high - low) * (memory - less) // (too_much - less)
        guess = min(max(guess, low + 1), high - 1)
        found = total(guess)
        if found <= memory:
            low, less = guess, found
            # Memory bends upwards: what follows a fitting guess seldom fits.
            if too_much is not None and low + 1 < high and (following := total(low + 1)) > memory:
                high, too_much = low + 1, following
        else:
            high, too_much = guess, found
    return low
