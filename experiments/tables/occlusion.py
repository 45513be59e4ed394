"""Queries binned by the occluded share of their person."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from experiments.running.datasets import DataSource
from experiments.running.jobs import Job
from experiments.running.run_job import RunContext
from experiments.tables.conditions import Condition, restricted, write_conditions
from experiments.tables.finished import NOTHING, named_protocols, read_runs
from experiments.variants import Experiment
from stgcn_pyg.explain import RenderedTruth, mean_hidden
from stgcn_pyg.runs.embedding import ranking_task
from stgcn_pyg.runs.scoring import score_chance

EDGES = (0.0, 0.2, 0.3, 0.4, 1.0)
AXIS = "hidden share of the query's body, per cent"


def write_report(experiment: Experiment, jobs: Sequence[Job], context: RunContext) -> str:
    """Writes tables and figure; arguments as of :func:`experiments.tables.usual.write_report`."""
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
    step = (10, "for 10 points more")
    return write_conditions(experiment, context, conditions, AXIS, rule, step)


def bins(share: np.ndarray) -> dict[str, np.ndarray]:
    """Which queries are in which bin, ``[Q]`` of bool, by the bin's label.

    Args:
        share: The occluded share of each query, ``[Q]``; NaN is in no bin.
    """
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
