"""The environment of a run: the commit, the versions, the device."""

import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import stgcn_pyg

NAME = "environment.json"  # in a run's folder: a list of what `describe_environment` returns
PACKAGES = ("torch", "torchvision", "torch-geometric", "numpy", "pillow")
SECONDS = 10  # the time that git is given


def describe_environment(device: str) -> dict[str, Any]:
    """What a run's result may depend on beside its settings and data, as plain values.

    Args:
        device: The device that computes: ``"cpu"`` or ``"cuda"``.

    Returns:
        ``stgcn-pyg``, the version; ``commit``, that of the checkout that the package is imported
        from, or None; ``changed``, whether a file of the package differs from that commit;
        ``device``, with the name of the GPU; ``python``, ``platform``, and the version of each of
        ``PACKAGES``.

    Example:
        >>> describe_environment("cpu")["device"]
        'cpu'
    """
    commit, changed = commit_of(Path(stgcn_pyg.__file__).parent)
    return {
        "stgcn-pyg": stgcn_pyg.__version__,
        "commit": commit,
        "changed": changed,
        "device": device if device != "cuda" else f"cuda ({_gpu()})",
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        **{package: _version(package) for package in PACKAGES},
    }


def describe_machine(device: str) -> dict[str, Any]:
    """The hardware and versions that a figure belongs to, as plain values.

    The name of a processor comes with the instructions that torch uses, for others give other last
    bits.
    """
    import torch  # here alone, since it takes seconds

    name = f"{_processor()} with {torch.backends.cpu.get_cpu_capability()}"
    return {
        "device": _gpu() if device == "cuda" else name,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_geometric": version("torch-geometric"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def read_environments(run: Path) -> list[dict[str, Any]] | None:
    """The environments of the run in a folder, the latest last; None where it records none."""
    try:
        noted = json.loads((run / NAME).read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(noted, list) or not all(isinstance(entry, dict) for entry in noted):
        return None
    return noted


def commit_of(folder: Path) -> tuple[str | None, bool | None]:
    """The commit of a package's sources, and whether a tracked file of it differs."""
    # An installed package may lie below somebody else's checkout, which does not track it.
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None, None
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    return commit, None if changes is None else bool(changes)


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, or None where it is absent or fails."""
    try:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.check_output(
            command, stderr=subprocess.DEVNULL, text=True, timeout=SECONDS
        ).strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
