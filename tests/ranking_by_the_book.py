"""CMC, mAP and mINP by their definitions, as plain loops, and cases to try them on."""

from typing import NamedTuple

import numpy as np


class Case(NamedTuple):
    """The five positional arguments of evaluate_ranking."""

    distances: np.ndarray
    query_pids: np.ndarray
    gallery_pids: np.ndarray
    query_camids: np.ndarray
    gallery_camids: np.ndarray


def loop_ranking(distances, query_pid, gallery_pids, query_camid, gallery_camids, same_camera):
    """Match or not, down one query's list, without what is left out."""
    entries = []
    for distance, pid, camid in zip(distances, gallery_pids, gallery_camids, strict=True):
        same_view = camid == query_camid and (pid == query_pid or same_camera == "all")
        if pid != -1 and not same_view:
            entries.append((distance, bool(pid == query_pid)))
    return [match for _, match in sorted(entries)]  # at equal distance the match comes last


def loop_evaluate(case, ap="step", max_rank=50, same_camera="person"):
    """mAP, CMC, per-query AP and INP by the definitions, or None where no query has a match."""
    aps, penalties, hits = [], [], []
    for q in range(len(case.query_pids)):
        kept = loop_ranking(
            case.distances[q],
            case.query_pids[q],
            case.gallery_pids,
            case.query_camids[q],
            case.gallery_camids,
            same_camera,
        )
        if not any(kept):
            aps.append(float("nan"))
            penalties.append(float("nan"))
            continue
        terms = []
        for position in range(len(kept)):
            if kept[position]:
                at = sum(kept[: position + 1]) / (position + 1)
                before = sum(kept[:position]) / position if position else 1.0
                terms.append(at if ap == "step" else (before + at) / 2)
        aps.append(sum(terms) / len(terms))
        last = max(position for position, match in enumerate(kept) if match)
        penalties.append(sum(kept) / (last + 1))
        hits.append([any(kept[:k]) for k in range(1, max_rank + 1)])
    if not hits:
        return None
    return np.nanmean(aps), np.mean(hits, axis=0), np.array(aps), np.array(penalties)


def matlab_compute_ap(good, junk, index):
    """MARS's compute_AP: down the whole list, adding up the area under recall and precision."""
    old_recall, old_precision, area, found, place = 0.0, 1.0, 0.0, 0, 0
    cmc, junk_seen = [0] * len(index), 0
    for n, item in enumerate(index):
        if item in junk:
            junk_seen += 1
            continue
        if item in good:
            found += 1
            for k in range(n - junk_seen, len(cmc)):
                cmc[k] = 1
        recall, precision = found / len(good), found / (place + 1)
        area += (recall - old_recall) * (old_precision + precision) / 2
        old_recall, old_precision, place = recall, precision, place + 1
        if found == len(good):
            break
    return area, cmc


def matlab_evaluate(case, cut=None):
    """Mean AP and CMC by the MATLAB walk; ``cut`` keeps so many places first, as AGRL does."""
    aps, cmcs = [], []
    for q in range(len(case.query_pids)):
        same_person = case.gallery_pids == case.query_pids[q]
        same_camera = case.gallery_camids == case.query_camids[q]
        good = set(np.flatnonzero(same_person & ~same_camera))
        junk = set(np.flatnonzero((case.gallery_pids == -1) | (same_person & same_camera)))
        ap, cmc = matlab_compute_ap(good, junk, list(np.argsort(case.distances[q])[:cut]))
        aps.append(ap)
        cmcs.append(cmc)
    return np.mean(aps), np.mean(cmcs, axis=0)


def random_case(seed, num_queries=12, num_gallery=60, ties=False):
    rng = np.random.default_rng(seed)
    distances = rng.random((num_queries, num_gallery))
    if ties:
        distances = rng.integers(0, 6, (num_queries, num_gallery)).astype(float)
    return Case(
        distances,
        rng.integers(0, 5, num_queries),
        rng.integers(-1, 5, num_gallery),
        rng.integers(0, 4, num_queries),
        rng.integers(0, 3, num_gallery),  # camera 3 is nobody's: every query keeps a match
    )


def one_query(relevance):
    """A case of one query whose list shows ``relevance``, in order."""
    pids = np.where(relevance, 7, 5)
    n = len(pids)
    return Case(np.arange(n)[None] / n, np.array([7]), pids, np.array([1]), np.full(n, 2))
