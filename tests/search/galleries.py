"""Galleries of a few tracklets, and what plain loops find in them."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd

from stgcn_pyg.evaluation import pairwise_distances
from stgcn_pyg.search import Filter, Gallery

CHECKPOINT = "a" * 64


def rows(count, rng, dataset="mars", first=0):
    """Tracklets in three cameras, of a few people, some unknown and some without times."""
    begins = rng.integers(0, 20, count).astype(float)
    ends = begins + rng.integers(0, 5, count)
    unknown = rng.random(count) < 0.2
    begins[unknown] = ends[unknown] = np.nan
    return pd.DataFrame(
        {
            "dataset": dataset,
            "tracklet": np.arange(first, first + count),
            "pid": rng.integers(-1, 5, count),
            "camid": rng.integers(1, 4, count),
            "num_frames": rng.integers(1, 9, count),
            "first_frame_path": [f"{number}.jpg" for number in range(count)],
            "first_time": begins,
            "last_time": ends,
        }
    )


def alike(count, width, rng):
    """Embeddings with equal ones, near duplicates, zeros, and ones that round to one distance."""
    values = rng.choice([-1.0, 0.0, 0.5, 1.0], (max(1, count // 3), width))
    chosen = values[rng.integers(0, len(values), count)]
    chosen = chosen + rng.choice([0, 0, 1e-7, 1e-6, 1e-3], (count, 1)) * rng.normal(
        size=(count, width)
    )
    chosen[rng.random(count) < 0.1] = 0
    return chosen.astype(np.float32)


def gallery_of(folder, embeddings, tracklets, cuts=()):
    """A gallery that was filled by several additions."""
    gallery = Gallery.create(folder, width=embeddings.shape[1], checkpoint_sha256=CHECKPOINT)
    ends = [0, *cuts, len(tracklets)]
    for start, stop in pairwise(ends):
        gallery.add(embeddings[start:stop], tracklets[start:stop])
    return gallery


def passes(row, where):
    """Whether a filter passes a tracklet, whatever the query."""
    known = not math.isnan(row.first_time)
    return (
        (where.camids is None or row.camid in where.camids)
        and (where.pids is None or row.pid in where.pids)
        and (where.datasets is None or row.dataset in where.datasets)
        and (where.after is None or (known and row.last_time >= where.after))
        and (where.before is None or (known and row.first_time <= where.before))
    )


def found_by_loops(queries, embeddings, tracklets, k, where=Filter()):  # noqa: B008
    """The ids and distances that sorting all distances gives, a query after the other.

    `tracklets` have the ids as their index.
    """
    matrix = pairwise_distances(queries.embeddings, embeddings).numpy()
    ids, distances = [], []
    for query, of_query in enumerate(matrix):
        found = []
        for row, distance in zip(tracklets.itertuples(), of_query, strict=True):
            same = where.same_camera is not None and row.camid == queries.camids[query]
            if where.same_camera == "person":
                same = same and row.pid == queries.pids[query] and row.pid != -1
            if passes(row, where) and not same:
                found.append((distance, row.Index))
        found = sorted(found)[:k] + [(np.inf, -1)] * (k - len(found))
        ids.append([number for _, number in found])
        distances.append([distance for distance, _ in found])
    shape = (len(matrix), k)
    return np.array(ids, np.int64).reshape(shape), np.array(distances, np.float32).reshape(shape)
