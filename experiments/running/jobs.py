"""The runs that a table needs: one a row, split and seed, with a key that its settings decide."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from experiments.experiment import Experiment, Row
from experiments.running.datasets import DataSource
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.settings import FREE, RunSettings, default_settings, load_settings, preset_path
from stgcn_pyg.runs.settings_files import RENAMED

PRESETS = Path(__file__).parents[1] / "presets"
# The files of each preset, each laid over the one before. "paper" is section 4.2 to the letter.
NAMES = {
    "paper": (preset_path("paper"),),
    "finetune": (preset_path("finetune"),),
    "finetune-lite0": (preset_path("finetune"), PRESETS / "finetune-lite0.yaml"),
    "small": (PRESETS / "small.yaml",),
    "smoke": (PRESETS / "smoke.yaml",),
}
# Settings that do not change what comes out. One process trains: nothing is synchronised.
OUTSIDE = FREE | {"root", "sync_batch_norm"}
OF_THE_TEST = {"model.embedding", "data.test_clips"}
FORMER = {new: old for old, new in RENAMED.items()}


class Unit(NamedTuple):
    """A split of the identities and a seed: rows are compared at the same units."""

    split: int
    seed: int

    def __str__(self) -> str:
        return f"split {self.split}, seed {self.seed}"


@dataclass(frozen=True, eq=False)
class Job:
    """One row of a table at one split and seed.

    Args:
        row: The row.
        unit: The split and seed.
        identity: Digest of the data set.
        needs: The jobs that it is made of; none if it is trained.
        changes: Settings that differ from the preset's, by dotted name.
        config: All settings that decide what comes out; none for an ensemble.
    """

    row: Row
    unit: Unit
    identity: str
    needs: tuple["Job", ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A digest of all that decides what comes out, the same in any experiment.

        Settings at their defaults are left out, so that a setting that a later version adds
        changes no key; that no default has changed is checked by the results folder.
        """
        content: dict[str, Any] = {"ensemble of": [job.key for job in self.needs]}
        if self.row.kind != "ensemble":
            defaults = default_settings()
            changed = {
                FORMER.get(name, name): value
                for name, value in self.config.items()
                if name not in defaults or value != defaults[name]
            }
            content = {"config": changed, "identity": self.identity}
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return f"{self.row.name}, {self.unit}"


def preset_files(name: str, dataset: str, gpu: bool) -> list[Path]:
    """The files that make a preset for a data set, each laid over the one before.

    Raises:
        UserError: There is no such preset.
    """
    if name not in NAMES:
        raise UserError(f"preset {name!r} is unknown: use {', '.join(NAMES)}")
    overlays = [f"{name}-gpu.yaml"] * gpu + [f"{name}-{dataset}.yaml"]
    existing = [PRESETS / file for file in overlays if (PRESETS / file).is_file()]
    return [*NAMES[name], *existing]


def settings_of(
    source: DataSource, presets: Sequence[Path], changes: Mapping[str, Any], unit: Unit
) -> RunSettings:
    """The settings of a run, complete and checked: ``changes`` laid over the presets.

    Raises:
        UserError: A setting is unknown or has a value that it cannot have.
    """
    of_run = {"dataset": source.loader, "root": str(source.root), "baselines": False}
    return load_settings(presets, {**of_run, **unit._asdict(), **changes})


def deciding(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of some settings, by dotted name, that decide what comes out."""
    return {name: value for name, value in settings.items() if name not in OUTSIDE}


def jobs_of(
    experiment: Experiment,
    names: Sequence[str] | None,
    source: DataSource,
    presets: Sequence[Path],
    units: Sequence[Unit],
) -> list[Job]:
    """The jobs of an experiment's rows, of all if no names are given: unit by unit, trained first.

    Raises:
        UserError: A name or a setting is unknown, or there are too few seeds to pair.
    """
    rows = experiment.choose(names)
    identities = {split: source.identity(split) for split in {unit.split for unit in units}}
    skipping = {"on_bad_frame": "skip"} if source.faults else {}
    jobs: dict[tuple[str, Unit], Job] = {}
    for row in sorted(rows, key=lambda row: bool(row.of)):
        for unit in units:
            needs = [
                jobs[part] for part in zip(row.of, _units_of_parts(row, unit, units), strict=True)
            ]
            changes, config = {}, {}
            if row.kind != "ensemble":
                changes = _changes(experiment, row) | skipping
                config = deciding(settings_of(source, presets, changes, unit).flat())
            jobs[row.name, unit] = Job(
                row, unit, identities[unit.split], tuple(needs), changes, config
            )
    return [job for unit in units for job in jobs.values() if job.unit == unit]


def _units_of_parts(row: Row, unit: Unit, units: Sequence[Unit]) -> list[Unit]:
    if not row.next_seed:
        return [unit for _ in row.of]
    of_split = [other for other in units if other.split == unit.split]
    if len(of_split) < 3:
        raise UserError(f"{row.name}: pairs each seed with the next: pass three --seeds or more")
    return [unit, of_split[(of_split.index(unit) + 1) % len(of_split)]]


def _changes(experiment: Experiment, row: Row) -> dict[str, Any]:
    if row.of and (training := set(row.settings) - OF_THE_TEST):
        raise UserError(
            f"{row.name}: {', '.join(training)} changes the training: make it a network to train"
        )
    trained = [experiment.row(name).settings for name in row.of]
    return {
        name: value for settings in (*trained, row.settings) for name, value in settings.items()
    }
