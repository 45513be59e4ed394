"""What embeddings score: one model, an ensemble, and with fewer look-alikes in the gallery.

With g identities in a group of look-alikes, all but g - 1 of the others in a query's group are
taken out of that query's list. Which ones is drawn once, the same for every model, and whoever is
kept for a smaller g is kept for a larger one. Everything else in the gallery is kept, strangers in
the same clothes among it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from stgcn_pyg.evaluation import (
    RankingResult,
    evaluate_ranking,
    pairwise_distances,
    protocol,
    select_gallery,
)
from stgcn_pyg.runs.scoring import RankingTask, score_features

SEED = 0  # of the draw of look-alikes
Features = tuple[np.ndarray, np.ndarray]
"""Of the queries ``[Q, D]`` and of the gallery ``[G, D]``."""


def score(
    task: RankingTask, labels: pd.DataFrame, embeddings: Sequence[np.ndarray], root: Path
) -> dict[str, RankingResult]:
    """The scores of embeddings by protocol; on rendered data also with fewer look-alikes.

    Args:
        task: Labels of queries and gallery.
        labels: The test tracklets of the data set, N rows.
        embeddings: ``[N, D]`` of one model, or of each model of an ensemble.
        root: The data set's folder.
    """
    sides = [labels[side].to_numpy() for side in ("is_query", "is_gallery")]
    features = [(each[sides[0]], each[sides[1]]) for each in embeddings]
    groups = groups_of(root, task)
    results = score_features(task, *features[0]) if len(features) == 1 else {}
    if not results or groups is not None:
        distances = sum_of_distances(features)
        results = results or rank_by_distances(task, distances)
        if groups is not None:
            results |= score_smaller_groups(task, groups, distances)
    return results


def sum_of_distances(features: Sequence[Features]) -> np.ndarray:
    """The distances ``[Q, G]`` of an ensemble, in float32: the sum of its models' distances.

    A model's similarity score is minus its distance, so this is Table 3's sum of scores. D may
    differ from model to model.
    """
    return np.sum([pairwise_distances(*both).numpy() for both in features], axis=0)


def rank_by_distances(task: RankingTask, distances: np.ndarray) -> dict[str, RankingResult]:
    """CMC and mAP of distances ``[Q, G]`` under each of the task's protocols, by its name."""
    results = {}
    for name in task.protocols:
        rule = protocol(name)
        keep = select_gallery(rule, task.gallery_pids, task.gallery_is_query)
        result = evaluate_ranking(
            distances[:, keep],
            task.query_pids,
            task.gallery_pids[keep],
            task.query_camids,
            task.gallery_camids[keep],
            ap=rule.ap,
            same_camera=rule.same_camera,
            depth=rule.depth,
        )
        results[name] = replace(result, protocol=name)
    return results


def groups_of(root: Path, task: RankingTask) -> np.ndarray | None:
    """The look-alike group of each query ``[Q]``; None if the data set is not rendered."""
    file = root / "people.parquet"
    if not file.is_file():
        return None
    groups = pd.read_parquet(file, columns=["pid", "group"]).set_index("pid")["group"]
    return groups.loc[task.query_pids].to_numpy()


def largest_group(task: RankingTask, groups: np.ndarray) -> int:
    """The number of identities in the largest group of look-alikes."""
    identities = pd.DataFrame({"pid": task.query_pids, "group": groups}).drop_duplicates()
    return int(identities["group"].value_counts().max())


def of_groups(protocol_name: str, size: int) -> str:
    """The name of the scores under a protocol with groups of that size."""
    return f"{protocol_name}, groups of {size}"


def removed_pids(task: RankingTask, groups: np.ndarray, size: int) -> list[np.ndarray]:
    """Which identities are taken out of each query's list so that its group has ``size`` of them.

    ``groups`` is the group of each query ``[Q]``, and ``size`` at least 1.
    """
    members = {group: np.unique(task.query_pids[groups == group]) for group in np.unique(groups)}
    removed = []
    for row, (pid, group) in enumerate(zip(task.query_pids, groups, strict=True)):
        others = members[group][members[group] != pid]
        shuffled = np.random.default_rng([SEED, row]).permutation(others)
        removed.append(shuffled[size - 1 :])
    return removed


def score_smaller_groups(
    task: RankingTask, groups: np.ndarray, distances: np.ndarray
) -> Mapping[str, RankingResult]:
    """The scores under the first protocol for each g below the largest, by :func:`of_groups`.

    ``groups`` is the group of each query ``[Q]``; the distances are ``[Q, G]``.
    """
    one = replace(task, protocols=task.protocols[:1])
    results = {}
    for size in range(1, largest_group(task, groups)):
        # Items behind everything else change no score.
        far = distances.copy()
        for row, pids in enumerate(removed_pids(task, groups, size)):
            far[row, np.isin(task.gallery_pids, pids)] = distances.max() + 1
        [(rule, result)] = rank_by_distances(one, far).items()
        results[of_groups(rule, size)] = replace(result, protocol=of_groups(rule, size))
    return results
