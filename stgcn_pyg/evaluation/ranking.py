"""CMC and mAP, exact, from distances or from features."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stgcn_pyg.evaluation.distances import (
    Array,
    Distances,
    Metric,
    check_rows,
    in_threads,
    slices,
    to_numpy,
    to_tensor,
)
from stgcn_pyg.evaluation.labels import Labels, check_labels
from stgcn_pyg.evaluation.result import (
    AveragePrecision,
    RankingResult,
    SameCamera,
    Scoring,
    check_any_match,
    warn_of_unmatched,
)

_ITEMS = 2048  # of the gallery at a time
_MOST_DOUBTFUL = 1 / 16  # the share of a block from which on all of it is computed in float64
_WAITING = 2**20  # doubtful pairs held at a time
_COLUMN = 2**32 - 1


def evaluate_ranking(
    distances: Array,
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    ap: AveragePrecision = "step",
    max_rank: int = 50,
    same_camera: SameCamera = "person",
    depth: int | None = None,
) -> RankingResult:
    r"""CMC and mAP of a matrix of distances.

    Every query ranks the gallery by distance. Left out of its list are junk (pid -1) and, with
    ``same_camera="person"``, items of the same identity in the same camera, or, with
    ``same_camera="all"``, every item of the query's own camera. What remains and shows the
    query's identity is a match. With :math:`r_k` the rank of the k-th of M matches,

    .. math::
        \text{AP}_\text{step} = \frac{1}{M} \sum_k \frac{k}{r_k}, \qquad
        \text{AP}_\text{trapezoid} = \frac{1}{M} \sum_k \frac{1}{2}
            \left( \frac{k - 1}{r_k - 1} + \frac{k}{r_k} \right),

    the precision before rank 1 being 1. At equal distance a match ranks *after* what is not a
    match, so a constant embedding gets the worst score and the order of the gallery never counts.

    Args:
        distances: ``[Q, G]``, smaller is more alike.
        query_pids: Identities of the queries ``[Q]``, integers.
        gallery_pids: Identities of the gallery ``[G]``; -1 is junk. No other label is special:
            MARS's distractors (pid 0) are non-matches because no query shows them.
        query_camids: Cameras of the queries ``[Q]``, integers.
        gallery_camids: Cameras of the gallery ``[G]``.
        ap: ``"step"`` (most code) or ``"trapezoid"`` (MARS's official MATLAB code).
        max_rank: Length of the CMC; beyond the end of a small gallery it stays constant.
        same_camera: ``"person"`` (as on MARS) or ``"all"`` (the cross-camera protocol).
        depth: Cut every list after so many places, *before* anything is left out of it. A match
            that is cut off adds nothing to the AP, which still divides by all M, nor to the CMC.

    Raises:
        ValueError: shapes or lengths that disagree, labels that are not integers, distances that
            are not finite, an unknown option, or no query with a match.

    Warns:
        UserWarning: some queries have no match; mAP and CMC are means over the others.

    Source: Zheng et al., MARS, ECCV 2016, and the code in github.com/liangzheng06/MARS-evaluation.

    Example:
        >>> result = evaluate_ranking([[0.1, 0.2, 0.3]], [7], [7, 5, 7], [1], [2, 2, 3])
        >>> round(result.mAP, 4), result.rank(1)  # matches at ranks 1 and 3: (1/1 + 2/3) / 2
        (0.8333, 1.0)
    """
    matrix = to_numpy(distances)
    if matrix.ndim != 2:
        raise ValueError(f"distances must be [Q, G], got {list(matrix.shape)}")
    labels = check_labels(
        query_pids, gallery_pids, query_camids, gallery_camids, (matrix, matrix.T)
    )
    matrix = matrix if matrix.dtype.kind == "f" else matrix.astype(np.float64)
    result = rank_distances(matrix, labels, Scoring(ap, max_rank, same_camera, depth))
    warn_of_unmatched(result)
    return result


def rank_distances(matrix: np.ndarray, labels: Labels, scoring: Scoring) -> RankingResult:
    """:func:`evaluate_ranking` of an array of a float type and of labels that are checked."""
    scoring.check()
    blocks = list(labels.blocks(64))
    bad = [~np.isfinite(matrix[rows]).all(axis=1) for rows, _ in blocks]
    check_rows("distances", np.concatenate(bad), "are not finite", "NaN or overflow")

    def score(block: tuple[slice, Labels]) -> np.ndarray:
        rows, some = block
        return _score(_GivenDistances(matrix[rows], some), some, scoring)

    return _result(in_threads(score, blocks), labels, scoring)


def evaluate_features(
    query_features: Array,
    gallery_features: Array,
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    metric: Metric = "euclidean",
    ap: AveragePrecision = "step",
    max_rank: int = 50,
    same_camera: SameCamera = "person",
    depth: int | None = None,
    block_size: int = 512,
    device: torch.device | str | None = None,
) -> RankingResult:
    """CMC and mAP of features; the same as :func:`evaluate_ranking` on their distances.

    Distances are computed for ``block_size`` queries and a part of the gallery at a time, so that
    memory grows with the matches of a query, but not with the gallery. What is compared are the
    distances of :func:`pairwise_distances`. Only those of the matches and of few other items are
    computed in float64: a float32 product decides the rest, within the bound of its error. The
    block size changes the memory and the time, not the result.

    Args:
        query_features: ``[Q, D]``.
        gallery_features: ``[G, D]``.
        query_pids, gallery_pids, query_camids, gallery_camids: as in :func:`evaluate_ranking`.
        metric: ``"euclidean"`` or ``"cosine"``, as in :func:`pairwise_distances`.
        ap, max_rank, same_camera, depth: as in :func:`evaluate_ranking`.
        block_size: Queries whose distances are held at a time.
        device: Where distances are computed; None: where ``query_features`` are.

    Raises:
        ValueError: as :func:`evaluate_ranking`, and for features that are not finite.

    Warns:
        UserWarning: some queries have no match; mAP and CMC are means over the others.

    Example:
        >>> queries, gallery = [[0.0, 1.0]], [[0.0, 0.9], [1.0, 0.0]]
        >>> evaluate_features(queries, gallery, [7], [7, 5], [1], [2, 2]).mAP
        1.0
    """
    features = query_features, gallery_features
    labels = check_labels(query_pids, gallery_pids, query_camids, gallery_camids, features)
    scoring = Scoring(ap, max_rank, same_camera, depth)
    result = rank_features(*features, labels, scoring, metric, block_size, device)
    warn_of_unmatched(result)
    return result


def rank_features(
    query_features: Array,
    gallery_features: Array,
    labels: Labels,
    scoring: Scoring,
    metric: Metric,
    block_size: int,
    device: torch.device | str | None,
) -> RankingResult:
    """:func:`evaluate_features` with labels that may take items out of the gallery."""
    scoring.check()
    if block_size < 1:
        raise ValueError(f"block_size={block_size}: give at least 1")
    queries = to_tensor(query_features, device)
    distances = Distances(queries, to_tensor(gallery_features, queries.device), metric)
    scores = [
        _score(_FeatureDistances(distances, rows, some), some, scoring)
        for rows, some in labels.blocks(block_size)
    ]
    return _result(scores, labels, scoring)


# Which items count: a boolean ``[Q, columns]`` from labels and columns of the gallery.
Counted = Callable[[Labels, slice], Any]


def _score(
    distances: "_GivenDistances | _FeatureDistances", labels: Labels, scoring: Scoring
) -> np.ndarray:
    """Average precision, rank of the first match and inverse negative penalty: ``[3, Q]``."""
    query, item = labels.matches()
    count = np.bincount(query, minlength=len(labels.query_pids))
    reach = distances.of(query, item)
    reach = reach[np.lexsort((reach, query))]  # of each query in turn, ascending
    found = np.arange(1, len(query) + 1) - np.repeat(np.cumsum(count) - count, count)

    def others(labels: Labels, columns: slice) -> Any:
        return labels.others(scoring.same_camera, columns)

    # An item as far as a match stands before it.
    ranks = distances.count(query, reach, others) + found
    seen = np.ones(len(query), dtype=bool)
    if scoring.depth is not None:
        seen = distances.count(query, reach, Labels.all_but_matches) + found <= scoring.depth

    scores, valid = np.full((3, len(count)), np.nan), count > 0
    terms = np.where(seen, _precision_at(found, ranks, scoring.ap), 0)
    scores[0, valid] = (np.bincount(query, terms, minlength=len(count)) / np.maximum(count, 1))[
        valid
    ]
    scores[1, valid] = np.where(seen, ranks, np.inf)[found == 1]
    scores[2, valid] = np.where(seen, found / ranks, 0)[found == count[query]]
    return scores


def _precision_at(found: np.ndarray, ranks: np.ndarray, ap: AveragePrecision) -> np.ndarray:
    """Each match's term of the average precision: the ``found``-th match stands at ``ranks``."""
    at = found / ranks
    if ap == "step":
        return at
    before = np.where(ranks == 1, 1.0, (found - 1) / np.maximum(ranks - 1, 1))
    return (before + at) / 2


def _result(parts: Sequence[np.ndarray], labels: Labels, scoring: Scoring) -> RankingResult:
    """The result of all queries, from the scores of blocks of them in order."""
    average_precision, first_match_rank, penalty = np.concatenate(parts, axis=1)
    num_gallery = int(labels.listed.sum())
    check_any_match(average_precision, num_gallery)
    valid = first_match_rank[~np.isnan(first_match_rank)]
    cmc = (valid[:, None] <= np.arange(1, scoring.max_rank + 1)).mean(axis=0)
    return scoring.result(average_precision, first_match_rank, penalty, cmc, num_gallery)


class _GivenDistances:
    """Rows of a matrix of distances.

    Like :class:`_FeatureDistances` it gives the distances of pairs, and counts how many items stand
    within ``reach`` of a query, ``[M]``, for M queries in ascending order. An item at that very
    distance counts.
    """

    def __init__(self, distances: np.ndarray, labels: Labels):
        self.distances, self.labels = distances, labels

    def of(self, query: np.ndarray, item: np.ndarray) -> np.ndarray:
        return self.distances[query, item]

    def count(self, query: np.ndarray, reach: np.ndarray, counted: Counted) -> np.ndarray:
        infinity = self.distances.dtype.type(np.inf)
        ordered = np.where(counted(self.labels, slice(None)), self.distances, infinity)
        ordered.sort(axis=1)
        edges = np.searchsorted(query, np.arange(len(ordered) + 1))
        within = [
            np.searchsorted(row, reach[first:last], side="right")
            for row, (first, last) in zip(ordered, pairwise(edges), strict=True)
        ]
        return np.concatenate(within)


class _FeatureDistances:
    """Distances from features: roughly where that decides, exactly where it does not."""

    def __init__(self, distances: Distances, rows: slice, labels: Labels):
        self.distances, self.rows = distances, rows
        self.labels = labels.to(distances.device)

    def of(self, query: np.ndarray, item: np.ndarray) -> np.ndarray:
        return self.distances.of(query + self.rows.start, item)

    def count(self, query: np.ndarray, reach: np.ndarray, counted: Counted) -> np.ndarray:
        reaches = _Reaches(query, reach, self.rows.stop - self.rows.start, self.distances.device)
        left, margin = self.distances.left(self.rows), self.distances.margins(self.rows)[:, None]
        total = np.zeros(len(query), dtype=np.int64)
        # In one piece: an array a block would stand in the way of the next block's memory.
        doubtful, waiting = np.empty((2, _WAITING), dtype=np.int64), 0
        for columns in slices(0, self.distances.shape[1], _ITEMS):
            ignored = ~counted(self.labels, columns)
            rough = self.distances.rough(left, self.distances.right(columns)).clamp_(min=0)
            certain, number, item = reaches.count(
                rough.masked_fill_(ignored, torch.inf),
                self.distances.square(reaches.padded),
                margin,
            )
            if len(number) > min(_MOST_DOUBTFUL * rough.numel(), _WAITING):
                exact = torch.from_numpy(self.distances.block(self.rows, columns)).to(rough.device)
                exact.masked_fill_(ignored, torch.inf)
                total += reaches.count(exact, reaches.padded, 0)[0]
                continue
            total += certain
            if waiting + len(number) > _WAITING:
                self._settle(query, reach, doubtful[:, :waiting], total)
                waiting = 0
            doubtful[:, waiting : waiting + len(number)] = number, item + columns.start
            waiting += len(number)
        self._settle(query, reach, doubtful[:, :waiting], total)
        return total

    def _settle(
        self, query: np.ndarray, reach: np.ndarray, doubtful: np.ndarray, total: np.ndarray
    ) -> None:
        """Adds to the total which doubtful pairs, reaches and items ``[2, N]``, are within."""
        number, item = doubtful
        # Each pair once, though several reaches of a query may ask for it.
        pairs, place = np.unique(
            query[number] * self.distances.shape[1] + item, return_inverse=True
        )
        exact = self.of(*np.divmod(pairs, self.distances.shape[1]))[place]
        np.add.at(total, number[exact <= reach[number]], 1)


class _Reaches:
    """M reaches of Q queries, padded to ``[Q, most]``, and what lies within them in a block.

    The bits of non-negative float32 numbers are in the order of the numbers. With them above and
    the column below, one int64 is a sort key that remembers its column; CPUs and GPUs sort it fast.
    """

    def __init__(
        self, query: np.ndarray, reach: np.ndarray, num_queries: int, device: torch.device
    ):
        count = np.bincount(query, minlength=num_queries)
        valid = np.arange(count.max(initial=0)) < count[:, None]
        padded = np.zeros(valid.shape)
        padded[valid] = reach
        self.row, self.valid, self.padded = (
            torch.as_tensor(array, device=device) for array in (query, valid, padded)
        )

    def count(
        self, values: Tensor, limit: Tensor, margin: Tensor | float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """How many values lie surely within each limit ``[M]``; the reaches and columns in doubt.

        Args:
            values: Non-negative float32 ``[Q, N]``.
            limit: ``[Q, most]`` float64.
            margin: How far from the limit a value has to be: ``[Q, 1]``; with 0 none is in doubt.
        """
        keys = _sorted_keys(values)
        past = torch.searchsorted(keys, _first_key(limit + margin) | _COLUMN, right=True)
        within = past
        if isinstance(margin, Tensor):
            within = torch.searchsorted(keys, _first_key(limit - margin))
        within, past = within[self.valid], past[self.valid]
        doubts = past - within
        number = torch.repeat_interleave(doubts)
        place = torch.arange(len(number), device=keys.device)
        place += (within - doubts.cumsum(0) + doubts)[number]
        column = keys[self.row[number], place] & _COLUMN
        return within.cpu().numpy(), number.cpu().numpy(), column.cpu().numpy()


def _sorted_keys(values: Tensor) -> Tensor:
    columns = torch.arange(values.size(1), device=values.device)
    keys = values.view(torch.int32).to(torch.int64).bitwise_left_shift_(32).bitwise_or_(columns)
    if keys.device.type != "cpu":
        return keys.sort(dim=1).values
    # Several times as fast as torch's own sort on a CPU.
    in_threads(
        lambda rows: rows.sort(axis=1), np.array_split(keys.numpy(), torch.get_num_threads())
    )
    return keys


def _first_key(values: Tensor) -> Tensor:
    """The least key of a float32 number, 0 for a negative one."""
    bits = values.float().clamp(min=0).contiguous().view(torch.int32)
    return bits.to(torch.int64).bitwise_left_shift_(32)
