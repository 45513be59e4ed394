"""The two curves: queries binned by occlusion, and ranked among fewer look-alikes."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from experiments.experiment import Experiment
from experiments.running.datasets import DataSource
from experiments.running.jobs import Job
from experiments.running.run_job import RunContext
from experiments.running.scores import groups_of, largest_group, of_groups, removed_pids
from experiments.tables.aggregate import NOTHING, named_protocols, read_runs
from experiments.tables.conditions import Condition, restricted, write_conditions
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import Protocol, chance_for_protocol, protocol
from stgcn_pyg.explain import RenderedTruth, mean_hidden
from stgcn_pyg.runs.embedding import ranking_task
from stgcn_pyg.runs.scoring import RankingTask, score_chance

EDGES = (0.0, 0.2, 0.3, 0.4, 1.0)  # of the bins of the occluded share


def write_occlusion(experiment: Experiment, jobs: Sequence[Job], context: RunContext) -> str:
    """Writes tables and figure; see :func:`experiments.tables.comparison.write_comparison`."""
    share = occluded_shares(context.source)
    runs = read_runs(jobs, context)
    if not runs:
        return NOTHING
    rule, task = named_protocols(runs)[0], ranking_task(context.source.load(0))
    chance = score_chance(task)[rule].average_precision
    conditions = []
    for label, inside in bins(share).items():
        chosen = inside & ~np.isnan(chance)
        if len(np.unique(task.query_pids[chosen])) < 2:
            continue  # no two identities to resample
        places = 100 * share[chosen]
        conditions.append(
            Condition(
                float(places.mean()),
                label,
                restricted(runs, rule, chosen),
                {job.unit: places for job in jobs},
                {"chance": float(chance[chosen].mean())},
            )
        )
    axis = "occluded share of the query's body, per cent"
    return write_conditions(
        experiment, context, conditions, axis, rule, step=(10, "for 10 points more")
    )


def bins(share: np.ndarray) -> dict[str, np.ndarray]:
    """The queries of each bin, ``[Q]`` of bool, by its label; a share of NaN is in no bin."""
    place = np.searchsorted(EDGES[1:-1], share, side="right")  # 1.0 is in the last
    return {
        f"{100 * low:.0f} to {100 * high:.0f} %": (place == i) & ~np.isnan(share)
        for i, (low, high) in enumerate(pairwise(EDGES))
    }


def occluded_shares(source: DataSource) -> np.ndarray:
    """The mean occluded share of the body in each query, ``[Q]``, in the order of the task.

    Raises:
        UserError: The data set is not a rendered one.
    """
    dataset = source.load(0)
    return mean_hidden(RenderedTruth(source.root), dataset.query.sort_index(), dataset.frames)


def write_look_alikes(experiment: Experiment, jobs: Sequence[Job], context: RunContext) -> str:
    """Writes tables and figure; see :func:`experiments.tables.comparison.write_comparison`."""
    task = ranking_task(context.source.load(0))
    groups = groups_of(context.source.root, task)
    if groups is None:
        raise UserError(f"{context.source.root}: has no people.parquet: pass a rendered data set")
    runs = read_runs(jobs, context)
    if not runs:
        return NOTHING
    rule = named_protocols(runs)[0]
    largest = largest_group(task, groups)
    conditions = [
        Condition(
            size,
            f"g = {size}",
            restricted(
                runs, rule if size == largest else of_groups(rule, size), np.full(len(groups), True)
            ),
            {job.unit: np.full(len(groups), size) for job in jobs},
            chance_by_size(task, groups, size),
        )
        for size in range(1, largest + 1)
    ]
    axis = "g, identities in the same clothes"
    return write_conditions(
        experiment, context, conditions, axis, rule, step=(1, "for one person more")
    )


def chance_by_size(task: RankingTask, groups: np.ndarray, size: int) -> dict[str, float]:
    """The expected mAP of two random rankings, under the task's first protocol.

    ``chance``: a random order of all that is left; ``clothes known, bodies not``: a random order
    of the query's group, everything else behind it.
    """
    rule = protocol(task.protocols[0])
    expected = []
    for row, removed in enumerate(removed_pids(task, groups, size)):
        group = np.unique(task.query_pids[groups == groups[row]])
        kept = ~np.isin(task.gallery_pids, removed)
        in_group = kept & np.isin(task.gallery_pids, group)
        expected.append([_expected(task, rule, row, some) for some in (kept, in_group)])
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
