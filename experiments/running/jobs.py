"""What there is to do for a table: one job a row, split and seed, named by all that decides it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from experiments.running.datasets import Source
from experiments.running.settings import settings_of_run
from experiments.variants import Ensemble, Experiment, Retested, Row, Variant, sources
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.settings import FREE, default_settings

# Settings that change how and where a run goes, not what comes out.
OUTSIDE = FREE | {"root", "sync_batch_norm"}  # one process trains, and has nothing to synchronise
OF_THE_TEST = {"model.embedding", "data.test_clips"}


class Unit(NamedTuple):
    """What rows are paired by: a split of the people and a seed."""

    split: int
    seed: int

    def __str__(self) -> str:
        return f"split {self.split}, seed {self.seed}"


@dataclass(frozen=True, eq=False)
class Job:
    """One row at one split and seed.

    Attributes:
        row: What it is.
        unit: Its split and seed.
        identity: Of the data set.
        needs: The jobs that it is made of; none if it is trained.
        changes: Its settings that differ from the preset's, by dotted name.
        config: Every setting that decides what comes out; an ensemble has none of its own.
    """

    row: Row
    unit: Unit
    identity: str
    needs: tuple["Job", ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Names its folders: a digest of all that decides what comes out, in any experiment.

        A setting at its default is left out, so that an option which a later version adds changes
        no name. That a default has not changed is seen to by the results' folder.
        """
        usual = default_settings()
        changed = {n: v for n, v in self.config.items() if n not in usual or v != usual[n]}
        content: dict[str, Any] = {"config": changed, "identity": self.identity}
        if isinstance(self.row, Ensemble):
            content = {"ensemble of": [job.key for job in self.needs]}
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return f"{self.row.name}, {self.unit}"


def jobs_of(
    experiment: Experiment,
    names: Sequence[str] | None,
    source: Source,
    presets: list[Path],
    units: Sequence[Unit],
) -> list[Job]:
    """All jobs, each unit's rows together, those that are trained before the others.

    Args:
        experiment: The table.
        names: Of its rows; all if not given.
        source: The data set.
        presets: The preset's files.
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
        changes = changes_of(experiment, row) | in_spite_of_faults(source)
        options = settings_of_run(source.loader, source.root, presets, changes, *unit)
        return replace(job, changes=changes, config=deciding(options.flat()))

    trained = {
        unit: {row.name: job_of(row, unit) for row in rows if not sources(row)} for unit in units
    }
    jobs: list[Job] = []
    for unit in units:
        jobs += trained[unit].values()
        for row in rows:
            if sources(row):
                where = _units_of_parts(row, unit, units)
                parts = zip(where, sources(row), strict=True)
                jobs.append(job_of(row, unit, tuple(trained[at][name] for at, name in parts)))
    return jobs


def _units_of_parts(row: Row, unit: Unit, units: Sequence[Unit]) -> list[Unit]:
    """Where the networks that a row is made of were trained."""
    if not (isinstance(row, Ensemble) and row.next_seed):
        return [unit for _ in sources(row)]
    of_split = [other for other in units if other.split == unit.split]
    if len(of_split) < 3:
        raise UserError(f"{row.name}: pairs each seed with the next: pass three --seeds or more")
    return [unit, of_split[(of_split.index(unit) + 1) % len(of_split)]]


def changes_of(experiment: Experiment, row: Variant | Retested) -> dict[str, Any]:
    """The settings of a row that differ from the preset's."""
    if isinstance(row, Variant):
        return dict(row.settings)
    if unfit := set(row.settings) - OF_THE_TEST:
        raise UserError(f"{row.name}: {', '.join(unfit)} changes the training: make it a Variant")
    of = experiment.row(row.of)
    assert isinstance(of, Variant)
    return {**of.settings, **row.settings}


def in_spite_of_faults(source: Source) -> dict[str, Any]:
    """The settings by which runs go on with a data set whose faults are allowed."""
    return {"on_bad_frame": "skip"} if source.faults else {}


def deciding(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that decide what comes out, of all by dotted name."""
    return {name: value for name, value in settings.items() if name not in OUTSIDE}
