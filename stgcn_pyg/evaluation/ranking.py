"""CMC and mAP, exact, from distances or from features."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from stgcn_pyg.evaluation.arrays import Array, in_threads, slices, to_tensor
from stgcn_pyg.evaluation.candidates import Labels, check_labels
from stgcn_pyg.evaluation.distances import Distances, Metric
from stgcn_pyg.evaluation.pairs import GivenPairs
from stgcn_pyg.evaluation.result import AveragePrecision, RankingResult, SameCamera, Scoring

_ITEMS = 2048  # of the gallery at a time
_MOST_DOUBTFUL = 1 / 16  # the share of a block from which on all of it is computed in float64
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
    ``same_camera="all"``, every item of the query's own camera. What remains of the query's
    identity is a match. With :math:`r_k` the rank of the k-th of M matches,

    .. math::
        \text{AP}_\text{step} = \frac{1}{M} \sum_k \frac{k}{r_k}, \qquad
        \text{AP}_\text{trapezoid} = \frac{1}{M} \sum_k \frac{1}{2}
            \left( \frac{k - 1}{r_k - 1} + \frac{k}{r_k} \right),

    the precision before rank 1 being 1. At equal distance a match ranks *after* an item that is no
    match, so a constant embedding gets the worst score and the order of the gallery never counts.

    Args:
        distances: Distances ``[Q, G]``, smaller is more alike.
        query_pids: Identities of the queries ``[Q]``, integers.
        gallery_pids: Identities of the gallery ``[G]``; -1 is junk. No other label is special:
            MARS's distractors (pid 0) are no matches because no query has their pid.
        query_camids: Cameras of the queries ``[Q]``, integers.
        gallery_camids: Cameras of the gallery ``[G]``.
        ap: Average precision: ``"step"`` (most code) or ``"trapezoid"`` (MARS's MATLAB code).
        max_rank: Length of the CMC; beyond the end of a small gallery it stays constant.
        same_camera: ``"person"`` (as on MARS) or ``"all"`` (the cross-camera protocol).
        depth: Cut every list after so many places, *before* anything is left out of it. A match
            that is cut off adds nothing to the AP, which still divides by all M, nor to the CMC.

    Raises:
        ValueError: Shapes or lengths that disagree, labels that are not integers, distances that
            are not finite, an unknown option, or no query with a match.

    Warns:
        UserWarning: Some queries have no match; mAP and CMC are means over the others.

    Source: Zheng et al., MARS, ECCV 2016, and the code in github.com/liangzheng06/MARS-evaluation.

    Example:
        >>> result = evaluate_ranking([[0.1, 0.2, 0.3]], [7], [7, 5, 7], [1], [2, 2, 3])
        >>> round(result.mAP, 4), result.rank(1)  # matches at ranks 1 and 3: (1/1 + 2/3) / 2
        (0.8333, 1.0)
    """
    matrix = GivenPairs(distances).matrix
    labels = check_labels(
        query_pids, gallery_pids, query_camids, gallery_camids, (matrix, matrix.T)
    )
    return rank_distances(matrix, labels, Scoring(ap, max_rank, same_camera, depth))


