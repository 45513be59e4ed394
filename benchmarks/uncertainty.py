"""How long intervals and comparisons take at the size of MARS.

    python -m benchmarks.uncertainty

1,980 queries of 626 identities, 10,000 resamples, mAP, mINP and rank-1/5/10/20: `bootstrap` (bca
and percentile), `compare`, and the percentile intervals by `scipy.stats.bootstrap`.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from jsonargparse import auto_cli
from scipy import stats

from benchmarks.coverage import all_ranks, take
from benchmarks.measuring import median_times, write_results
from stgcn_pyg.evaluation import bootstrap, compare
from stgcn_pyg.evaluation.bootstrap import scores_by_statistic, sum_by_identity
from stgcn_pyg.evaluation.result import REPORTED_RANKS

QUERIES, IDENTITIES = 1980, 626
BAR = 5.0


def main(
    rounds: int = 9, resamples: int = 10_000, smallest: bool = False, json: Path | None = None
) -> None:
    """Times bootstrap and compare.

    Args:
        rounds: How many interleaved rounds.
        resamples: Resamples of the identities.
        smallest: One round of 100 resamples, to see that it runs.
        json: Where to write the figures.
    """
    if smallest:
        rounds, resamples = 1, 100
    rng = np.random.default_rng(0)
    more = rng.integers(IDENTITIES, size=QUERIES - IDENTITIES)
    pids = np.concatenate([np.arange(IDENTITIES), more])
    first, second = (take(all_ranks(), rng.geometric(0.5, QUERIES) - 1) for _ in range(2))
    by_identity = sum_by_identity(scores_by_statistic(first, REPORTED_RANKS), pids)
    sums = by_identity.sums.T
    counts = np.broadcast_to(by_identity.counts, sums.shape)
    options = {"n_resamples": resamples, "batch": 100, "paired": True, "axis": 1, "rng": 0}

    def mean(sums: np.ndarray, counts: np.ndarray, axis: int) -> np.ndarray:
        return sums.sum(axis) / counts.sum(axis)

    times = median_times(
        {
            "bootstrap": lambda: bootstrap(first, pids, resamples=resamples),
            "percentile": lambda: bootstrap(first, pids, resamples=resamples, method="percentile"),
            "compare": lambda: compare(first, second, pids, resamples=resamples),
            "scipy": lambda: stats.bootstrap((sums, counts), mean, method="percentile", **options),
        },
        rounds,
    )
    table = pd.DataFrame({"seconds": times, "bar": dict.fromkeys(("bootstrap", "compare"), BAR)})
    print(table.reindex(times).round(3).to_string(na_rep=""))
    print(f"scipy / percentile {times['scipy'] / times['percentile']:.1f}")
    sizes = {"queries": QUERIES, "people": IDENTITIES, "resamples": resamples}
    results = {"seconds": times, "sizes": sizes, "statistics": list(by_identity.names)}
    write_results(json, results)


if __name__ == "__main__":
    auto_cli(main)
