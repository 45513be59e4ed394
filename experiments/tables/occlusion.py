"""Queries binned by how much of their person is hidden."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from experiments.running.datasets import Source
from experiments.running.jobs import Job
from experiments.running.perform import Workshop
from experiments.tables.condition_files import write_conditions
from experiments.tables.conditions import Condition, restricted
from experiments.tables.finished import NOTHING, named_protocols, read_runs
from experiments.variants import Experiment
from stgcn_pyg.explain import RenderedTruth, mean_hidden
from stgcn_pyg.runs.embedding import ranking_task
from stgcn_pyg.runs.scoring import score_chance

EDGES = (0.0, 0.2, 0.3, 0.4, 1.0)


def write_report(experiment: Experiment, jobs: Sequence[Job], shop: Workshop) -> str:
    """Writes the tables and the figure; see :func:`experiments.tables.usual.write_report`."""
    hidden = hidden_shares(shop.source)
    runs = read_runs(jobs, shop)
    if not runs:
        return NOTHING
    rule, task = named_protocols(runs)[0], ranking_task(shop.source.load(0))
    chance = score_chance(task)[rule].average_precision
    conditions, places = [], []
    for label, inside in bins(hidden).items():
        chosen = inside & ~np.isnan(chance)
        if len(np.unique(task.query_pids[chosen])) < 2:
            continue  # nobody to resample
        within = {
            row: {unit: restricted(run, rule, chosen) for unit, run in units.items()}
            for row, units in runs.items()
        }
        share = 100 * hidden[chosen]
        references = {"chance": float(chance[chosen].mean())}
        conditions.append(Condition(float(share.mean()), label, within, references))
        places.append({job.unit: share for job in jobs})
    axis = "hidden share of the query's body, per cent"
    return write_conditions(
        experiment, shop, conditions, places, axis, rule, (10, "for 10 points more")
    )


def bins(hidden: np.ndarray) -> dict[str, np.ndarray]:
    """Which queries are in which bin, ``[Q]`` of bool, by the bin's label.

    Args:
        hidden: The hidden share of each query's person, ``[Q]``; NaN is in no bin.

    Example:
        >>> bins(np.array([0.3, 1.0]))["40 to 100 %"]
        array([False,  True])
    """
    place = np.searchsorted(EDGES[1:-1], hidden, side="right")  # 1.0 is in the last
    return {
        f"{100 * low:.0f} to {100 * high:.0f} %": (place == i) & ~np.isnan(hidden)
        for i, (low, high) in enumerate(pairwise(EDGES))
    }


def hidden_shares(source: Source) -> np.ndarray:
    """The mean share of the body that is hidden in each query, ``[Q]``, in the task's order.

    Raises:
        UserError: The data set is not a rendered one.
    """
    dataset = source.load(0)
    return mean_hidden(RenderedTruth(source.root), dataset.query.sort_index(), dataset.frames)
