"""Every setting of a run: a preset's, and what a variant changes in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.settings import RunSettings, load_settings, preset_path

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
        return [preset_path("paper")]
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
) -> RunSettings:
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
    given = {"dataset": loader, "root": str(root), "split": split, "seed": seed}
    return load_settings(presets, given | dict(changes))
