"""How often the intervals of `verify` and `threshold_at_fpr` hold the truth.

    python -m benchmarks.pair_coverage

Draws test sets from a population of features: everybody is seen once by each of three cameras; some
people look like many others, and some vary more than others. The truth is the mean of 60 sets of
240 people. For each statistic: the truth, the share of the 95 % intervals that hold it, the shares
that lie above and below it, and their median width.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from jsonargparse import auto_cli

from benchmarks.measuring import write_results
from stgcn_pyg.evaluation import CROSS_CAMERA, threshold_at_fpr, verify_protocol

FPR, DISTANCE = 0.01, 2.6
CHANNELS, CAMERAS = 12, 3

Interval = tuple[float, float, float]  # its lower end, the estimate, its upper end


def draw_people(
    num_people: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, identities and cameras of a test set."""

    def each() -> np.ndarray:
        return rng.normal(size=(num_people, 1, 1))

    alike = rng.gamma(6, 1 / 6, size=(num_people, 1, 1))  # near 0: like many others
    centres = alike * rng.normal(size=(num_people, 1, CHANNELS))
    noise = 0.55 * np.exp(0.4 * each()) * rng.normal(size=(num_people, CAMERAS, CHANNELS))
    pids, cameras = (grid.ravel() for grid in np.mgrid[:num_people, :CAMERAS])
    return (centres + noise).reshape(-1, CHANNELS).astype(np.float32), pids, cameras


def intervals(num_people: int, resamples: int, rng: np.random.Generator) -> dict[str, Interval]:
    """The intervals of one test set, by statistic."""
    features, pids, cameras = draw_people(num_people, rng)
    labels = pids, pids, cameras, cameras
    options = {"fprs": [FPR], "thresholds": [DISTANCE], "resamples": resamples}
    found = verify_protocol(CROSS_CAMERA, features, features, *labels, **options).statistics
    chosen = threshold_at_fpr(features, pids, cameras, FPR, "all", resamples=resamples)
    ends = {name: (found.low[name], x, found.high[name]) for name, x in found.estimate.items()}
    return ends | {f"threshold at FPR {FPR:g}": (chosen.low, chosen.threshold, chosen.high)}


def truth(sets: int, rng: np.random.Generator) -> dict[str, float]:
    """The statistics of the population."""
    estimates = pd.DataFrame([intervals(240, 2, rng) for _ in range(sets)])
    return {name: float(np.mean([x for _, x, _ in column])) for name, column in estimates.items()}


def main(
    people: tuple[int, ...] = (35, 60, 150),
    sets: int = 200,
    resamples: int = 400,
    smallest: bool = False,
    json: Path | None = None,
) -> None:
    """Counts how often intervals hold the truth.

    Args:
        people: Sizes of the test sets.
        sets: Test sets of each size.
        resamples: Resamples of each test set.
        smallest: A few small sets, to see that it runs.
        json: Where to write the figures.
    """
    if smallest:
        people, sets, resamples = (20,), 4, 20
    rng = np.random.default_rng(0)
    true = truth(4 if smallest else 60, rng)
    rows = []
    for size in people:
        for _ in range(sets):
            for name, (low, _, high) in intervals(size, resamples, rng).items():
                above, below = low > true[name], high < true[name]
                holds = not (above or below)
                rows.append((size, name, true[name], holds, above, below, high - low))
    columns = ["people", "statistic", "truth", "holds", "above", "below", "width"]
    groups = pd.DataFrame(rows, columns=columns).groupby(columns[:3], sort=False)
    table = groups.agg({"holds": "mean", "above": "mean", "below": "mean", "width": "median"})
    print(table.round(3).to_string())
    results = {"sets": sets, "resamples": resamples}
    results["coverage"] = table.reset_index().to_dict("records")
    write_results(json, results)


if __name__ == "__main__":
    auto_cli(main)
