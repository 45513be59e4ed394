"""What a random ranking scores, in closed form."""

import numpy as np

from stgcn_pyg.evaluation.arrays import Array
from stgcn_pyg.evaluation.candidates import Labels, check_labels
from stgcn_pyg.evaluation.result import AveragePrecision, RankingResult, SameCamera, Scoring


def chance(
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    ap: AveragePrecision = "step",
    max_rank: int = 50,
    same_camera: SameCamera = "person",
    depth: int | None = None,
) -> RankingResult:
    r"""The exact expectation of mAP and CMC under a uniformly random ranking.

    For a query with m matches among n ranked items, an item at rank r is a match with probability
    m / n, and any other item is then a match with probability :math:`a = (m - 1) / (n - 1)`, so

    .. math::
        \mathbb{E}[\text{AP}_\text{step}] &= \frac{1}{n} \sum_{r=1}^{n} \frac{1 + (r - 1) a}{r} \\
        \mathbb{E}[\text{AP}_\text{trapezoid}] &= \frac{1}{n} \sum_{r=1}^{n} \frac{1}{2}
            \left( \text{before}_r + \frac{1 + (r - 1) a}{r} \right),
            \quad \text{before}_1 = 1, \ \text{before}_r = a \\
        \mathbb{E}[\text{INP}] &= \sum_{r=m}^{n} \frac{m}{r}
            \binom{r - 1}{m - 1} \Big/ \binom{n}{m} \\
        \mathbb{E}[\text{CMC}_k] &= 1 - \binom{n - m}{k} \Big/ \binom{n}{k}

    With ``depth``, the number of ranked items among the first ``depth`` places is hypergeometric,
    and the sums end there: the expectation is over both.

    Args:
        query_pids, gallery_pids, query_camids, gallery_camids, ap, max_rank, same_camera, depth:
            As in :func:`evaluate_ranking`.

    Returns:
        A result whose ``average_precision``, ``inverse_negative_penalty`` and ``cmc`` are
        expectations; ``first_match_rank`` is that of the uncut list, (n + 1) / (m + 1).

    Raises:
        ValueError: As :func:`evaluate_ranking`.

    Warns:
        UserWarning: Some queries have no match; mAP and CMC are means over the others.

    Example:
        >>> result = chance([7], [7, 5], [1], [2, 2])  # first of two, or second: (1 + 1/2) / 2
        >>> result.mAP, result.rank(1)
        (0.75, 0.5)
    """
    labels = check_labels(query_pids, gallery_pids, query_camids, gallery_camids)
    return expectation(labels, Scoring(ap, max_rank, same_camera, depth))


def expectation(labels: Labels, scoring: Scoring) -> RankingResult:
    """:func:`chance` with labels that are checked and may leave items out."""
    num_gallery = labels.num_listed
    # Queries with as many ranked items n and matches m expect the same: each pair once.
    pairs, of_query = np.unique(_counts(labels, scoring.same_camera), axis=0, return_inverse=True)
    scores = np.full((3, len(pairs)), np.nan)
    hits = np.zeros((len(pairs), scoring.max_rank))
    for pair, (n, m) in enumerate(pairs.tolist()):
        if m == 0:
            continue
        reach, weight = _reach(n, num_gallery, scoring.depth)
        average_precision = weight @ _ap_within(n, m, scoring.ap)[reach]
        penalty = weight @ _penalty_within(n, m)[reach]
        scores[:, pair] = average_precision, (n + 1) / (m + 1), penalty
        ranks = np.minimum(np.arange(1, scoring.max_rank + 1), n)  # past the end of a list, its end
        hits[pair] = weight @ _hit_within(n, m)[np.minimum.outer(reach, ranks)]
    return scoring.result(scores[:, of_query], num_gallery, hits[of_query])


def _counts(labels: Labels, same_camera: SameCamera) -> np.ndarray:
    """Ranked items n and matches m of every query: ``[Q, 2]``."""
    num_queries = len(labels.query_pids)
    matches = np.bincount(labels.matches()[0], minlength=num_queries)
    others = [some.others(same_camera).sum(axis=1) for _, some in labels.blocks(64)]
    return np.stack([matches + np.concatenate(others), matches], axis=1)


def _reach(n: int, num_gallery: int, depth: int | None) -> tuple[np.ndarray, np.ndarray]:
    """How many of the n ranked items the cut may leave, and how probable each number is."""
    if depth is None or depth >= num_gallery:
        return np.array([n]), np.ones(1)
    reach = np.arange(min(n, depth) + 1)
    from scipy.stats import hypergeom  # takes half a second, which few commands need

    return reach, hypergeom.pmf(reach, num_gallery, n, depth)


def _ap_within(n: int, m: int, ap: AveragePrecision) -> np.ndarray:
    """The expected AP when matches count within the first 0, ..., n ranks only: ``[n + 1]``."""
    rank = np.arange(1, n + 1)
    other = (m - 1) / max(n - 1, 1)  # the probability that another item is a match, too
    term = (1 + (rank - 1) * other) / rank
    if ap == "trapezoid":
        term = (np.where(rank == 1, 1.0, other) + term) / 2
    return np.concatenate(([0.0], np.cumsum(term) / n))


def _penalty_within(n: int, m: int) -> np.ndarray:
    """The expected INP when the last match counts within the first 0, ..., n ranks: ``[n + 1]``."""
    rank = np.arange(1, n + 1)
    # From the last rank down: P(last match at r - 1) / P(last match at r) = (r - m) / (r - 1).
    ratio = np.maximum(rank[1:] - m, 0) / np.maximum(rank[1:] - 1, 1)
    last_at = m / n * np.concatenate((np.cumprod(ratio[::-1])[::-1], [1.0]))
    return np.concatenate(([0.0], np.cumsum(m / rank * last_at)))


def _hit_within(n: int, m: int) -> np.ndarray:
    """The probability of a match within the first 0, 1, ..., n ranks: ``[n + 1]``."""
    drawn = np.arange(n)
    miss = np.maximum(n - m - drawn, 0) / (n - drawn)
    return 1 - np.concatenate(([1.0], np.cumprod(miss)))
