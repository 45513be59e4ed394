"""What the queries score, summed by the person they show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stgcn_pyg.evaluation.labels import Array, to_numpy
from stgcn_pyg.evaluation.result import RankingResult

# Numbers closer than this are the same number, differently rounded.
EQUAL = 1e-9


@dataclass(frozen=True, eq=False)
class PersonSums:
    """S statistics of P people, each statistic a mean over the queries of all.

    Attributes:
        names: the S statistics.
        sums: ``[P, S]`` float64, over a person's valid queries.
        counts: ``[P]`` float64, how many those are.
    """

    names: tuple[str, ...]
    sums: np.ndarray
    counts: np.ndarray

    @property
    def num_people(self) -> int:
        """The people with a valid query."""
        return len(self.counts)

    @property
    def num_queries(self) -> int:
        """The valid queries of all people."""
        return int(self.counts.sum())

    @property
    def means(self) -> np.ndarray:
        """``[S]``, over the queries of all people."""
        return self.sums.sum(axis=0) / self.counts.sum()

    def named(self, values: np.ndarray) -> dict[str, float]:
        """One value a statistic, by its name."""
        return dict(zip(self.names, values.tolist(), strict=True))


def scores_by_statistic(result: RankingResult, ranks: Sequence[int]) -> dict[str, np.ndarray]:
    """The values ``[Q]`` that each statistic is the mean of; NaN where a query has no match.

    Raises:
        ValueError: ranks that are not positive integers, or a result that is an expectation.
    """
    first = result.first_match_rank
    unmatched = np.isnan(first)
    scores = {"mAP": result.average_precision, "mINP": result.inverse_negative_penalty}
    for k in ranks:
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise ValueError(f"ranks={list(ranks)}: give integers from 1 on")
        hits = scores[f"rank-{k}"] = np.where(unmatched, np.nan, first <= k)
        if k <= len(result.cmc) and not unmatched.all():
            _check_hits(k, float(np.nanmean(hits)), float(result.cmc[k - 1]))
    return scores


def sum_by_person(scores: Mapping[str, np.ndarray], query_pids: Array) -> PersonSums:
    """Scores ``[Q]`` by statistic, NaN where a query has no match, summed by person.

    The scores are rounded to binary fractions, by less than 1e-12 on any test set of this field,
    that float64 adds without error: a mean over resampled people then depends neither on the order
    of the queries nor on how a matrix product adds.

    Raises:
        ValueError: ``query_pids`` that are not one integer a query, no valid query, or all valid
            queries of one person.
    """
    values = np.stack(list(scores.values()), axis=1)
    pids = _check_pids(query_pids, len(values))
    valid = ~np.isnan(values).any(axis=1)
    if not valid.any():
        raise ValueError(f"none of the {len(valid)} queries has a match: nothing to resample")
    people, person = np.unique(pids[valid], return_inverse=True)
    if len(people) < 2:
        raise ValueError(
            f"all {len(person)} queries with a match show person {people[0]}: "
            "people are what is resampled, give 2 at least"
        )
    counts = np.bincount(person).astype(float)
    # No resample's sum gets larger: every draw may be the person with the most queries.
    bits = 53 - int(np.ceil(np.log2(len(people) * counts.max())))
    rounded = np.ldexp(np.rint(np.ldexp(values[valid], bits)), -bits)
    sums = np.stack([np.bincount(person, column) for column in rounded.T], axis=1)
    return PersonSums(tuple(scores), sums, counts)


def _check_hits(k: int, hits: float, cmc: float) -> None:
    if abs(hits - cmc) > EQUAL:
        raise ValueError(
            f"rank-{k} is {cmc:.4f} in the CMC and {hits:.4f} by first_match_rank: "
            "give the result of a ranking, not an expectation as chance() gives"
        )


def _check_pids(query_pids: Array, num_queries: int) -> np.ndarray:
    pids = to_numpy(query_pids)
    if pids.ndim != 1 or pids.dtype.kind not in "iu":
        raise ValueError(
            "query_pids must be a 1-D array of integers, "
            f"got {pids.dtype} of shape {list(pids.shape)}"
        )
    if len(pids) != num_queries:
        raise ValueError(f"query_pids: {len(pids)} people for {num_queries} queries; one a query")
    return pids
