"""Every setting of a run: a preset's, and what a variant changes in it."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from stgcn_pyg.cli import train
from stgcn_pyg.cli.arguments import PRESETS as PACKAGE_PRESETS
from stgcn_pyg.errors import UserError

PRESETS = Path(__file__).parents[1] / "presets"
NAMES = ("paper", "small", "smoke")


def preset_files(name: str, dataset: str, gpu: bool) -> list[Path]:
    """The files that make a preset, each laid over the one before.

    Args:
        name: ``"paper"``, which is section 4.2 to the letter, ``"small"`` or ``"smoke"``.
        dataset: The data set's name.
        gpu: Whether a GPU trains.

    Raises:
        UserError: The preset is unknown.

    Example:
        >>> [file.name for file in preset_files("small", "ward", gpu=True)]
        ['small.yaml', 'small-gpu.yaml', 'small-ward.yaml']
    """
    if name not in NAMES:
        raise UserError(f"preset {name!r} is unknown: use {', '.join(NAMES)}")
    if name == "paper":
        return [Path(str(PACKAGE_PRESETS / "paper.yaml"))]
    overlays = [f"{name}-gpu.yaml"] if gpu else []
    there = [PRESETS / overlay for overlay in (*overlays, f"{name}-{dataset}.yaml")]
    return [PRESETS / f"{name}.yaml", *(file for file in there if file.is_file())]


def settings_of_run(
    loader: str,
    root: Path,
    presets: list[Path],
    changes: Mapping[str, Any],
    split: int,
    seed: int,
) -> Namespace:
    """What ``stgcn train`` would make of these, complete and checked.

    Args:
        loader: The data set's name for :func:`stgcn_pyg.data.load_dataset`.
        root: Its folder.
        presets: YAML files, each laid over the one before.
        changes: By dotted name, over the presets.
        split: Which halves of people.
        seed: Of everything random.

    Raises:
        UserError: A setting is unknown or makes no sense.
    """
    arguments = [loader, str(root), f"--split={split}", f"--seed={seed}"]
    for file in presets:
        arguments += ["--config", str(file)]
    for name, value in changes.items():
        arguments.append(f"--{name}={value if isinstance(value, str) else json.dumps(value)}")
    return _parser().parse_args(arguments)


@cache
def defaults() -> Mapping[str, Any]:
    """Every setting that nothing changes, by dotted name."""
    return flat(train.settings(_parser().get_defaults()))


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name.

    Example:
        >>> flat({"seed": 0, "model": {"weights": None}})
        {'seed': 0, 'model.weights': None}
    """
    result: dict[str, Any] = {}
    for name, value in settings.items():
        inner = flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {}
        result |= inner or {prefix + name: value}
    return result


_parser = cache(train.parser)
