"""Searches of the segments of a gallery: exactly, or by their codes."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from stgcn_pyg.evaluation.arrays import slices
from stgcn_pyg.search.engine import Filter, Found, Queries
from stgcn_pyg.search.exact import Part
from stgcn_pyg.search.filters import left_out
from stgcn_pyg.search.segments import Segment

Chosen = tuple[Segment, np.ndarray]  # a segment, and which of its rows may be found
QUERIES = 64  # that are searched by codes at a time


def parts_of(
    segments: Iterable[Chosen], queries: Queries, where: Filter, most_rows: int
) -> Iterator[Part]:
    """What may be found of some segments, so many rows at a time."""
    for segment, allowed in segments:
        rows = np.flatnonzero(allowed)
        for some in (rows[part] for part in slices(0, len(rows), most_rows)):
            first, last = int(some[0]), int(some[-1]) + 1
            # A slice of what is mapped into memory is no copy.
            chosen: Any = slice(first, last) if last - first == len(some) else some
            ignored = left_out(queries, segment.tracklets.iloc[chosen], where)
            embeddings = segment.embeddings[chosen].astype(np.float32, copy=False)
            yield Part(segment.ids[chosen], embeddings, ignored)


def found_by_codes(
    segments: Iterable[Chosen], queries: Queries, where: Filter, k: int, others: Found
) -> Found:
    """The nearest k by the codes of some segments, together with the nearest of the others."""
    from stgcn_pyg.search.candidates import CodedPart, nearest_by_codes

    for rows in slices(0, len(queries.embeddings), QUERIES):
        pids, camids = (None if x is None else x[rows] for x in (queries.pids, queries.camids))
        some = Queries(queries.embeddings[rows], pids, camids)
        parts = [
            CodedPart(
                one.ids, one.embeddings, one.codes, allowed, left_out(some, one.tracklets, where)
            )
            for one, allowed in segments
            if one.codes is not None
        ]
        of_others = Found(*(array[rows] for array in others))
        found, _ = nearest_by_codes(some.embeddings, parts, k, of_others)
        others.ids[rows], others.distances[rows] = found
    return others
