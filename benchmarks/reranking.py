"""How long re-ranking MARS takes, in how much memory.

    python -m benchmarks.reranking                # on the CPU
    python -m benchmarks.reranking --device cuda  # the matrix products on a GPU

As many random features as the full gallery of MARS has queries and tracklets, of as many
identities. Each round is a process of its own. It times `rerank`, from features to re-ranked
distances, and the product of all features with all features in float32 and in float64 (an eighth of
its rows, times eight). Its memory is what it grew by on the host, with the features and the result.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Literal

import numpy as np
import pandas as pd
import torch
from jsonargparse import auto_cli

from benchmarks.measuring import peak_resident, write_results
from stgcn_pyg.evaluation import rerank

QUERIES, GALLERY, IDENTITIES = 1_980, 11_310, 626
ROWS = 256  # of a product at a time


def clustered_features(num_items: int, width: int) -> np.ndarray:
    """A centre for each identity and noise around it, float32: ``[N, D]``."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((IDENTITIES, width), dtype=np.float32)
    features = centres[rng.integers(IDENTITIES, size=num_items)]
    for part in np.array_split(features, max(1, num_items // ROWS)):
        part += 1.5 * rng.standard_normal(part.shape, dtype=np.float32)
    return features


def one_round(num_queries: int, num_gallery: int, width: int, device: str) -> dict[str, float]:
    """Times and memory in this process, whose memory must not have been higher before."""
    warm_up = clustered_features(64, 8)
    rerank(warm_up[:8], warm_up[8:], device=device)
    figures: dict[str, float] = {}

    def step() -> None:
        features = clustered_features(num_queries + num_gallery, width)
        begin = perf_counter()
        rerank(features[:num_queries], features[num_queries:], device=device)
        figures["rerank"] = perf_counter() - begin

    figures["peak_bytes"] = peak_resident(step)
    features = torch.from_numpy(clustered_features(num_queries + num_gallery, width))
    for dtype in (torch.float32, torch.float64):
        items = features.to(device, dtype)
        blocks = items.split(ROWS)[::8]
        if device == "cuda":  # on a CPU the first product is as fast as the others
            blocks[0] @ items.T
            torch.cuda.synchronize()
        begin = perf_counter()
        for block in blocks:
            block @ items.T
        if device == "cuda":
            torch.cuda.synchronize()
        seconds = (perf_counter() - begin) * len(items) / sum(map(len, blocks))
        figures[f"product, {str(dtype).removeprefix('torch.')}"] = seconds
    return figures


def main(
    device: Literal["cpu", "cuda"] = "cpu",
    widths: tuple[int, ...] = (2048, 6144),
    rounds: int = 3,
    smallest: bool = False,
    json: Path | None = None,
) -> None:
    """Times re-ranking and measures its memory.

    Args:
        device: Where the matrix products run.
        widths: Channels of the features.
        rounds: Processes for each width; their medians are shown.
        smallest: One round of few items, to see that it runs.
        json: Where to write the figures.
    """
    sizes = QUERIES, GALLERY
    if smallest:
        sizes, widths, rounds = (40, 260), (32,), 1
    results = []
    for width in widths:
        figures = []
        for _ in range(rounds):
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                figures.append(pool.submit(one_round, *sizes, width, device).result())
        middle = {name: median(figure[name] for figure in figures) for name in figures[0]}
        results.append({"queries": sizes[0], "gallery": sizes[1], "width": width, **middle})
    table = pd.DataFrame(results)
    for dtype in ("float32", "float64"):
        table[f"rerank / {dtype}"] = table["rerank"] / table[f"product, {dtype}"]
    table["peak, GB (bar 1.5)"] = table.pop("peak_bytes") / 1e9
    print(table.round(3).T.to_string(header=False))
    write_results(json, results, device=device)


if __name__ == "__main__":
    auto_cli(main)
