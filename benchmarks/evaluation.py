"""CMC and mAP: how close to a plain argsort, and to the matrix product they cannot do without."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from jsonargparse import auto_cli

from benchmarks.measuring import bar, median_times, peak_memory, peak_resident, write_results
from stgcn_pyg.evaluation import evaluate_features, evaluate_ranking

# As many as MARS has without junk: 3,248 distractors (pid 0), the others of 626 identities.
QUERIES, GALLERY, IDENTITIES, DISTRACTORS, CAMERAS = 1980, 11310, 626, 3248, 6
WIDTH = 6144


Labels = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""pids of queries and gallery, camids of queries and gallery."""


def random_labels(queries: int, gallery: int, rng: np.random.Generator) -> Labels:
    """Labels in MARS's proportions."""
    identities = max(2, gallery * IDENTITIES // GALLERY)
    pids = rng.integers(1, identities + 1, gallery)
    pids[: gallery * DISTRACTORS // GALLERY] = 0
    query_pids = rng.integers(1, identities + 1, queries)
    query_camids, camids = (rng.integers(1, CAMERAS + 1, count) for count in (queries, gallery))
    return query_pids, pids, query_camids, camids


def random_features(
    pids: np.ndarray, centres: np.ndarray, rng: np.random.Generator
) -> torch.Tensor:
    """Unit vectors around a centre for each identity: mAP 0.44 at MARS's size."""
    features = rng.standard_normal((len(pids), centres.shape[1]), dtype=np.float32)
    features *= 0.56 * centres.shape[1] ** 0.25
    features += centres[pids]
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return torch.from_numpy(features)


def plain_numpy(distances: np.ndarray, labels: Labels) -> float:
    """The usual way in other code: an argsort of each row, then cumulative sums down the list."""
    average_precision, first = [], []
    query_pids, pids, query_camids, camids = labels
    for row, pid, camid in zip(distances, query_pids, query_camids, strict=True):
        order = np.argsort(row)
        match = pids[order] == pid
        keep = ~(match & (camids[order] == camid))
        match = match[keep]
        if match.any():
            ranks = np.flatnonzero(match) + 1
            average_precision.append((np.arange(1, len(ranks) + 1) / ranks).mean())
            first.append(ranks[0])
    np.mean(np.array(first)[:, None] <= np.arange(1, 51), axis=0)
    return float(np.mean(average_precision))


def from_distances(queries: int, gallery: int, rounds: int) -> dict[str, float]:
    """Seconds from a matrix of distances."""
    rng = np.random.default_rng(0)
    labels = random_labels(queries, gallery, rng)
    distances = rng.random((queries, gallery), dtype=np.float32)
    distances[labels[0][:, None] == labels[1]] *= 0.2
    assert np.isclose(plain_numpy(distances, labels), evaluate_ranking(distances, *labels).mAP)
    return median_times(
        {
            "plain NumPy": lambda: plain_numpy(distances, labels),
            "evaluate_ranking": lambda: evaluate_ranking(distances, *labels),
        },
        rounds,
    )


def from_features(
    queries: int, gallery: int, width: int, rounds: int, device: torch.device, products: bool = True
) -> tuple[dict[str, float], int]:
    """Seconds from features, beside the bare products if asked for; and bytes over the features."""
    rng = np.random.default_rng(0)
    labels = random_labels(queries, gallery, rng)
    centres = rng.standard_normal((labels[1].max() + 1, width), dtype=np.float32)
    q, g = (random_features(pids, centres, rng).to(device) for pids in labels[:2])

    def product(dtype: torch.dtype, block: int = 512):
        a, b = q.to(dtype), g.to(dtype)

        def step():
            for rows in a.split(block):
                rows @ b.T
            if device.type == "cuda":
                torch.cuda.synchronize()

        return step

    def evaluate():
        evaluate_features(q, g, *labels)

    evaluate()
    extra = peak_resident(evaluate) if device.type == "cpu" else peak_memory(evaluate, device)
    if not products:
        return median_times({"evaluate_features": evaluate}, rounds), extra
    steps = {"float32 product": product(torch.float32), "evaluate_features": evaluate}
    times = median_times(steps, rounds)
    return times | median_times({"float64 product": product(torch.float64)}, rounds), extra


def main(
    device: Literal["cpu", "cuda"] = "cpu",
    rounds: int = 7,
    smallest: bool = False,
    json: Path | None = None,
) -> None:
    """Times CMC and mAP.

    Args:
        device: Where features lie; with cuda the CPU is timed as well, for the ratio.
        rounds: How many interleaved rounds.
        smallest: A hundredth of everything and one round, to see that it runs.
        json: Where to write the figures.
    """
    less = 100 if smallest else 1
    rounds = 1 if smallest else rounds
    where, cpu = torch.device(device), torch.device("cpu")
    sizes = (QUERIES // less, GALLERY // less)
    given = from_distances(*sizes, rounds)
    features, extra = from_features(*sizes, WIDTH // less, rounds, where)
    ratios = {name: seconds / features["float32 product"] for name, seconds in features.items()}
    of_plain = given["evaluate_ranking"] / given["plain NumPy"]
    results: dict[str, Any] = {"given": given, "features": features, "bytes_over_features": extra}
    of_cpu = None
    if device != "cpu":
        on_cpu, _ = from_features(*sizes, WIDTH // less, min(rounds, 2), cpu)
        results["features_on_cpu"] = on_cpu
        of_cpu = on_cpu["evaluate_features"] / features["evaluate_features"]
    results["bars"] = [
        bar("evaluate_ranking / plain NumPy", of_plain, "<=", 1.0),  # aiming at 0.33
        bar("evaluate_features / float32 product", ratios["evaluate_features"], "<=", 1.5),
        bar("MB over the features", extra / 1e6, "<=", 300),
        bar("CPU / GPU, evaluate_features", of_cpu, ">=", 20),
    ]
    results["float64 product / float32 product"] = ratios["float64 product"]
    print({name: round(value, 4) for name, value in (given | features).items()})
    print(pd.DataFrame(results["bars"]).to_string(index=False))
    results["growth"] = growth = []
    for size in (10_000 // less, 100_000 // less, 1_000_000 // less):
        few = 200 // less or 2, size, 256 // less or 2, min(rounds, 3), where
        times, extra = from_features(*few, products=False)
        seconds = times["evaluate_features"]
        row = {"gallery": size, "seconds": seconds, "microseconds an item": 1e6 * seconds / size}
        growth.append(row | {"MB over the features": extra / 1e6})
        write_results(json, results, device=device)  # now: the next may take too long
    print(pd.DataFrame(growth).round(3).to_string(index=False))


if __name__ == "__main__":
    auto_cli(main)
