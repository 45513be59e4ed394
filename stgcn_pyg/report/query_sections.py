"""Sections on single queries: ranked lists, activation maps and learned graphs."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure
from tqdm import tqdm

from stgcn_pyg.errors import UserError, last_line
from stgcn_pyg.explain import (
    EvaluatedModel,
    ExplainedTracklets,
    choose_queries,
    strongest_edges,
    weight_by_time,
)
from stgcn_pyg.explain.output import EDGES, draw_list, draw_mean_graphs
from stgcn_pyg.explain.ranked_lists import Rule
from stgcn_pyg.figures import (
    draw_activation_maps,
    draw_edges,
    draw_temporal_graph,
    to_page_svg,
)
from stgcn_pyg.progress import bar_options
from stgcn_pyg.report.elements import html, number, table
from stgcn_pyg.report.reported import ReportedRun, Section, of_run

# Bytes that the figures of a section may take. All of them, and the text, stay below 15 MB.
MOST_BYTES: dict[Section, int] = {"lists": 6_000_000, "maps": 4_000_000, "graphs": 2_500_000}
FULL = "not all figures are shown, so that the page stays below 15 MB"
RULES: dict[Rule, str] = {
    "change": "Largest change",
    "worst": "Worst",
    "best": "Best",
    "random": "Random",
}
LEFT_OUT = {"same-camera": "left out: in the query's camera", "junk": "left out: junk"}
LISTS = (
    "The ranked list of a query under {protocol}, the nearest tracklet first; each is shown by two "
    "of its frames, with its distance. ✓ and a solid border: the same identity. ✗ and a dashed "
    "border: another identity. Tracklets that the protocol leaves out are shown at their distance, "
    "without a rank."
)
MAPS = (
    "Grad-CAM of a query's first clip towards its nearest match, for the whole embedding and for "
    "each branch: the brighter a place, the more it brings the two nearer. Each row has its own "
    "scale, so rows are not comparable."
)
GRAPHS = (
    "Which patch gathers how much from which, in the clips above: first on average over them, then "
    "the strongest edges between the frames of each. An arrow leads to the stripe that gathers, in "
    "the colour of the stripe that it comes from."
)


class ShownQuery(NamedTuple):
    """A query on the page: the rule by which it is shown, its row, and its tracklet's number."""

    rule: Rule
    row: int
    number: int


def shown_queries(models: Sequence[EvaluatedModel], count: int, seed: int) -> list[ShownQuery]:
    """At most ``count`` queries by each rule, each query once.

    The scores of the first model decide; ``"change"`` is between it and the one that differs most.
    """
    first, *others = [model.result.average_precision for model in models]
    farthest = None
    if others:
        stack = np.stack(others)
        changes = np.where(np.isnan(stack), -1, np.abs(stack - first))
        farthest = stack[np.argmax(changes, axis=0), np.arange(len(first))]
    shown: dict[int, ShownQuery] = {}
    for rule in RULES:
        if rule == "change" and farthest is None:
            continue
        # More than asked for, since other rules may have taken some.
        rows = choose_queries(first, rule, count + len(shown), farthest, seed).tolist()
        if rule == "random":
            np.random.default_rng(seed).shuffle(rows)
        for row in [row for row in rows if row not in shown][:count]:
            shown[row] = ShownQuery(rule, row, int(models[0].queries.index[row]))
    return list(shown.values())


