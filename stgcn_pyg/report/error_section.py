"""The section on where the model errs: distances, and scores of groups and of single queries."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from stgcn_pyg.errors import UserError, last_line
from stgcn_pyg.explain import EvaluatedModel, distance_histogram
from stgcn_pyg.explain.output import scores_by_group
from stgcn_pyg.figures import draw_distances, to_page_svg
from stgcn_pyg.report.elements import html, number, percent, table
from stgcn_pyg.report.reported import ReportedRun, of_run

ROWS = 100  # of a table, at most
MARKS = {"right": "✓ ", "wrong": "✗ "}
GROUPS = {  # of queries: caption, titles of the columns that name a group, their digits and unit
    "by_camera_pair": (
        "By pair of cameras: only the other camera's gallery is searched",
        ("Query's camera", "Gallery's camera"),
        (0, 1),
    ),
    "by_length": ("By length: quarters of the queries by frames", ("From", "To"), (0, 1)),
    "by_hidden": (
        "By the share of the body that is occluded: quarters of the queries",
        ("From", "To"),
        (1, 100),
    ),
}


def errors_section(runs: Sequence[ReportedRun]) -> list[Markup]:
    """Distances of matching and other pairs, and the scores of groups and of single queries."""
    try:
        found = [scores_by_group(run.evaluated) for run in runs]
    except UserError as error:
        runs[0].gaps.add(last_line(error), "errors")
        return []
    groups = [_group(name, [tables[name] for tables in found], runs) for name in found[0]]
    distances = [_distances(run, of_run(run, runs)) for run in runs]
    return [html.grid(distances), html.grid(groups, "tables"), _by_query(runs)]


def _distances(run: ReportedRun, ending: str) -> Markup:
    model = run.evaluated
    histogram = distance_histogram(
        model.task, model.protocol, model.query_features, model.gallery_features, bins=40
    )
    cells = {end.capitalize(): [number(v, 3) for v in histogram[end]] for end in ("from", "to")}
    for kind in ("matching", "other"):
        shares = 100 * histogram[kind] / max(histogram[kind].sum(), 1)
        cells[kind.capitalize()] = [number(share, 1) for share in shares]
    caption = f"Pairs of query and gallery by their distance{ending}; % of the pairs of a kind"
    return html.figure(
        to_page_svg(draw_distances(histogram, " "), f"distances-{run.number}"),
        f"Histogram of the distances of matching and of other pairs{ending}",
        f"Distances of query and gallery{ending}",
        table(caption, pd.DataFrame(cells), opens="Figures"),
    )


def _group(name: str, frames: Sequence[pd.DataFrame], runs: Sequence[ReportedRun]) -> Markup:
    """Groups of queries in rows, mAP and rank-1 of each run in columns."""
    caption, titles, (digits, factor) = GROUPS[name]
    first = frames[0].iloc[:ROWS]
    cells = {
        title: [number(factor * value, digits) for value in first.iloc[:, i]]
        for i, title in enumerate(titles)
    }
    cells["Queries"] = [number(n) for n in first["queries"]]
    for run, frame in zip(runs, frames, strict=True):
        for title, column in (("mAP", "mAP"), ("Rank-1", "rank_1")):
            cells[title + of_run(run, runs)] = [percent(v) for v in frame[column].iloc[:ROWS]]
    left = len(frames[0]) - len(first)
    note = f"{left:,} more are left out." if left else ""
    return table(f"{caption}; in per cent", pd.DataFrame(cells), sortable=True, note=note)


def _by_query(runs: Sequence[ReportedRun]) -> Markup:
    """The queries with the lowest average precision in the first run."""
    first = runs[0].evaluated
    scores = first.result.average_precision
    matched = np.flatnonzero(~np.isnan(scores))
    rows = matched[np.argsort(scores[matched], kind="stable")][:ROWS]
    queries = first.queries.iloc[rows]
    cells: dict[str, object] = {
        "Tracklet": queries.index,
        "Identity": queries["pid"].to_numpy(),
        "Camera": queries["camid"].to_numpy(),
        "Frames": [number(n) for n in queries["num_frames"]],
        "Matches": [number(n) for n in first.task.count_matches(first.protocol.name)[rows]],
    }
    for run in runs:
        model, ending = run.evaluated, of_run(run, runs)
        cells[f"AP, %{ending}"] = [percent(v) for v in model.result.average_precision[rows]]
        cells[f"First match{ending}"] = [number(v) for v in model.result.first_match_rank[rows]]
        cells[f"Nearest{ending}"] = [_nearest(model, row) for row in rows]
    left = len(matched) - len(rows)
    note = f"{left:,} with a higher one are left out; `stgcn evaluate --per-query` lists all."
    caption = f"Query by query under {first.protocol.name}, the lowest average precision first"
    return table(caption, pd.DataFrame(cells), sortable=True, note=note if left else "")


def _nearest(model: EvaluatedModel, row: int) -> str:
    """The first ranked item of a query's list."""
    ranked = model.ranked(row, 1)
    item = ranked[ranked["rank"] == 1]
    if item.empty:
        return "–"
    return MARKS[item["kind"].iloc[0]] + model.name(model.gallery.iloc[item["item"].iloc[0]])
