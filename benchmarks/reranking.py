"""How long re-ranking MARS takes, in how much memory.

    python -m benchmarks.reranking

As many random features as the full gallery of MARS has queries and tracklets, of as many people.
Each round is a process of its own, which times

product, float32   all N x N distances need at least this product; and in float64, without the
product, float64   float32 that proposes candidates. On an eighth of the rows, times eight
rerank             `stgcn_pyg.evaluation.rerank`, from features to the re-ranked distances

and tells how far its memory rose over what it was with everything imported: features and result
are in it.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from jsonargparse import auto_cli

from benchmarks.measuring import machine, write_json
from stgcn_pyg.evaluation.rerank import rerank

QUERIES, GALLERY, PEOPLE = 1_980, 11_310, 626
ROWS = 256  # at a time, as in rerank


def clustered_features(num_items: int, width: int) -> np.ndarray:
    """A centre a person and noise around it, float32: ``[N, D]``."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((PEOPLE, width), dtype=np.float32)
    features = centres[rng.integers(PEOPLE, size=num_items)]
    for part in np.array_split(features, max(1, num_items // ROWS)):
        part += 1.5 * rng.standard_normal(part.shape, dtype=np.float32)
    return features


def product_seconds(features: np.ndarray, dtype: torch.dtype) -> float:
    """All items times all items: eight times as long as an eighth of the rows."""
    items = torch.from_numpy(features).to(dtype)
    blocks = items.split(ROWS)[::8]
    begin = perf_counter()
    for block in blocks:
        block @ items.T
    return (perf_counter() - begin) * len(items) / sum(len(block) for block in blocks)


def memory(field: str) -> int:
    """Bytes of this process: ``VmRSS``, held now, or ``VmHWM``, the most so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}: memory is measured on Linux alone")


def one_round(num_queries: int, num_gallery: int, width: int) -> dict[str, float]:
    """Times and memory in this process, whose memory must not have been higher before."""
    warm_up = np.random.default_rng(0).standard_normal((64, 8), dtype=np.float32)
    rerank(warm_up[:8], warm_up[8:])
    start = memory("VmRSS")
    features = clustered_features(num_queries + num_gallery, width)
    begin = perf_counter()
    rerank(features[:num_queries], features[num_queries:])
    figures = {"rerank": perf_counter() - begin, "peak_bytes": float(memory("VmHWM") - start)}
    for dtype in (torch.float32, torch.float64):
        name = f"product, {str(dtype).removeprefix('torch.')}"
        figures[name] = product_seconds(features, dtype)
    return figures


def in_a_process(*sizes: int) -> dict[str, float]:
    """A round in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(one_round, *sizes).result()


def main(
    widths: tuple[int, ...] = (2048, 6144),
    rounds: int = 3,
    smallest: bool = False,
    json: Path | None = None,
) -> None:
    """Times re-ranking and measures its memory.

    Args:
        widths: Channels of the features.
        rounds: Processes a width; medians.
        smallest: One round of few items, to see that it runs.
        json: Where to write the figures.
    """
    queries, gallery = QUERIES, GALLERY
    if smallest:
        queries, gallery, widths, rounds = 40, 260, (32,), 1
    results = []
    for width in widths:
        figures = [in_a_process(queries, gallery, width) for _ in range(rounds)]
        middle = {name: median(figure[name] for figure in figures) for name in figures[0]}
        results.append({"queries": queries, "gallery": gallery, "width": width, **middle})
    table = pd.DataFrame(results)
    for dtype in ("float32", "float64"):
        table[f"rerank / {dtype}"] = table["rerank"] / table[f"product, {dtype}"]
    table["peak, GB (bar 1.5)"] = table.pop("peak_bytes") / 1e9
    print(table.round(3).T.to_string(header=False))
    write_json(json, {"machine": machine(torch.device("cpu")), "results": results})


if __name__ == "__main__":
    auto_cli(main)
