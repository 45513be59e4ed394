"""Where a result comes from: commit, versions, hardware."""

import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from stgcn_pyg.version import __version__

LIBRARIES = ("torchvision", "lightning", "numpy", "pillow")


def provenance(device: str) -> dict[str, Any]:
    """The commit, the versions and the hardware of whatever runs now.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
    """
    from benchmarks.measuring import machine  # it says on import if there is no GPU

    return {
        "commit": commit(),
        "machine": machine(torch.device(device)),
        "versions": {"stgcn_pyg": __version__} | {name: version(name) for name in LIBRARIES},
    }


def commit() -> str | None:
    """The commit of the checkout, with a ``+`` if files differ from it; None outside of git."""
    folder = Path(__file__).parents[2]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git(
            "status", "--porcelain", "--untracked-files=no", "--", ".", ":!experiments/results"
        )
        return git("rev-parse", "HEAD") + "+" * bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return None


def hardware_name(device: str) -> str:
    """``cpu``, or a GPU's name, as the results' folder has it.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
    """
    if device == "cpu":
        return "cpu"
    return re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name().lower()).strip("-")
