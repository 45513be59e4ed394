"""How long a search takes by codes, exactly, and in FAISS's flat index.

    python -m benchmarks.search --rows 1000000 --folder /tmp/search  # 25 GB there for a while

Embeddings of 6,144 channels as a network's: three parts of length 1, never negative, clustered by
identity, 20 tracklets each. They are made in shards and never held whole. "one at a time" asks the
queries one after the other, "together" gives all of them to one call. First 100,000, with FAISS's
flat index, then all rows.
"""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import faiss
import numpy as np
import pandas as pd
import torch
from jsonargparse import auto_cli

from benchmarks.measuring import bar, write_results
from stgcn_pyg.search import Gallery, Queries

FLAT_ROWS = 100_000  # that FAISS's flat index holds in memory
SHARD = 2048  # rows
PER_IDENTITY, CAMERAS, LATENT, PARTS = 20, 8, 256, 3


class Embeddings:
    """Embeddings of identities, made shard by shard; the same shard is the same each time."""

    def __init__(self, rows: int, width: int):
        self.rows, self.width = rows, width
        generator = torch.Generator().manual_seed(0)
        self.identities = torch.randn(max(2, rows // PER_IDENTITY), LATENT, generator=generator)
        self.cameras = 0.5 * torch.randn(CAMERAS, LATENT, generator=generator)
        self.channels = torch.randn(LATENT, width, generator=generator) / LATENT**0.5

    def shard(self, number: int, count: int) -> tuple[np.ndarray, pd.DataFrame]:
        """Embeddings and their tracklets; a shard of a number below 0 is of queries."""
        generator = torch.Generator().manual_seed(number + 10_000)
        pids = torch.randint(len(self.identities), (count,), generator=generator)
        camids = torch.randint(CAMERAS, (count,), generator=generator)
        latent = self.identities[pids] + self.cameras[camids]
        latent += 1.5 * torch.randn(count, LATENT, generator=generator)
        noise = torch.rand(count, self.width, generator=generator).sub_(0.5).mul_(3**0.5)
        values = noise.addmm_(latent, self.channels).relu_().view(count, PARTS, -1)
        values = torch.nn.functional.normalize(values, dim=2).view(count, self.width)
        tracklets = pd.DataFrame(
            {
                "dataset": "benchmark",
                "tracklet": np.arange(count) + number * SHARD,
                "pid": pids.numpy(),
                "camid": camids.numpy(),
                "num_frames": 8,
                "first_frame_path": "",
                "first_time": np.nan,
                "last_time": np.nan,
            }
        )
        return values.numpy(), tracklets

    def pieces(self, clock: list[float]) -> Iterator[tuple[np.ndarray, pd.DataFrame]]:
        """All shards; adds the seconds that making them takes to ``clock``."""
        for number, first in enumerate(range(0, self.rows, SHARD)):
            begun = perf_counter()
            shard = self.shard(number, min(SHARD, self.rows - first))
            clock.append(perf_counter() - begun)
            yield shard


def peak_anonymous(step: Callable[[], object]) -> tuple[float, int]:
    """Seconds of a step, and the most bytes of memory that are not pages of mapped files."""
    most, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    most[0] = max(most[0], 1024 * int(line.split()[1]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = perf_counter()
    step()
    seconds = perf_counter() - begun
    done.set()
    watcher.join()
    return seconds, most[0]


def timed(step: Callable[[], object]) -> dict[str, float]:
    """Seconds on the clock, and of the processors."""
    begun, used = perf_counter(), process_time()
    step()
    return {"seconds": perf_counter() - begun, "processor seconds": process_time() - used}


def measure(
    rows: int, width: int, queries: int, k: int, rounds: int, exact_alone: int, folder: Path
) -> dict[str, Any]:
    """Builds a gallery, searches it in turns, and adds to it."""
    embeddings = Embeddings(rows, width)
    asked = embeddings.shard(-1, queries)[0]
    clock: list[float] = []
    Gallery.create(folder, width=width, checkpoint_sha256="0" * 64)

    def report(name: str, value: object) -> None:
        print(f"{rows:,} rows, {name}: {value}", flush=True)

    writing, _ = peak_anonymous(lambda: Gallery(folder).add_pieces(embeddings.pieces(clock)))
    coding, peak = peak_anonymous(lambda: Gallery(folder).make_codes())
    found: dict[str, Any] = {
        "rows": rows,
        "seconds to make the embeddings": sum(clock),
        "seconds to write the gallery": writing - sum(clock),
        "seconds to make the codes": coding,
        "bytes of memory while making the codes": peak,
        "bytes of codes": sum(path.stat().st_size for path in folder.glob("*.codes")),
    }
    begun = perf_counter()
    gallery = Gallery(folder)
    found["seconds to open"] = perf_counter() - begun
    one = Queries(asked[:1])
    found["seconds of the first search"] = timed(lambda: gallery.search(one, k, exact=False))
    facts = [segment.codes.facts for segment in gallery.segments if segment.codes is not None]
    if facts:
        found["recall when made, lowest"] = min(fact.recall for fact in facts)
    report("built", found)

    answers: dict[str, Any] = {}

    def together(exact: bool) -> Callable[[], None]:
        def step() -> None:
            answers[str(exact)] = gallery.search(Queries(asked), k, exact=exact)

        return step

    def alone(exact: bool, count: int) -> Callable[[], None]:
        def step() -> None:
            for query in asked[:count]:
                gallery.search(Queries(query[None]), k, exact=exact)

        return step

    steps = {
        "codes, one at a time": (alone(False, queries), queries),
        "codes, together": (together(False), queries),
        "exact, together": (together(True), queries),
        "exact, one at a time": (alone(True, exact_alone), exact_alone),
    }
    if rows <= FLAT_ROWS:
        flat = faiss.IndexFlatL2(width)
        for segment in gallery.segments:
            flat.add(np.ascontiguousarray(segment.embeddings))
        steps["flat, together"] = (lambda: flat.search(asked, k), queries)
        few = min(queries, 20)
        steps["flat, one at a time"] = (lambda: [flat.search(q[None], k) for q in asked[:few]], few)
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, (step, count) in steps.items():
            times = {key: value / count for key, value in timed(step).items()}
            report(name, times)
            taken[name].append(times)
    found["a query"] = {
        name: {key: median(one[key] for one in times) for key in times[0]}
        for name, times in taken.items()
    }
    same = answers["True"].distances == answers["False"].distances
    found["recall"] = float(same.mean())
    same_ids = answers["True"].ids == answers["False"].ids
    found["share of the same ids"] = float(same_ids.mean())

    new = [embeddings.shard(10**6 + n, min(SHARD, rows // 4)) for n in range(5)]
    added = pd.concat([tracklets for _, tracklets in new]).assign(dataset="more")
    added["tracklet"] = np.arange(len(added))
    values = np.concatenate([shard for shard, _ in new])
    found["rows added"] = len(added)
    found["seconds to add"] = timed(lambda: gallery.add(values, added))
    found["seconds to make codes of what was added"] = timed(gallery.make_codes)
    report("all", found)
    return found


def bars(found: dict[str, Any]) -> list[dict[str, object]]:
    """The ratios that are wanted."""
    seconds = {name: times["seconds"] for name, times in found["a query"].items()}
    codes, name = seconds["codes, one at a time"], f"{found['rows']:,} rows, "
    peak = found["bytes of memory while making the codes"]
    rows = [
        bar(f"{name}recall", found["recall"], ">=", 1.0),
        bar(f"{name}ms a query by codes, one at a time", 1e3 * codes, "<=", 100),
        bar(
            f"{name}exact / codes, one at a time", seconds["exact, one at a time"] / codes, ">=", 20
        ),
        bar(
            f"{name}exact / codes, together",
            seconds["exact, together"] / seconds["codes, together"],
            ">=",
            20,
        ),
        bar(f"{name}GB of memory to make the codes", peak / 1e9, "<=", 4),
        bar(f"{name}seconds to open", found["seconds to open"], "<=", 2),
        bar(f"{name}seconds to add", found["seconds to add"]["seconds"], "<=", 10),
    ]
    for how in ("one at a time", "together"):
        if f"flat, {how}" in seconds:
            ratio = seconds[f"flat, {how}"] / seconds[f"codes, {how}"]
            rows.append(bar(f"{name}flat / codes, {how}", ratio, ">=", 5))
    return rows


def main(
    rows: int = FLAT_ROWS,
    queries: int = 200,
    k: int = 20,
    rounds: int = 3,
    exact_alone: int = 2,
    width: int = 6144,
    folder: Path | None = None,
    smallest: bool = False,
    json: Path | None = None,
) -> None:
    """Times galleries.

    Args:
        rows: Number of tracklets of the largest gallery.
        queries: Number of queries.
        k: Number of tracklets to find for each.
        rounds: Number of interleaved rounds; one for more than 100,000 rows.
        exact_alone: Number of queries that are asked exactly, one at a time.
        width: Length of an embedding, a multiple of 3.
        folder: An existing folder for the galleries, which are removed afterwards.
        smallest: A gallery of 3,000 rows of 48 channels, to see that it runs.
        json: Where to write the figures.
    """
    if smallest:
        rows, queries, k, rounds, width = 3000, 4, 5, 1, 48
    results = []
    for size in sorted({min(rows, FLAT_ROWS), rows}):
        place = Path(tempfile.mkdtemp(prefix="gallery-", dir=folder))
        try:
            turns = rounds if size <= FLAT_ROWS else 1
            few = min(exact_alone, queries)
            results.append(measure(size, width, queries, k, turns, few, place / "gallery"))
        finally:
            shutil.rmtree(place)
        ratios = [row for found in results for row in bars(found)]
        print(pd.DataFrame(ratios).to_string(index=False), flush=True)
        settings = {"queries": queries, "k": k, "rounds": rounds, "width": width}
        write_results(json, {"galleries": results, "bars": ratios}, settings)


if __name__ == "__main__":
    auto_cli(main)
