"""How long intervals and comparisons take at the size of MARS.

    python -m benchmarks.uncertainty

1,980 queries of 626 people, 10,000 resamples of the people, mAP, mINP and rank-1/5/10/20:

bootstrap     `bootstrap`, method bca
percentile    `bootstrap`, method percentile
compare       `compare`: the interval of the difference (percentile) and its p-value
scipy         the same percentile intervals by `scipy.stats.bootstrap`, 100 resamples at a time
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jsonargparse import auto_cli
from scipy import stats

from benchmarks.coverage import all_ranks, take
from benchmarks.measuring import machine, median_times, write_json
from stgcn_pyg.evaluation import bootstrap, compare
from stgcn_pyg.evaluation.people import scores_by_statistic, sum_by_person
from stgcn_pyg.evaluation.result import REPORTED_RANKS

QUERIES, PEOPLE = 1980, 626
BAR = 5.0


def main(
    rounds: int = 9, resamples: int = 10_000, smallest: bool = False, json: Path | None = None
) -> None:
    """Times bootstrap and compare.

    Args:
        rounds: How many interleaved rounds.
        resamples: Resamples of the people.
        smallest: One round of 100 resamples, to see that it runs.
        json: Where to write the figures.
    """
    if smallest:
        rounds, resamples = 1, 100
    rng = np.random.default_rng(0)
    pids = np.concatenate([np.arange(PEOPLE), rng.integers(PEOPLE, size=QUERIES - PEOPLE)])
    first, second = (take(all_ranks(), rng.geometric(0.5, QUERIES) - 1) for _ in range(2))
    people = sum_by_person(scores_by_statistic(first, REPORTED_RANKS), pids)
    counts = np.broadcast_to(people.counts, people.sums.T.shape)

    def by_scipy() -> object:
        return stats.bootstrap(
            (people.sums.T, counts),
            lambda sums, counts, axis: sums.sum(axis) / counts.sum(axis),
            n_resamples=resamples,
            batch=100,
            paired=True,
            axis=1,
            method="percentile",
            rng=0,
        )

    times = median_times(
        {
            "bootstrap": lambda: bootstrap(first, pids, resamples=resamples),
            "percentile": lambda: bootstrap(first, pids, resamples=resamples, method="percentile"),
            "compare": lambda: compare(first, second, pids, resamples=resamples),
            "scipy": by_scipy,
        },
        rounds,
    )
    table = pd.DataFrame({"seconds": times, "bar": dict.fromkeys(("bootstrap", "compare"), BAR)})
    print(table.reindex(times).round(3).to_string(na_rep=""))
    print(f"scipy / percentile {times['scipy'] / times['percentile']:.1f}")
    sizes = {"queries": QUERIES, "people": PEOPLE, "resamples": resamples}
    results = {"seconds": times, "sizes": sizes, "statistics": list(people.names)}
    write_json(json, {"machine": machine(torch.device("cpu")), "results": results})


if __name__ == "__main__":
    auto_cli(main)