class QuerySections:
    """Draws the sections on queries for runs of one test set, all of which have a model."""

    def __init__(self, runs: Sequence[ReportedRun], queries: Sequence[ShownQuery]):
        self.runs = runs
        self.queries = queries
        self.explained: dict[ReportedRun, ExplainedTracklets] = {}
        rows = [query.row for query in queries]
        for run in runs:
            try:
                self.explained[run] = run.evaluated.explain(rows, title=f"explaining {run.label}")
            except UserError as error:  # an image is bad, and its tracklet has no good one
                run.gaps.add(last_line(error), "maps", "graphs")

    def lists(self, top: int) -> list[Markup]:
        """The ranked list of each query in each run."""
        blocks = [html.paragraph(LISTS.format(protocol=self.runs[0].evaluated.protocol.name))]
        return blocks + self._each(
            "lists", "ranked lists", lambda run, place: self._list(run, place, top)
        )

    def maps(self) -> list[Markup]:
        """The activation maps of each query in each run."""
        return [html.paragraph(MAPS), *self._each("maps", "activation maps", self._maps)]

    def graphs(self) -> list[Markup]:
        """The mean graphs of each run, and the temporal graph of each query in each run."""
        having = [run for run, found in self.explained.items() if found.graphs]
        if not having:
            none = html.paragraph("The model has no branch with a graph.")
            return [none] if self.explained else []
        means = [self._mean_graphs(run) for run in having]
        return [
            html.paragraph(GRAPHS),
            *means,
            *self._each("graphs", "learned graphs", self._graph),
        ]

    def _each(
        self,
        section: Section,
        title: str,
        draw: Callable[[ReportedRun, int], tuple[Figure, str, Markup] | None],
    ) -> list[Markup]:
        """The figures of each query in each run below its title, as many as fit on the page.

        ``draw`` gives the figure of a run and the place of a query, the figure in words, and what
        stands below it.
        """
        articles, bytes_left, before, width = [], MOST_BYTES[section], None, 0.0
        runs = [run for run in self.runs if section == "lists" or run in self.explained]
        for place, query in enumerate(
            tqdm(self.queries, desc=title, unit="query", **bar_options())
        ):
            figures = []
            for run in runs:
                try:
                    found = draw(run, place)
                except UserError as error:  # an image is bad, and its tracklet has no good one
                    run.gaps.add(last_line(error), section)
                    continue
                if found is None:
                    continue
                drawn, words, more = found
                width = max(width, drawn.get_figwidth())
                svg = to_page_svg(drawn, f"{section}-{run.number}-{query.number}")
                bytes_left -= len(svg) + len(more)
                if bytes_left < 0:
                    self.runs[0].gaps.add(FULL, section)
                    break
                label = f"{run.label}: " if len(self.runs) > 1 else ""
                caption = label + words.split(". ")[0]
                figures.append(html.figure(svg, label + words, caption, more))
            if figures:
                articles.append((self._title(section, query, before), figures))
                before = query.rule
            if bytes_left < 0:
                break
        return [html.queries(articles, round(96 * width))]

    def _title(self, section: Section, query: ShownQuery, before: Rule | None) -> Markup:
        model = self.runs[0].evaluated
        who, rule = model.name(model.queries.iloc[query.row]), RULES[query.rule]
        if section != "lists":
            return html.link_to_list(query.number, who, rule.lower())
        title = html.heading(4, f"Tracklet {query.number}: {who}", f"list-{query.number}")
        if query.rule == before:
            return title
        if len(self.runs) > 1 and query.rule != "change":
            rule += f", by {self.runs[0].label}"
        return html.heading(3, rule) + title

    def _list(self, run: ReportedRun, place: int, top: int) -> tuple[Figure, str, Markup]:
        model, query = run.evaluated, self.queries[place]
        drawn, ranked = draw_list(model, query.row, top, size=0.62)
        items = model.gallery.iloc[ranked["item"]]
        cells = pd.DataFrame(
            {
                "Rank": ["–" if pd.isna(rank) else str(rank) for rank in ranked["rank"]],
                "Mark": [LEFT_OUT.get(kind, kind) for kind in ranked["kind"]],
                "Tracklet": items.index,
                "Identity": items["pid"].to_numpy(),
                "Camera": items["camid"].to_numpy(),
                "Distance": [number(distance, 3) for distance in ranked["distance"]],
                "First frame": items["first_frame_path"].to_numpy(),
            }
        )
        words = f"{model.score(query.row)}. " + ", ".join(cells["Rank"] + " " + cells["Mark"])
        caption = f"The list of tracklet {query.number}, {run.label}"
        return drawn, words, table(caption, cells, opens="As a table")

    def _maps(self, run: ReportedRun, place: int) -> tuple[Figure, str, Markup]:
        model, row, found = run.evaluated, self.queries[place].row, self.explained[run]
        maps = {name: array[place] for name, array in found.maps.items()}
        match = model.gallery.iloc[model.nearest_match(row)]
        words = f"Towards tracklet {match.name} ({model.name(match)}). "
        words += " ".join(_peak(name, cam) for name, cam in maps.items())
        frames = model.clip(row, found.frames[place])
        return draw_activation_maps(frames, maps, size=0.6), words, Markup("")

    def _mean_graphs(self, run: ReportedRun) -> Markup:
        found, more = self.explained[run], Markup("")
        drawn = draw_mean_graphs(found)
        assert drawn is not None
        if "temporal" in found.graphs:
            means = weight_by_time(found.graphs["temporal"], found.frames.shape[1])
            cells = pd.DataFrame(
                {
                    "Frames between": means.index,
                    "Mean weight": [number(weight, 4) for weight in means["weight"]],
                    "By that of equal affinities": [number(r, 3) for r in means["ratio"]],
                }
            )
            caption = "Mean weight between patches by the frames between them"
            more = table(caption, cells, opens="Figures")
        svg = to_page_svg(drawn, f"means-{run.number}")
        title = f"Mean weights{of_run(run, self.runs)}"
        return html.figure(svg, "Bars and tables of mean weights", title, more)

    def _graph(self, run: ReportedRun, place: int) -> tuple[Figure, str, Markup] | None:
        found, query = self.explained[run], self.queries[place]
        if "temporal" not in found.graphs:
            return None
        weights = found.graphs["temporal"][place]
        frames = run.evaluated.clip(query.row, found.frames[place])
        patches = len(weights) // len(frames)
        edges = strongest_edges(weights, patches, EDGES)
        cells = (edges.drop(columns="weight") + 1).iloc[:, [2, 3, 0, 1]]
        cells.columns = ["Into frame", "Into stripe", "From frame", "From stripe"]
        cells.insert(0, "#", range(1, len(cells) + 1))
        cells["Weight"] = [number(weight, 4) for weight in edges["weight"]]
        caption = f"The strongest edges between frames of tracklet {query.number}"
        name = f"weights-{run.number}-{query.number}"
        svg = to_page_svg(draw_temporal_graph(frames, weights), name)
        heat_map = html.figure(svg, f"Heat map of the weights between all {len(weights)} patches")
        more = table(caption, cells, opens="Strongest edges")
        more += html.details("All weights", heat_map)
        return draw_edges(frames, edges, patches), _strongest(edges), more


def _strongest(edges: pd.DataFrame) -> str:
    """The strongest edges, in words."""
    if not len(edges):
        return "No edges between frames"
    first = edges.iloc[0] + 1
    return (
        f"The {len(edges)} strongest edges between frames. The strongest leads from stripe "
        f"{first['from_patch']:.0f} of frame {first['from_frame']:.0f} to stripe "
        f"{first['into_patch']:.0f} of frame {first['into_frame']:.0f}."
    )


def _peak(name: str, maps: np.ndarray) -> str:
    """Where a map is highest, in words."""
    if not maps.max() > 0:
        return f"Map of {name}: zero everywhere."
    frame, row, column = np.unravel_index(int(maps.argmax()), maps.shape)
    down, across = 100 * (row + 0.5) / maps.shape[1], 100 * (column + 0.5) / maps.shape[2]
    return (
        f"Map of {name}: highest in frame {frame + 1}, {down:.0f} % down and {across:.0f} % across."
    )
