"""How long intervals and comparisons take at the size of MARS.

    python -m benchmarks.uncertainty

1,980 queries of 626 identities, 10,000 resamples, mAP, mINP and rank-1/5/10/20: `bootstrap` (bca
and percentile), `compare`, and the percentile intervals by `scipy.stats.bootstrap`. Then `verify`
and `identify` on the distances to a gallery of 9,330, and those distances themselves (2,048
channels).
"""

from pathlib import Path

import numpy as np
import pandas as pd
from jsonargparse import auto_cli
from scipy import stats

from benchmarks.coverage import all_ranks, take
from benchmarks.measuring import median_times, write_results
from stgcn_pyg.evaluation import bootstrap, compare, identify, pairwise_distances, verify
from stgcn_pyg.evaluation.bootstrap import scores_by_statistic, sum_by_identity
from stgcn_pyg.evaluation.result import REPORTED_RANKS

QUERIES, IDENTITIES, GALLERY, WIDTH = 1980, 626, 9330, 2048
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
    gallery, width = GALLERY, WIDTH
    if smallest:
        rounds, resamples, gallery, width = 1, 100, 700, 16
    rng = np.random.default_rng(0)
    more = rng.integers(IDENTITIES, size=QUERIES - IDENTITIES)
    pids = np.concatenate([np.arange(IDENTITIES), more])
    first, second = (take(all_ranks(), rng.geometric(0.5, QUERIES) - 1) for _ in range(2))
    by_identity = sum_by_identity(scores_by_statistic(first, REPORTED_RANKS), pids)
    sums = by_identity.sums.T
    counts = np.broadcast_to(by_identity.counts, sums.shape)
    options = {"n_resamples": resamples, "batch": 100, "paired": True, "axis": 1, "rng": 0}

    # A third of the gallery are distractors, as on MARS.
    gallery_pids = np.where(rng.random(gallery) < 1 / 3, -2, rng.integers(IDENTITIES, size=gallery))
    centres = rng.normal(size=(IDENTITIES + 1, width))  # the last is the distractors'
    query_features, gallery_features = (
        (centres[of] + 3 * rng.normal(size=(len(of), width))).astype(np.float32)
        for of in (pids, gallery_pids)
    )
    cameras = rng.integers(6, size=QUERIES), rng.integers(6, size=gallery)
    pairs = pairwise_distances(query_features, gallery_features).numpy(), pids, gallery_pids

    def mean(sums: np.ndarray, counts: np.ndarray, axis: int) -> np.ndarray:
        return sums.sum(axis) / counts.sum(axis)

    times = median_times(
        {
            "bootstrap": lambda: bootstrap(first, pids, resamples=resamples),
            "percentile": lambda: bootstrap(first, pids, resamples=resamples, method="percentile"),
            "compare": lambda: compare(first, second, pids, resamples=resamples),
            "scipy": lambda: stats.bootstrap((sums, counts), mean, method="percentile", **options),
            "verify": lambda: verify(*pairs, *cameras, resamples=resamples),
            "identify": lambda: identify(*pairs, *cameras, resamples=resamples),
            "distances": lambda: pairwise_distances(query_features, gallery_features),
        },
        rounds,
    )
    table = pd.DataFrame(
        {"seconds": times, "bar": dict.fromkeys(("bootstrap", "compare", "verify"), BAR)}
    )
    print(table.reindex(times).round(3).to_string(na_rep=""))
    print(f"scipy / percentile {times['scipy'] / times['percentile']:.1f}")
    sizes = {"queries": QUERIES, "people": IDENTITIES, "gallery": gallery, "resamples": resamples}
    results = {"seconds": times, "sizes": sizes, "statistics": list(by_identity.names)}
    write_results(json, results)


if __name__ == "__main__":
    auto_cli(main)