def rank_distances(matrix: np.ndarray, labels: Labels, scoring: Scoring) -> RankingResult:
    """:func:`evaluate_ranking` with distances and labels that are checked."""
    blocks = list(labels.blocks(64))

    def score(block: tuple[slice, Labels]) -> np.ndarray:
        rows, some = block
        return _score(_GivenDistances(matrix[rows], some), some, scoring)

    scores = np.concatenate(in_threads(score, blocks, matrix.size), axis=1)
    return scoring.result(scores, labels.num_listed)


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

    The distances are those of :func:`pairwise_distances`, for ``block_size`` queries and a part of
    the gallery at a time, so that memory grows with the matches of a query, but not with the
    gallery. Only distances of matches and of few other items are computed in float64: a float32
    product decides the rest, within the bound of its error. The block size changes the memory and
    the time, not the result.

    Args:
        query_features: Features ``[Q, D]``, array or tensor of any float type.
        gallery_features: Features ``[G, D]``.
        query_pids, gallery_pids, query_camids, gallery_camids: As in :func:`evaluate_ranking`.
        metric: ``"euclidean"`` or ``"cosine"``, as in :func:`pairwise_distances`.
        ap, max_rank, same_camera, depth: As in :func:`evaluate_ranking`.
        block_size: Queries whose distances are held at a time.
        device: Where distances are computed; None: where ``query_features`` are.

    Raises:
        ValueError: As :func:`evaluate_ranking`, and for features that are not finite.

    Warns:
        UserWarning: Some queries have no match; mAP and CMC are means over the others.

    Example:
        >>> queries, gallery = [[0.0, 1.0]], [[0.0, 0.9], [1.0, 0.0]]
        >>> evaluate_features(queries, gallery, [7], [7, 5], [1], [2, 2]).mAP
        1.0
    """
    features = query_features, gallery_features
    labels = check_labels(query_pids, gallery_pids, query_camids, gallery_camids, features)
    scoring = Scoring(ap, max_rank, same_camera, depth)
    return rank_features(*features, labels, scoring, metric, block_size, device)


def rank_features(
    query_features: Array,
    gallery_features: Array,
    labels: Labels,
    scoring: Scoring,
    metric: Metric,
    block_size: int,
    device: torch.device | str | None,
) -> RankingResult:
    """:func:`evaluate_features` with labels that are checked and may leave items out."""
    if block_size < 1:
        raise ValueError(f"block_size={block_size}: give at least 1")
    queries = to_tensor(query_features, device)
    distances = Distances(queries, to_tensor(gallery_features, queries.device), metric)
    scores = [
        _score(_FeatureDistances(distances, rows, some), some, scoring)
        for rows, some in labels.blocks(block_size)
    ]
    return scoring.result(np.concatenate(scores, axis=1), labels.num_listed)


def _score(
    distances: "_GivenDistances | _FeatureDistances", labels: Labels, scoring: Scoring
) -> np.ndarray:
    """Average precision, rank of the first match and inverse negative penalty: ``[3, Q]``."""
    query, item = labels.matches()
    count = np.bincount(query, minlength=len(labels.query_pids))
    radius = distances.of(query, item)
    radius = radius[np.lexsort((radius, query))]  # of each query in turn, ascending
    found = np.arange(1, len(query) + 1) - np.repeat(np.cumsum(count) - count, count)

    # Another item at the distance of a match ranks before it.
    rank = distances.count(query, radius, scoring.same_camera) + found
    seen = np.ones(len(query), dtype=bool)
    if scoring.depth is not None:
        seen = distances.count(query, radius, None) + found <= scoring.depth

    precision = found / rank
    if scoring.ap == "trapezoid":
        before = np.where(rank == 1, 1.0, (found - 1) / np.maximum(rank - 1, 1))
        precision = (before + precision) / 2
    scores, valid = np.full((3, len(count)), np.nan), count > 0
    sums = np.bincount(query, np.where(seen, precision, 0), minlength=len(count))
    scores[0, valid] = sums[valid] / count[valid]
    scores[1, valid] = np.where(seen, rank, np.inf)[found == 1]
    scores[2, valid] = np.where(seen, found / rank, 0)[found == count[query]]
    return scores


class _GivenDistances:
    """Rows of a matrix of distances."""

    def __init__(self, distances: np.ndarray, labels: Labels):
        self.distances, self.labels = distances, labels

    def of(self, query: np.ndarray, item: np.ndarray) -> np.ndarray:
        """The distances of M pairs."""
        return self.distances[query, item]

    def count(
        self, query: np.ndarray, radius: np.ndarray, same_camera: SameCamera | None
    ) -> np.ndarray:
        """How many items that are no match are within each radius of a query: ``[M]``.

        Args:
            query: ``[M]``, ascending.
            radius: ``[M]`` distances. An item at that very distance counts.
            same_camera: Which items count, as in :meth:`Labels.others`.
        """
        infinity = self.distances.dtype.type(np.inf)
        counted = np.where(self.labels.others(same_camera), self.distances, infinity)
        return _count_within(counted, query, radius)


class _FeatureDistances:
    """Distances from features, for a block of queries: see :class:`_GivenDistances`."""

    def __init__(self, distances: Distances, rows: slice, labels: Labels):
        self.distances, self.rows = distances, rows
        self.labels = labels.to(distances.device)

    def of(self, query: np.ndarray, item: np.ndarray) -> np.ndarray:
        return self.distances.of(query + self.rows.start, item)

    def count(
        self, query: np.ndarray, radius: np.ndarray, same_camera: SameCamera | None
    ) -> np.ndarray:
        of_query = np.bincount(query, minlength=self.rows.stop - self.rows.start)
        filled = np.arange(of_query.max(initial=0)) < of_query[:, None]
        padded = np.zeros(filled.shape)  # [Q, the most radii of a query]
        padded[filled] = radius
        row, valid, radii = (
            torch.as_tensor(array, device=self.distances.device)
            for array in (query, filled, padded)
        )
        low, high = map(_first_key, self.distances.limits(self.rows, radii))
        left = self.distances.a.tile(self.rows)
        total = np.zeros(len(query), dtype=np.int64)
        for columns in slices(0, self.distances.shape[1], _ITEMS):
            ignored = ~self.labels.others(same_camera, columns)
            rough = self.distances.rough(left, self.distances.b.tile(columns)).clamp_(min=0)
            keys = _sorted_keys(rough.masked_fill_(ignored, torch.inf))
            within = torch.searchsorted(keys, low)[valid]
            doubts = torch.searchsorted(keys, high | _COLUMN, right=True)[valid] - within
            if doubts.sum() > _MOST_DOUBTFUL * rough.numel():
                exact = self.distances.block(self.rows, columns)
                exact[ignored.cpu().numpy()] = np.inf
                total += _count_within(exact, query, radius)
                continue
            total += within.cpu().numpy()
            in_doubt = torch.repeat_interleave(doubts)  # for each doubtful item, whose radius
            place = torch.arange(len(in_doubt), device=keys.device)
            place += (within - doubts.cumsum(0) + doubts)[in_doubt]
            item = (keys[row[in_doubt], place] & _COLUMN).cpu().numpy()
            number = in_doubt.cpu().numpy()
            # Each pair once, though several radii of a query may ask for it.
            pairs, inverse = np.unique(query[number] * _ITEMS + item, return_inverse=True)
            of_pair, item = np.divmod(pairs, _ITEMS)
            exact = self.of(of_pair, columns.start + item)[inverse]
            np.add.at(total, number[exact <= radius[number]], 1)
        return total


def _count_within(distances: np.ndarray, query: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """How many distances, which are sorted in place, are within each radius of a row: ``[M]``."""
    distances.sort(axis=1)
    ends = np.searchsorted(query, np.arange(len(distances) + 1))
    within = [
        np.searchsorted(row, radius[first:last], side="right")
        for row, (first, last) in zip(distances, pairwise(ends), strict=True)
    ]
    return np.concatenate(within)


def _sorted_keys(values: Tensor) -> Tensor:
    """The order of non-negative float32 numbers ``[Q, N]`` in each row.

    The bits of such numbers are in the order of the numbers. With them above and the column below,
    one int64 is a sort key that remembers its column; CPUs and GPUs sort it fast.
    """
    columns = torch.arange(values.size(1), device=values.device)
    keys = values.view(torch.int32).to(torch.int64).bitwise_left_shift_(32).bitwise_or_(columns)
    if keys.device.type != "cpu":
        return keys.sort(dim=1).values
    # Several times as fast as torch's own sort on a CPU.
    parts = np.array_split(keys.numpy(), torch.get_num_threads())
    in_threads(lambda rows: rows.sort(axis=1), parts, keys.numel())
    return keys


def _first_key(values: Tensor) -> Tensor:
    """The least key of a float32 number, 0 for a negative one."""
    bits = values.float().clamp(min=0).contiguous().view(torch.int32)
    return bits.to(torch.int64).bitwise_left_shift_(32)
