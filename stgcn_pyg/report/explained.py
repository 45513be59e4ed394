"""Activation maps and learned graphs of the queries that the page shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError, last_line
from stgcn_pyg.explain import (
    ExplainedTracklets,
    explain_tracklets,
    strongest_edges,
    towards_tracklets,
    weight_by_stripe,
    weight_by_time,
)
from stgcn_pyg.report.charts import CHANCE_STYLE, LineChart, Series, line_chart
from stgcn_pyg.report.edges import EdgeDrawing, draw_edges
from stgcn_pyg.report.pictures import Album, heat_map, overlaid, strip
from stgcn_pyg.report.queries import ShownQuery, who
from stgcn_pyg.report.reported import ReportedRun
from stgcn_pyg.report.tables import Table, label, number

EDGES = 12  # that are drawn of a graph


@dataclass(frozen=True, eq=False)
class ExplainedRun:
    """What was found of the shown queries in one run, and the frames that it was found in."""

    run: ReportedRun
    found: ExplainedTracklets
    frames: Sequence[np.ndarray]
    matches: Sequence[pd.Series]


@dataclass(frozen=True)
class MapRow:
    """A row of a clip's maps: its name, picture as a data URI, and the picture in words."""

    name: str
    picture: str | None
    alternative: str


@dataclass(frozen=True)
class QueryMaps:
    """The maps of a query in one run."""

    query: ShownQuery
    label: str
    towards: str
    num_frames: int
    rows: Sequence[MapRow]


@dataclass(frozen=True)
class QueryGraph:
    """The temporal graph of a query in one run: its strongest edges, and all its weights."""

    query: ShownQuery
    label: str
    edges: EdgeDrawing
    table: Table
    weights: str | None
    num_nodes: int


@dataclass(frozen=True)
class MeanGraph:
    """A run's graphs on average: weights by time, and by stripe in each kind of graph."""

    label: str
    by_time: LineChart | None
    by_stripe: Sequence[tuple[Table, np.ndarray]]


def explain_queries(
    runs: Sequence[ReportedRun], queries: Sequence[ShownQuery]
) -> list[ExplainedRun]:
    """Computes maps and graphs in batches, and reads the frames that they lie over.

    Args:
        runs: Those with a subject.
        queries: At least one.
    """
    explained = []
    for run in runs:
        try:
            explained.append(_explain(run, queries))
        except UserError as error:  # a picture is bad, and no other can stand in for it
            run.gaps.add("maps", last_line(error))
            run.gaps.add("graphs", last_line(error))
    return explained


def _explain(run: ReportedRun, queries: Sequence[ShownQuery]) -> ExplainedRun:
    subject = run.subject
    assert subject is not None
    rows = [query.row for query in queries]
    nearest = [subject.nearest_match(row) for row in rows]
    towards = subject.gallery_features[nearest]
    chosen = subject.queries.iloc[rows]
    found = explain_tracklets(
        subject.model,
        subject.data,
        chosen,
        lambda places: towards_tracklets(subject.model, towards[places]),
        subject.device,
        f"explaining {run.label}",
    )
    frames = [
        subject.read(tracklet, own - int(tracklet["first_frame"]))
        for (_, tracklet), own in zip(chosen.iterrows(), found.frames, strict=True)
    ]
    return ExplainedRun(run, found, frames, [subject.gallery.iloc[row] for row in nearest])


def query_maps(
    explained: Sequence[ExplainedRun], queries: Sequence[ShownQuery], album: Album
) -> list[QueryMaps]:
    """The maps of each query in each run, until the album is full."""
    shown: list[QueryMaps] = []
    for place, query in enumerate(queries):
        for one in explained:
            if album.full:
                return shown
            match, frames = one.matches[place], one.frames[place]
            picture = album.add(strip(frames))
            rows = [MapRow("frames", picture, f"The {len(frames)} frames of the clip")]
            for name, maps in one.found.maps.items():
                picture = album.add(strip(overlaid(frames, maps[place])))
                rows.append(MapRow(name, picture, _peak(name, maps[place])))
            towards = f"tracklet {match.name} ({who(match)})"
            shown.append(QueryMaps(query, one.run.label, towards, len(frames), rows))
    return shown


