"""Results of rankings whose ranks are chosen."""

import numpy as np

from stgcn_pyg.evaluation import evaluate_ranking


def ranking(pids, ranks, gallery=60, matches=1, **options):
    """The result of one query a person in ``pids``, its matches from these ranks on; 0: no match.

    Several matches of a query stand at consecutive ranks.
    """
    pids, ranks = np.asarray(pids), np.asarray(ranks)
    people = np.unique(pids)
    # A person's matches, in the columns of that person, then as many others as are needed.
    gallery_pids = np.concatenate([np.repeat(people, matches), np.full(gallery, -2)])
    distances = np.full((len(pids), len(gallery_pids)), 0.9)
    # Without a match: the query's person was seen in the query's own camera alone.
    camids = np.where(ranks == 0, 2, 1)
    for query, (pid, rank) in enumerate(zip(pids, ranks, strict=True)):
        distances[query, gallery_pids == pid] = 0.5
        distances[query, len(people) * matches :][: max(rank - 1, 0)] = 0.1
    gallery_camids = np.full(len(gallery_pids), 2)
    return evaluate_ranking(distances, pids, gallery_pids, camids, gallery_camids, **options)
