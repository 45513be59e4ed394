"""The page of a search: a sheet for each query, with the tracklets that were found for it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stgcn_pyg import JUNK
from stgcn_pyg.report.elements import html, whole_page
from stgcn_pyg.report.strips import count, seen, sheets_of_strips


def render_found(
    title: str,
    found: pd.DataFrame,
    of_queries: Mapping[Any, Sequence[Path]],
    of_tracklets: Mapping[tuple[str, int], Sequence[Path]],
    facts: Mapping[str, str],
    gaps: Sequence[str] = (),
) -> tuple[str, list[str]]:
    """The page of a search, as HTML that needs no other file.

    Args:
        title: Title of the page.
        found: What :func:`.results_table` gives.
        of_queries: Paths of the frames of queries, by the query; may lack some.
        of_tracklets: Paths of the frames of tracklets, by data set and number, likewise.
        facts: What was searched, by name.
        gaps: Lines on what is not known of the frames.

    Returns:
        The page, and a line for each kind of thing that it lacks.
    """
    groups = found.groupby("query", sort=False)
    described = (
        (
            html.heading(3, f"Query {name}"),
            [(of_queries.get(name, []), _of_query(rows.iloc[0]))]
            + [
                (of_tracklets.get((row.dataset, row.tracklet), []), _caption(row))
                for row in rows.itertuples()
            ],
        )
        for name, rows in groups
    )
    sheets, more = sheets_of_strips(described, len(groups), "query")
    lines = [*gaps, *more]
    sections = [
        ("searched", "What was searched", [], [html.facts(facts)]),
        ("found", "What was found", lines, sheets),
    ]
    lead = f"{count(len(groups), 'query')}, {count(len(found), 'tracklet')} found."
    return whole_page("search", "Search", [title], sections, lead, gaps=lines), lines


def _of_query(row: Any) -> str:
    return ", ".join(["the query", *_who(row.query_pid, row.query_camid)])


def _caption(row: Any) -> str:
    parts = [f"{row.rank}. distance {row.distance:.3f}", *_who(row.pid, row.camid), *seen(row)]
    return ", ".join([*parts, f"{row.dataset}:{row.tracklet}"])


def _who(pid: int, camid: int) -> list[str]:
    identity = [] if pid == JUNK else [f"identity {pid}"]
    return identity + ([] if camid == JUNK else [f"camera {camid}"])
