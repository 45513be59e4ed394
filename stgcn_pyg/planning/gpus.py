"""GPUs by name: how much memory they have, and how fast they multiply."""

import difflib
from dataclasses import dataclass

from stgcn_pyg.errors import UserError


@dataclass(frozen=True)
class GPU:
    """A GPU.

    Attributes:
        name: Name of the GPU.
        memory: Memory in GiB, as nvidia-smi shows it.
        rate: TFLOP a second of dense products of bfloat16 that are added up in float32, as NVIDIA
            states it; None if not known.
        also: Other names that the driver gives it.
    """

    name: str
    memory: float
    rate: float | None = None
    also: tuple[str, ...] = ()


# All of these have bfloat16. Memory as nvidia-smi shows it, rates from NVIDIA's data sheets.
GPUS = (
    GPU("RTX 3060", 12.0),
    GPU("RTX 4080", 16.0, 97.5),
    GPU("L4", 22.5, 121),
    GPU("A10", 22.5, 125),
    GPU("RTX 3090", 24.0, 71),
    GPU("RTX 4090", 24.0, 165),
    GPU("RTX 5090", 31.8, 209.5),
    GPU("A100 40GB", 40.0, 312, ("A100-SXM4-40GB", "A100-PCIE-40GB")),
    GPU("L40S", 45.0, 362),
    GPU("RTX A6000", 48.0, 155),
    GPU("RTX 6000 Ada", 48.0, 364, ("RTX 6000 Ada Generation",)),
    GPU("A100 80GB", 80.0, 312, ("A100-SXM4-80GB", "A100 80GB PCIe")),
    GPU("H100", 79.6, 989, ("H100 80GB HBM3",)),
    GPU("H200", 140.4, 989),
)

# Step of the paper's batch on an H200, compiled, in bfloat16: 62.4 ms for 12.64 TFLOP
# (benchmarks/results/nvidia-h200-torch2.11.0), of 989 TFLOP a second.
MEASURED_SHARE = 12.64 / 0.0624 / 989


def find_gpu(name: str) -> GPU:
    """The GPU of a name, in any spelling of case, spaces and hyphens, with or without its maker.

    Raises:
        UserError: The name is unknown.

    Example:
        >>> find_gpu("nvidia geforce rtx-4090").memory
        24.0
    """
    known = {_plain(also): gpu for gpu in GPUS for also in (gpu.name, *gpu.also)}
    given = _plain(name)
    if given in known:
        return known[given]
    holding = [spelling for spelling in known if given in spelling]
    near = holding or difflib.get_close_matches(given, known, n=3)
    names = ", ".join(dict.fromkeys(known[spelling].name for spelling in near or known))
    raise UserError(
        f"--gpu {name!r} is unknown: use {names}, or pass --memory, the GiB that nvidia-smi shows"
    )


def _plain(name: str) -> str:
    words = name.lower().replace("-", " ").replace("_", " ").split()
    return "".join(word for word in words if word not in ("nvidia", "geforce"))
