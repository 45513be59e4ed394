"""Queries ranked among fewer people in the same clothes."""

from collections.abc import Sequence

import numpy as np

from experiments.running.jobs import Job
from experiments.running.run_job import RunContext
from experiments.running.scores import groups_of, largest_group, of_groups, removed_pids
from experiments.tables.conditions import Condition, restricted, write_conditions
from experiments.tables.finished import NOTHING, named_protocols, read_runs
from experiments.variants import Experiment
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import Protocol, chance_for_protocol, protocol
from stgcn_pyg.runs.embedding import ranking_task
from stgcn_pyg.runs.scoring import RankingTask

AXIS = "g, people in the same clothes"


def write_report(experiment: Experiment, jobs: Sequence[Job], context: RunContext) -> str:
    """Writes tables and figure; arguments as of :func:`experiments.tables.usual.write_report`."""
    task = ranking_task(context.source.load(0))
    groups = groups_of(context.source.root, task)
    if groups is None:
        raise UserError(f"{context.source.root}: has no people.parquet: pass a rendered data set")
    runs = read_runs(jobs, context)
    if not runs:
        return NOTHING
    rule = named_protocols(runs)[0]
    sizes = range(1, largest_group(task, groups) + 1)
    everyone = np.ones(len(groups), bool)
    conditions = [
        Condition(
            size,
            f"g = {size}",
            restricted(runs, rule if size == sizes[-1] else of_groups(rule, size), everyone),
            {job.unit: np.full(len(groups), size) for job in jobs},
            chance_by_size(task, groups, size),
        )
        for size in sizes
    ]
    step = (1, "for one person more")
    return write_conditions(experiment, context, conditions, AXIS, rule, step)


def chance_by_size(task: RankingTask, groups: np.ndarray, size: int) -> dict[str, float]:
    """The expected mAP of two random rankings, under the task's first protocol.

    ``chance``: a random order of all that is left; ``clothes known, bodies not``: a random order
    of the query's group, everything else behind it.
    """
    rule = protocol(task.protocols[0])
    expected = []
    for row, gone in enumerate(removed_pids(task, groups, size)):
        group = np.unique(task.query_pids[groups == groups[row]])
        stays = ~np.isin(task.gallery_pids, gone)
        in_group = stays & np.isin(task.gallery_pids, group)
        expected.append([_expected(task, rule, row, keep) for keep in (stays, in_group)])
    of_all, of_group = np.nanmean(expected, axis=0)
    return {"chance": float(of_all), "clothes known, bodies not": float(of_group)}


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
