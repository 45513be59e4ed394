"""Table 3's "Ensemble": the similarity scores of two models, added."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stgcn_pyg.evaluation import (
    RankingResult,
    evaluate_ranking,
    pairwise_distances,
    protocol,
    select_gallery,
)
from stgcn_pyg.scoring import RankingTask


def score_sum(
    task: RankingTask, features: Sequence[tuple[np.ndarray, np.ndarray]], max_rank: int = 50
) -> dict[str, RankingResult]:
    """Ranks by the sum of the models' scores, which are their distances with a minus.

    Args:
        task: Who is searched for among whom.
        features: Of each model, those of the queries ``[Q, D]`` and of the gallery ``[G, D]``; D
            may differ from model to model.
        max_rank: The length of the CMC.

    Returns:
        A result by the name of each of the task's protocols.
    """
    distances = np.zeros((len(task.query_pids), len(task.gallery_pids)), np.float32)
    for query, gallery in features:
        distances += pairwise_distances(query, gallery).numpy()
    return rank_by_distances(task, distances, max_rank)


def rank_by_distances(
    task: RankingTask, distances: np.ndarray, max_rank: int = 50
) -> dict[str, RankingResult]:
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
            rule.ap,
            max_rank,
            rule.same_camera,
            rule.depth,
        )
        results[name] = replace(result, protocol=name)
    return results
