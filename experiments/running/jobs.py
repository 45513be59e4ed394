"""The runs that a table needs: one a row, split and seed, with a key that its settings decide."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from experiments.running.datasets import DataSource
from experiments.variants import Ensemble, Experiment, Retested, Row, Variant
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.settings import (
    FREE,
    RENAMED,
    RunSettings,
    default_settings,
    load_settings,
    preset_path,
)

PRESETS = Path(__file__).parents[1] / "presets"
NAMES = ("paper", "small", "smoke")
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

    Attributes:
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
        if not isinstance(self.row, Ensemble):
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
    """The files that make a preset, each laid over the one before.

    Args:
        name: ``"paper"`` (section 4.2 to the letter), ``"small"`` or ``"smoke"``.
        dataset: Name of the data set.
        gpu: Whether a GPU trains.

    Raises:
        UserError: There is no such preset.
    """
    if name not in NAMES:
        raise UserError(f"preset {name!r} is unknown: use {', '.join(NAMES)}")
    if name == "paper":
        return [preset_path("paper")]
    overlays = [f"{name}-gpu.yaml"] * gpu + [f"{name}-{dataset}.yaml"]
    existing = [PRESETS / file for file in overlays if (PRESETS / file).is_file()]
    return [PRESETS / f"{name}.yaml", *existing]


def settings_of(
    source: DataSource, presets: Sequence[Path], changes: Mapping[str, Any], unit: Unit
) -> RunSettings:
    """The settings of a run, complete and checked.

    Args:
        source: The data set.
        presets: YAML files, each laid over the one before.
        changes: Settings by dotted name, laid over the presets.
        unit: The split and seed.

    Raises:
        UserError: A setting is unknown or has a value that it cannot have.
    """
    of_run = {"dataset": source.loader, "root": str(source.root), **unit._asdict()}
    return load_settings(presets, {**of_run, **changes})


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
    """All jobs of an experiment, unit by unit, in each the trained ones first.

    Args:
        experiment: The experiment.
        names: Names of its rows; None for all.
        source: The data set.
        presets: The files of the preset.
        units: Splits and seeds.

    Raises:
        UserError: A name or a setting is unknown, or there are too few seeds to pair.
    """
    rows = experiment.choose(names)
    identities = {split: source.identity(split) for split in {unit.split for unit in units}}

    def job_of(row: Row, unit: Unit, needs: tuple[Job, ...] = ()) -> Job:
        job = Job(row, unit, identities[unit.split], needs)
        if isinstance(row, Ensemble):
            return job
        changes = _changes(experiment, row) | ({"on_bad_frame": "skip"} if source.faults else {})
        config = deciding(settings_of(source, presets, changes, unit).flat())
        return replace(job, changes=changes, config=config)

    trained = {(row.name, unit): job_of(row, unit) for unit in units for row in rows if not row.of}
    jobs: list[Job] = []
    for unit in units:
        jobs += [job for (_, at), job in trained.items() if at == unit]
        for row in rows:
            if row.of:
                parts = zip(row.of, _units_of_parts(row, unit, units), strict=True)
                jobs.append(job_of(row, unit, tuple(trained[part] for part in parts)))
    return jobs


def _units_of_parts(row: Row, unit: Unit, units: Sequence[Unit]) -> list[Unit]:
    if not (isinstance(row, Ensemble) and row.next_seed):
        return [unit for _ in row.of]
    of_split = [other for other in units if other.split == unit.split]
    if len(of_split) < 3:
        raise UserError(f"{row.name}: pairs each seed with the next: pass three --seeds or more")
    return [unit, of_split[(of_split.index(unit) + 1) % len(of_split)]]


def _changes(experiment: Experiment, row: Variant | Retested) -> dict[str, Any]:
    if isinstance(row, Variant):
        return dict(row.settings)
    if unfit := set(row.settings) - OF_THE_TEST:
        raise UserError(f"{row.name}: {', '.join(unfit)} changes the training: make it a Variant")
    [trained] = row.of
    return {**experiment.row(trained).settings, **row.settings}
