"""What a model scores when fewer people in the gallery wear the same clothes.

Of the others in a query's look-alike group all but g - 1 are taken out of that query's list. Which
ones go is drawn once, the same for every model, and who stays for a smaller g stays for a larger
one. Everything else in the gallery stays, strangers in the same clothes among it.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.running.distance_ranking import rank_by_distances
from stgcn_pyg.evaluation import RankingResult
from stgcn_pyg.runs.scoring import RankingTask

SEED = 0


def groups_of(root: Path, task: RankingTask) -> np.ndarray | None:
    """The look-alike group of each query ``[Q]``; None for a data set that is not rendered."""
    file = root / "people.parquet"
    if not file.is_file():
        return None
    people = pd.read_parquet(file, columns=["pid", "group"]).set_index("pid")["group"]
    return people.loc[task.query_pids].to_numpy()


def named(rule: str, size: int) -> str:
    """What stands for a protocol with groups of that size, among a run's results."""
    return f"{rule}, groups of {size}"


def removed_people(task: RankingTask, groups: np.ndarray, size: int) -> list[np.ndarray]:
    """Whom to take out of each query's list so that its group has ``size`` people.

    Args:
        task: The labels.
        groups: Of the queries, ``[Q]``.
        size: g, from 1 on.
    """
    members = {group: np.unique(task.query_pids[groups == group]) for group in np.unique(groups)}
    gone = []
    for row, (pid, group) in enumerate(zip(task.query_pids, groups, strict=True)):
        others = members[group][members[group] != pid]
        shuffled = np.random.default_rng([SEED, row]).permutation(others)
        gone.append(shuffled[size - 1 :])
    return gone


def score_smaller_groups(
    task: RankingTask, groups: np.ndarray, distances: np.ndarray
) -> Mapping[str, RankingResult]:
    """CMC and mAP under the task's first protocol, by ``named(protocol, size)``.

    Args:
        task: The labels.
        groups: Of the queries, ``[Q]``.
        distances: ``[Q, G]``.

    Returns:
        For each size below that of the largest group.
    """
    one = replace(task, protocols=task.protocols[:1])
    results = {}
    for size in range(1, largest(task, groups)):
        # Behind everything else they count no more than if they were not there.
        far = distances.copy()
        for row, people in enumerate(removed_people(task, groups, size)):
            far[row, np.isin(task.gallery_pids, people)] = distances.max() + 1
        [(rule, result)] = rank_by_distances(one, far).items()
        results[named(rule, size)] = replace(result, protocol=named(rule, size))
    return results


def largest(task: RankingTask, groups: np.ndarray) -> int:
    """The number of people in the largest group."""
    people = pd.DataFrame({"pid": task.query_pids, "group": groups}).drop_duplicates()
    return int(people["group"].value_counts().max())
