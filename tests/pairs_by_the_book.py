"""Verification and the open set by their definitions, as plain loops, and cases to try them on."""

import numpy as np
from hypothesis import strategies as st
from ranking_by_the_book import Case

from stgcn_pyg.evaluation.bootstrap import bca_levels


@st.composite
def cases(draw, most_pids=4):
    """Few distances, identities and cameras, so that there are ties; junk and distractors."""
    queries, items = draw(st.integers(2, 10)), draw(st.integers(2, 14))

    def integers(low, high, count):
        return np.array(draw(st.lists(st.integers(low, high), min_size=count, max_size=count)))

    distances = integers(0, 6, queries * items).reshape(queries, items) / 4
    return Case(
        distances.astype(draw(st.sampled_from([np.float32, np.float64]))),
        integers(1, most_pids, queries),
        integers(-1, most_pids + 1, items),
        integers(1, 3, queries),
        integers(1, 3, items),
    )


def loop_pairs(case, same_camera="person"):
    """Of each pair that is compared: query, item, distance, and whether it is of one identity."""
    pairs = []
    for q, row in enumerate(case.distances):
        for g, distance in enumerate(row):
            same_pid = case.query_pids[q] == case.gallery_pids[g]
            same_view = case.query_camids[q] == case.gallery_camids[g]
            if case.gallery_pids[g] == -1 or (same_view and (same_pid or same_camera == "all")):
                continue
            pairs.append((q, g, float(distance), bool(same_pid)))
    return pairs


def weights_of_pairs(case, pairs, of_pid):
    """What each pair weighs where each identity weighs ``of_pid``; others are not resampled."""
    weights = []
    for q, g, _, same in pairs:
        one, other = of_pid[case.query_pids[q]], of_pid.get(case.gallery_pids[g], 1)
        weights.append(one if same else one + other - 1)
    return np.array(weights, dtype=float)


def drawn(pids, resamples, seed):
    """The weight of each identity, by resample."""
    people = sorted(set(np.asarray(pids).tolist()))
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        weights = dict.fromkeys(people, 0)
        for person in rng.integers(len(people), size=len(people)):
            weights[people[person]] += 1
        yield weights


def left_out(pids):
    """Weights without each identity in turn; a pair with it has to be dropped."""
    people = sorted(set(np.asarray(pids).tolist()))
    return [(person, {p: 1 for p in people if p != person}) for person in people]


def interval(resampled, estimate, jackknife, confidence, method):
    """The ends by quantiles of the resamples that have the statistic."""
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    jackknife = np.where(np.isnan(jackknife), estimate, jackknife)
    resampled = resampled[~np.isnan(resampled)]
    if np.ptp(resampled) < 1e-9:
        share = 1 - tails[0] ** (1 / len(jackknife))
        return estimate * (1 - share), estimate + share * (1 - estimate)
    if method == "bca":
        tails = bca_levels(resampled, estimate, jackknife, tails)
    return tuple(np.quantile(resampled, tails))