def query_graphs(
    explained: Sequence[ExplainedRun], queries: Sequence[ShownQuery], album: Album
) -> list[QueryGraph]:
    """The temporal graph of each query in each run that has one, until the album is full."""
    shown: list[QueryGraph] = []
    for place, query in enumerate(queries):
        for one in explained:
            if "temporal" not in one.found.graphs:
                continue
            if album.full:
                return shown
            weights, frames = one.found.graphs["temporal"][place], one.frames[place]
            patches = len(weights) // len(frames)
            edges = strongest_edges(weights, patches, EDGES)
            drawing = draw_edges(album.add(strip(frames)), edges, frames.shape[:3], patches)
            picture = album.add(heat_map(weights, cell=max(4, 160 // len(weights))))
            shown.append(
                QueryGraph(
                    query, one.run.label, drawing, _edge_table(query, edges), picture, len(weights)
                )
            )
    return shown


def mean_graphs(explained: Sequence[ExplainedRun]) -> list[MeanGraph]:
    """The graphs of each run that has any, on average over the shown queries."""
    return [
        MeanGraph(one.run.label, _by_time(one), _by_stripe(one))
        for one in explained
        if one.found.graphs
    ]


def _by_time(one: ExplainedRun) -> LineChart | None:
    num_frames = one.found.frames.shape[1]
    if "temporal" not in one.found.graphs or num_frames < 2:
        return None
    table = weight_by_time(one.found.graphs["temporal"], num_frames)
    shown = Table(
        "Mean weight between patches by the frames between them",
        ("Frames between", "Mean weight", "By that of equal affinities"),
        [
            [label(distance), number(row["weight"], 4), number(row["ratio"], 3)]
            for distance, row in table.iterrows()
        ],
        sortable=False,
    )
    equal = Series("equal affinities", [0, num_frames - 1], [1, 1], CHANCE_STYLE)
    own = Series("learned", table.index.tolist(), table["ratio"].tolist(), one.run.style)
    return line_chart(
        f"time-{one.run.number}",
        f"Temporal graph by time, {one.run.label}",
        "frames between two patches",
        "mean weight / that of equal affinities",
        [own, equal],
        table=shown,
    )


def _by_stripe(one: ExplainedRun) -> list[tuple[Table, np.ndarray]]:
    num_frames, shown = one.found.frames.shape[1], []
    for name, weights in one.found.graphs.items():
        nodes = weights.shape[-1]
        patches = nodes // num_frames if name == "temporal" else nodes
        means = weight_by_stripe(weights.reshape(-1, nodes, nodes), patches).to_numpy()
        table = Table(
            f"{name.capitalize()} graph, {one.run.label}: mean weight by which the stripe of the "
            "row gathers from that of the column; 1 is the top",
            ("Stripe", *(str(stripe + 1) for stripe in range(patches))),
            [
                [label(stripe + 1), *(number(value, 4) for value in row)]
                for stripe, row in enumerate(means)
            ],
            sortable=False,
        )
        shown.append((table, np.nan_to_num(means / max(np.nanmax(means, initial=0), 1e-12))))
    return shown


def _edge_table(query: ShownQuery, edges: pd.DataFrame) -> Table:
    return Table(
        f"The strongest edges between frames of tracklet {query.tracklet.name}",
        ("#", "Into frame", "Into stripe", "From frame", "From stripe", "Weight"),
        [
            [
                label(place),
                label(edge.into_frame + 1),
                label(edge.into_patch + 1),
                label(edge.from_frame + 1),
                label(edge.from_patch + 1),
                number(float(edge.weight), 4),
            ]
            for place, edge in enumerate(edges.itertuples(), start=1)
        ],
        sortable=False,
    )


def _peak(name: str, maps: np.ndarray) -> str:
    """A map in words: where it is highest."""
    if not maps.max() > 0:
        return f"Map of {name}: zero everywhere"
    frame, row, column = np.unravel_index(int(maps.argmax()), maps.shape)
    down = 100 * (row + 0.5) / maps.shape[1]
    across = 100 * (column + 0.5) / maps.shape[2]
    return (
        f"Map of {name}: highest in frame {frame + 1}, {down:.0f} % down and {across:.0f} % across"
    )
