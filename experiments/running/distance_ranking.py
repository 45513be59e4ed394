"""Distances ranked under the protocols of a data set."""

from dataclasses import replace

import numpy as np

from stgcn_pyg.evaluation import RankingResult, evaluate_ranking, protocol, select_gallery
from stgcn_pyg.runs.scoring import RankingTask


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
