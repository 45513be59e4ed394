"""Where a result comes from: commit, versions, hardware."""

import re
from typing import Any

import torch

from stgcn_pyg.runs.environment import describe_environment


def provenance(device: str) -> dict[str, Any]:
    """The commit, the versions and the hardware of whatever runs now.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
    """
    from benchmarks.measuring import machine  # it says on import if there is no GPU

    return {
        "environment": describe_environment(device),
        "machine": machine(torch.device(device)),
    }


def hardware_name(device: str) -> str:
    """``cpu``, or a GPU's name, as the results' folder has it.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
    """
    if device == "cpu":
        return "cpu"
    return re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name().lower()).strip("-")
