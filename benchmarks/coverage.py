"""How often the intervals of `bootstrap` and `compare` hold the truth, where the truth is known.

    python -m benchmarks.coverage

Draws test sets from a population: a person has 1 to 6 queries and a chance of rank 1 of their own
(its mean is `--rank_1`; two queries of one person correlate by 0.3); a query that misses rank 1 has
its one match at rank 1 + a geometric number. The second model of a comparison has the same people
with the same chances, so that the true difference is 0.

bca, percentile   the share of the 95 % intervals that hold the truth; their median width
by query          the same of percentile intervals whose resamples draw queries, not people
difference        the same of `compare`'s intervals: percentile, as is its default, and bca
p < 0.05          the share of the differences, all of them 0, that `compare` finds significant
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from jsonargparse import auto_cli
from scipy.stats import geom

from benchmarks.measuring import write_results
from stgcn_pyg.evaluation import RankingResult, bootstrap, compare, evaluate_ranking

RANKS = (1, 5, 10, 20)
QUERIES = np.arange(1, 7)
QUERIES_CHANCE = np.array([0.05, 0.25, 0.35, 0.2, 0.1, 0.05])
CORRELATION, STEP = 0.3, 0.2
LAST_RANK = 200


def all_ranks() -> RankingResult:
    """The ranking of queries whose one match is at rank 1, 2, ..., LAST_RANK."""
    ranks = np.arange(1, LAST_RANK + 1)
    distances = np.where(ranks < ranks[:, None], 0.1, 0.9)  # the others; the match comes last
    distances = np.column_stack([distances[:, :-1], np.full(LAST_RANK, 0.5)])
    people = np.zeros(LAST_RANK, dtype=int)
    gallery = np.where(ranks == LAST_RANK, 0, 1)
    return evaluate_ranking(distances, people, gallery, people, people + 1)


def take(result: RankingResult, queries: np.ndarray) -> RankingResult:
    """The result of these queries of it, each as often as it is named."""
    first = result.first_match_rank[queries]
    return replace(
        result,
        average_precision=result.average_precision[queries],
        first_match_rank=first,
        inverse_negative_penalty=result.inverse_negative_penalty[queries],
        cmc=(first[:, None] <= np.arange(1, len(result.cmc) + 1)).mean(axis=0),
    )


def draw_people(
    num_people: int, rank_1: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Each query's person and chance of rank 1."""
    strength = (1 - CORRELATION) / CORRELATION
    chance = rng.beta(rank_1 * strength, (1 - rank_1) * strength, num_people)
    counts = rng.choice(QUERIES, num_people, p=QUERIES_CHANCE)
    return np.repeat(np.arange(num_people), counts), np.repeat(chance, counts)


def draw_ranks(chance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The rank of each query's match."""
    later = 1 + rng.geometric(STEP, len(chance))
    return np.minimum(np.where(rng.random(len(chance)) < chance, 1, later), LAST_RANK)


def truth(rank_1: float) -> dict[str, float]:
    """The statistics of the whole population."""
    steps = np.arange(1, 10_000)
    later = (geom.pmf(steps, STEP) / (1 + steps)).sum()
    ranks = {f"rank-{k}": float(1 - (1 - rank_1) * geom.sf(k - 1, STEP)) for k in RANKS}
    return {"mAP": float(rank_1 + (1 - rank_1) * later), **ranks}


def coverage(num_people: int, rank_1: float, sets: int, resamples: int) -> pd.DataFrame:
    """A row a statistic: how often its intervals hold the truth over so many test sets."""
    rng, ranking = np.random.default_rng(num_people), all_ranks()
    rows: list[dict[str, object]] = []
    for seed in range(sets):
        pids, chance = draw_people(num_people, rank_1, rng)
        first, second = (take(ranking, draw_ranks(chance, rng) - 1) for _ in range(2))
        options = {"ranks": RANKS, "resamples": resamples, "seed": seed}
        comparison = compare(first, second, pids, **options)
        results = {
            "bca": bootstrap(first, pids, **options),
            "percentile": bootstrap(first, pids, method="percentile", **options),
            "by query": bootstrap(first, np.arange(len(pids)), method="percentile", **options),
            "difference": comparison,
            "difference, bca": compare(first, second, pids, method="bca", **options),
        }
        for name, true in truth(rank_1).items():
            row = {"statistic": name, "truth": true, "p < 0.05": comparison.p_value[name] < 0.05}
            for method, result in results.items():
                true = 0.0 if "difference" in method else row["truth"]
                row[method] = result.low[name] <= true <= result.high[name]
                row[f"{method}, width"] = result.high[name] - result.low[name]
            rows.append(row)
    table = pd.DataFrame(rows)
    how = {column: "median" if "width" in column else "mean" for column in table.columns[1:]}
    by_statistic = table.groupby("statistic", sort=False).agg(how).reset_index()
    by_statistic.insert(0, "people", num_people)
    return by_statistic


def main(
    people: tuple[int, ...] = (35, 150, 626),
    rank_1: float = 0.83,
    sets: int = 400,
    resamples: int = 1000,
    json: Path | None = None,
) -> None:
    """Counts how often intervals hold the truth.

    Args:
        people: Sizes of the test sets.
        rank_1: The mean chance of rank 1.
        sets: Test sets of each size.
        resamples: Resamples of each test set.
        json: Where to write the figures.
    """
    table = pd.concat([coverage(size, rank_1, sets, resamples) for size in people])
    print((100 * table.set_index(["people", "statistic"])).round(1).to_string())
    results = {"rank_1": rank_1, "sets": sets, "resamples": resamples}
    results["coverage"] = table.to_dict("records")
    write_results(json, results)


if __name__ == "__main__":
    auto_cli(main)
