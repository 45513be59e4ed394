"""Where the models err: by camera pair, length, share hidden, and query by query."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError, last_line
from stgcn_pyg.explain import RenderedTruth, has_truth, mean_hidden
from stgcn_pyg.explain.embedding_space import (
    distance_histogram,
    scores_by_camera_pair,
    scores_by_quartile,
)
from stgcn_pyg.explain.subject import Subject
from stgcn_pyg.report.charts import LineChart, line_chart, steps
from stgcn_pyg.report.lists import MARKS
from stgcn_pyg.report.queries import who
from stgcn_pyg.report.reported import ReportedRun
from stgcn_pyg.report.tables import Cell, Table, label, number, percent, words

ROWS = 100  # of a table, at most


@dataclass(frozen=True)
class ErrorTables:
    """What groups of queries score, and what each query does."""

    by_group: Sequence[Table]
    by_query: Table


def error_tables(runs: Sequence[ReportedRun]) -> ErrorTables:
    """All tables, with the runs in columns.

    Args:
        runs: Those with a subject, of the same test set.
    """
    subjects = [run.subject for run in runs if run.subject is not None]
    queries = subjects[0].queries
    pairs = [
        scores_by_camera_pair(s.task, s.protocol, s.query_features, s.gallery_features)
        for s in subjects
    ]
    lengths = queries["num_frames"].to_numpy()
    tables = [
        _grouped(
            "By pair of cameras: only the other camera's gallery is searched",
            ["query_camid", "gallery_camid"],
            ["Query's camera", "Gallery's camera"],
            runs,
            pairs,
        ),
        _by_quartile("By length: quarters of the queries by frames", runs, lengths, 0),
    ]
    dataset = subjects[0].data.dataset
    if has_truth(dataset.root):
        try:
            hidden = mean_hidden(RenderedTruth(dataset.root), queries, dataset.frames)
            title = "By the share of the body that is hidden: quarters of the queries"
            tables.append(_by_quartile(title, runs, 100 * hidden, 1))
        except UserError as error:
            runs[0].gaps.add("errors", last_line(error))
    return ErrorTables(tables, _by_query(runs))


def distance_chart(run: ReportedRun) -> LineChart:
    """How far matching pairs and others lie apart."""
    subject = run.subject
    assert subject is not None
    histogram = distance_histogram(
        subject.task, subject.protocol, subject.query_features, subject.gallery_features, bins=40
    )
    edges = [*histogram["from"], histogram["to"].iloc[-1]]
    shares = {
        kind: 100 * histogram[kind] / max(histogram[kind].sum(), 1)
        for kind in ("matching", "other")
    }
    table = Table(
        f"Pairs of query and gallery by their distance, {run.label}; % of the pairs of a kind",
        ("From", "To", "Matching", "Other"),
        [
            [number(row["from"], 3), number(row["to"], 3), number(m, 1), number(o, 1)]
            for (_, row), m, o in zip(
                histogram.iterrows(), shares["matching"], shares["other"], strict=True
            )
        ],
        sortable=False,
    )
    return line_chart(
        f"distances-{run.number}",
        f"Distances of query and gallery, {run.label}",
        "distance",
        "% of the pairs of a kind",
        [
            steps(f"{kind} pairs", edges, share, place)
            for place, (kind, share) in enumerate(shares.items())
        ],
        (0, None),
        table=table,
    )


def _grouped(
    caption: str,
    keys: list[str],
    titles: list[str],
    runs: Sequence[ReportedRun],
    tables: Sequence[pd.DataFrame],
    digits: int = 0,
) -> Table:
    """Groups of queries in rows, mAP and rank-1 of each run in columns."""
    first = tables[0].iloc[:ROWS]
    columns = [*titles, "Queries"]
    for run in runs:
        of = f", {run.label}" if len(runs) > 1 else ""
        columns += [f"mAP{of}", f"Rank-1{of}"]
    rows = []
    for place in range(len(first)):
        group = first.iloc[place]
        cells = [number(float(group[key]), digits) for key in keys]
        cells.append(number(int(group["queries"])))
        for table in tables:
            cells += [percent(table.iloc[place]["mAP"]), percent(table.iloc[place]["rank_1"])]
        rows.append(cells)
    left = len(tables[0]) - len(first)
    note = f"{left:,} more are left out." if left else ""
    return Table(f"{caption}; in per cent", columns, rows, note=note)


def _by_quartile(
    caption: str, runs: Sequence[ReportedRun], values: np.ndarray, digits: int
) -> Table:
    tables = [
        scores_by_quartile(run.subject.result, values) for run in runs if run.subject is not None
    ]
    return _grouped(caption, ["from", "to"], ["From", "To"], runs, tables, digits)


def _by_query(runs: Sequence[ReportedRun]) -> Table:
    """The queries with the lowest average precision in the first run."""
    subjects = [run.subject for run in runs if run.subject is not None]
    first = subjects[0]
    scores = first.result.average_precision
    matched = np.flatnonzero(~np.isnan(scores))
    rows = matched[np.argsort(scores[matched], kind="stable")][:ROWS]
    counts = first.task.count_matches(first.protocol.name)
    columns = ["Tracklet", "Person", "Camera", "Frames", "Matches"]
    for run in runs:
        of = f", {run.label}" if len(runs) > 1 else ""
        columns += [f"AP, %{of}", f"First match{of}", f"Nearest{of}"]
    cells = []
    for row in rows:
        query = first.queries.iloc[row]
        own = [
            label(first.queries.index[row]),
            label(int(query["pid"])),
            label(int(query["camid"])),
            number(int(query["num_frames"])),
            number(int(counts[row])),
        ]
        for subject in subjects:
            ap = subject.result.average_precision[row]
            rank = subject.result.first_match_rank[row]
            own += [percent(ap), number(rank), _nearest(subject, row)]
        cells.append(own)
    left = len(matched) - len(rows)
    caption = f"Query by query under {first.protocol.name}, the lowest average precision first"
    note = f"{left:,} with a higher one are left out; `stgcn evaluate --per-query` lists all."
    return Table(caption, columns, cells, note=note if left else "")


def _nearest(subject: Subject, row: int) -> Cell:
    """Who is first in a query's list."""
    ranked = subject.ranked(row, 1)
    item = ranked[ranked["rank"] == 1]
    if item.empty:
        return words("–")
    nearest = subject.gallery.iloc[item["item"].iloc[0]]
    return words(f"{MARKS[item['kind'].iloc[0]]} {who(nearest, subject.task)}")
