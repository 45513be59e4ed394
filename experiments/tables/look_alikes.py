"""Queries ranked among fewer people in the same clothes."""

from collections.abc import Sequence

import numpy as np

from experiments.running.jobs import Job
from experiments.running.look_alikes import groups_of, largest, named, removed_people
from experiments.running.perform import Workshop
from experiments.tables.condition_files import write_conditions
from experiments.tables.conditions import Condition, restricted
from experiments.tables.finished import NOTHING, named_protocols, read_runs
from experiments.variants import Experiment
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import Protocol, chance_for_protocol, protocol
from stgcn_pyg.runs.embedding import ranking_task
from stgcn_pyg.runs.scoring import RankingTask


def write_report(experiment: Experiment, jobs: Sequence[Job], shop: Workshop) -> str:
    """Writes the tables and the figure; see :func:`experiments.tables.usual.write_report`."""
    task = ranking_task(shop.source.load(0))
    groups = groups_of(shop.source.root, task)
    if groups is None:
        raise UserError(f"{shop.source.root}: has no people.parquet: pass a rendered data set")
    runs = read_runs(jobs, shop)
    if not runs:
        return NOTHING
    rule = named_protocols(runs)[0]
    sizes = range(1, largest(task, groups) + 1)
    everyone = np.ones(len(groups), bool)
    conditions = []
    for size in sizes:
        scored = rule if size == sizes[-1] else named(rule, size)
        within = {
            row: {unit: restricted(run, scored, everyone) for unit, run in units.items()}
            for row, units in runs.items()
        }
        references = chance_by_size(task, groups, size)
        conditions.append(Condition(size, f"g = {size}", within, references))
    places = [{job.unit: np.full(len(groups), size) for job in jobs} for size in sizes]
    axis = "g, people in the same clothes"
    return write_conditions(
        experiment, shop, conditions, places, axis, rule, (1, "for one person more")
    )


def chance_by_size(task: RankingTask, groups: np.ndarray, size: int) -> dict[str, float]:
    """The mAP under the task's first protocol that is expected of two kinds of ignorance.

    ``chance``: of a random order of all that is left; ``clothes known, bodies not``: of a random
    order of the query's group, everything else behind it.
    """
    rule = protocol(task.protocols[0])
    of_everybody: list[float] = []
    of_group: list[float] = []
    for row, gone in enumerate(removed_people(task, groups, size)):
        group = np.unique(task.query_pids[groups == groups[row]])
        stays = ~np.isin(task.gallery_pids, gone)
        for keep, found in (
            (stays, of_everybody),
            (stays & np.isin(task.gallery_pids, group), of_group),
        ):
            found.append(_expected(task, rule, row, keep))
    return {
        "chance": float(np.nanmean(of_everybody)),
        "clothes known, bodies not": float(np.nanmean(of_group)),
    }


def _expected(task: RankingTask, rule: Protocol, row: int, keep: np.ndarray) -> float:
    """The expected AP of one query in a random order of part of the gallery; NaN unmatched."""
    one = slice(row, row + 1)
    is_query = None if task.gallery_is_query is None else task.gallery_is_query[keep]
    labels = (task.query_pids[one], task.gallery_pids[keep])
    cameras = (task.query_camids[one], task.gallery_camids[keep])
    try:
        return chance_for_protocol(rule, *labels, *cameras, is_query).mAP
    except ValueError:  # no match
        return np.nan
