"""Sections on queries: ranked lists, activation maps, learned graphs, and where the model errs."""

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
    distance_histogram,
    strongest_edges,
    weight_by_time,
)
from stgcn_pyg.explain.output import EDGES, draw_list, draw_mean_graphs, scores_by_group
from stgcn_pyg.explain.ranked_lists import Rule
from stgcn_pyg.figures import (
    draw_activation_maps,
    draw_distances,
    draw_edges,
    draw_temporal_graph,
    to_page_svg,
)
from stgcn_pyg.progress import bar_options
from stgcn_pyg.report.elements import (
    details,
    figure,
    grid,
    heading,
    number,
    paragraph,
    percent,
    table,
)
from stgcn_pyg.report.reported import ReportedRun
from stgcn_pyg.report.run_files import Section

# Bytes that the figures of a section may take. All of them, and the text, stay below 15 MB.
ROOM: dict[Section, int] = {"lists": 6_000_000, "maps": 4_000_000, "graphs": 2_500_000}
FULL = "not all figures are shown, so that the page stays below 15 MB"
ROWS = 100  # of a table, at most
RULES: dict[Rule, str] = {
    "change": "Largest change",
    "worst": "Worst",
    "best": "Best",
    "random": "Random",
}
TITLES = {"lists": "ranked lists", "maps": "activation maps", "graphs": "learned graphs"}
MARKS = {"right": "✓ ", "wrong": "✗ "}
LEFT_OUT = {"same-camera": "left out: in the query's camera", "junk": "left out: junk"}

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


class ShownQuery(NamedTuple):
    """A query on the page: the rule by which it is shown, its row, and its tracklet's number."""

    rule: Rule
    row: int
    number: int


def shown_queries(models: Sequence[EvaluatedModel], count: int, seed: int) -> list[ShownQuery]:
    """The queries of each rule, each query once.

    Args:
        models: Models on the same queries; the first one's scores decide, and ``"change"`` is
            between the first and the one that differs most.
        count: The largest number of queries of each rule.
        seed: Random seed of the random ones.
    """
    first, *others = [model.result.average_precision for model in models]
    shown: dict[int, ShownQuery] = {}
    for rule in RULES:
        if rule == "change" and not others:
            continue
        farthest = None
        if rule == "change":
            stack = np.stack(others)
            gaps = np.where(np.isnan(stack), -1, np.abs(stack - first))
            farthest = stack[np.argmax(gaps, axis=0), np.arange(len(first))]
        # More than asked for, since some may be there by another rule.
        rows = choose_queries(first, rule, count + len(shown), farthest, seed).tolist()
        if rule == "random":
            np.random.default_rng(seed).shuffle(rows)
        for row in [row for row in rows if row not in shown][:count]:
            shown[row] = ShownQuery(rule, row, int(models[0].queries.index[row]))
    return list(shown.values())


class Sections:
    """Draws the sections of some runs of one test set.

    Args:
        runs: Runs with a model; at least one.
        queries: The queries to show.
    """

    def __init__(self, runs: Sequence[ReportedRun], queries: Sequence[ShownQuery]):
        self.runs = runs
        self.queries = queries
        self.several = len(runs) > 1
        self.models: dict[ReportedRun, EvaluatedModel] = {
            run: run.model for run in runs if run.model is not None
        }
        self.explained: dict[ReportedRun, ExplainedTracklets] = {}
        for run, model in self.models.items():
            try:
                rows = [query.row for query in queries]
                self.explained[run] = model.explain(rows, title=f"explaining {run.label}")
            except UserError as error:  # an image is bad, and no other can stand in for it
                run.gaps.add(last_line(error), "maps", "graphs")

    def lists(self, top: int) -> list[Markup]:
        """The ranked list of each query in each run, with so many ranked items."""
        rule = self.models[self.runs[0]].protocol.name
        blocks = [
            paragraph(
                f"The gallery as a query sees it under {rule}, the nearest first; each tracklet by "
                "two of its frames, with its distance. ✓ and a solid border: the same identity. "
                "✗ and a dashed border: another identity. What the protocol leaves out stands "
                "where it would have come, without a rank."
            )
        ]

        def draw(run: ReportedRun, place: int) -> tuple[Figure, str, Markup]:
            model, query = self.models[run], self.queries[place]
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
            caption = f"The list of tracklet {query.number}, {run.label}"
            words = ", ".join(cells["Rank"] + " " + cells["Mark"])
            more = table(caption, cells, opens="As a table")
            return drawn, f"{model.score(query.row)}. {words}", more

        return blocks + self._each("lists", draw)

    def maps(self) -> list[Markup]:
        """The activation maps of each query in each run."""
        blocks = [
            paragraph(
                "Grad-CAM of a query's first clip towards its nearest match, for the whole "
                "embedding and for each branch: the brighter, the more a place brings the two "
                "nearer. A row has one scale of its own, so rows are not comparable."
            )
        ]

        def draw(run: ReportedRun, place: int) -> tuple[Figure, str, str]:
            model, row, found = self.models[run], self.queries[place].row, self.explained[run]
            maps = {name: array[place] for name, array in found.maps.items()}
            frames = model.clip(row, found.frames[place])
            match = model.gallery.iloc[model.nearest_match(row)]
            words = f"Towards tracklet {match.name} ({model.name(match)})"
            peaks = " ".join(_peak(name, cam) for name, cam in maps.items())
            return draw_activation_maps(frames, maps, size=0.6), f"{words}. {peaks}", ""

        return blocks + self._each("maps", draw)

    def graphs(self) -> list[Markup]:
        """The graphs on average, and the temporal graph of each query in each run."""
        having = [run for run in self.explained if self.explained[run].graphs]
        if not having:
            return [paragraph("The model has no branch with a graph.")] if self.explained else []
        blocks = [
            paragraph(
                "Which patch gathers how much from which, in the clips above: first on average "
                "over them, then the strongest edges between the frames of each. An arrow leads "
                "to the stripe that gathers; its colour is the stripe that it comes from."
            )
        ]
        for run in having:
            found = self.explained[run]
            drawn, more = draw_mean_graphs(found), Markup("")
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
            title = "Mean weights" + f", {run.label}" * self.several
            assert drawn is not None
            svg = to_page_svg(drawn, f"means-{run.number}")
            blocks.append(figure(svg, "Bars and tables of mean weights", title, more))

        def draw(run: ReportedRun, place: int) -> tuple[Figure, str, Markup] | None:
            weights = self.explained[run].graphs.get("temporal")
            if weights is None:
                return None
            query, weights = self.queries[place], weights[place]
            frames = self.models[run].clip(query.row, self.explained[run].frames[place])
            patches = len(weights) // len(frames)
            edges = strongest_edges(weights, patches, EDGES)
            cells = (edges.drop(columns="weight") + 1).iloc[:, [2, 3, 0, 1]]
            cells.columns = ["Into frame", "Into stripe", "From frame", "From stripe"]
            cells.insert(0, "#", range(1, len(cells) + 1))
            cells["Weight"] = [number(weight, 4) for weight in edges["weight"]]
            caption = f"The strongest edges between frames of tracklet {query.number}"
            name = f"weights-{run.number}-{query.number}"
            svg = to_page_svg(draw_temporal_graph(frames, weights), name)
            words = f"Heat map of the weights between all {len(weights)} patches"
            more = table(caption, cells, opens="Strongest edges")
            more += details("All weights", figure(svg, words))
            return draw_edges(frames, edges, patches), _strongest(edges), more

        return blocks + self._each("graphs", draw)

    def errors(self) -> list[Markup]:
        """Distances of matching and other pairs, and the scores of groups and of single queries."""
        tables: dict[str, list[pd.DataFrame]] = {}
        for model in self.models.values():
            try:
                found = scores_by_group(model)
            except UserError as error:
                self.runs[0].gaps.add(last_line(error), "errors")
                return []
            for name, frame in found.items():
                tables.setdefault(name, []).append(frame)
        groups = [self._groups(*GROUPS[name], frames) for name, frames in tables.items()]
        return [
            grid([self._distances(run) for run in self.runs]),
            Markup('<div class="tables">{}</div>\n').format(Markup("").join(groups)),
            self._by_query(),
        ]

    def _each(
        self,
        section: Section,
        draw: Callable[[ReportedRun, int], tuple[Figure, str, Markup | str] | None],
    ) -> list[Markup]:
        """The figures of each query in each run below its title, as long as there is room."""
        articles, room, before, width = Markup(""), ROOM[section], None, 0.0
        runs = [run for run in self.runs if section == "lists" or run in self.explained]
        for place, query in enumerate(
            tqdm(self.queries, desc=TITLES[section], unit="query", **bar_options())
        ):
            figures = Markup("")
            for run in runs:
                try:
                    found = draw(run, place)
                except UserError as error:  # an image is bad, and no other can stand in for it
                    run.gaps.add(last_line(error), section)
                    continue
                if found is None:
                    continue
                drawn, words, more = found
                width = max(width, drawn.get_figwidth())
                svg = to_page_svg(drawn, f"{section}-{run.number}-{query.number}")
                room -= len(svg) + len(more)
                if room < 0:
                    self.runs[0].gaps.add(FULL, section)
                    break
                label = f"{run.label}: " * self.several
                figures += figure(svg, label + words, label + words.split(". ")[0], more)
            if figures:
                title = self._title(section, query, before)
                articles += Markup("<article>\n{}{}</article>\n").format(title, figures)
                before = query.rule
            if room < 0:
                break
        form = '<div class="queries" style="--least: {}px">\n{}</div>\n'
        return [Markup(form).format(round(96 * width), articles)]

    def _title(self, section: Section, query: ShownQuery, before: Rule | None) -> Markup:
        model = self.models[self.runs[0]]
        who = model.name(model.queries.iloc[query.row])
        if section != "lists":
            form = '<h3><a href="#list-{0}">Tracklet {0}</a>: {1} ({2})</h3>\n'
            return Markup(form).format(query.number, who, RULES[query.rule].lower())
        judged = self.several and query.rule != "change"
        title = RULES[query.rule] + (f", by {self.runs[0].label}" if judged else "")
        block = heading(3, title) if query.rule != before else Markup("")
        return block + Markup('<h4 id="list-{0}">Tracklet {0}: {1}</h4>\n').format(
            query.number, who
        )

    def _distances(self, run: ReportedRun) -> Markup:
        model = self.models[run]
        histogram = distance_histogram(
            model.task, model.protocol, model.query_features, model.gallery_features, bins=40
        )
        shares = {
            kind.capitalize(): 100 * histogram[kind] / max(histogram[kind].sum(), 1)
            for kind in ("matching", "other")
        }
        cells = pd.DataFrame(
            {end.capitalize(): [number(v, 3) for v in histogram[end]] for end in ("from", "to")}
            | {kind: [number(v, 1) for v in share] for kind, share in shares.items()}
        )
        of_run = f", {run.label}" * self.several
        caption = f"Pairs of query and gallery by their distance{of_run}; % of the pairs of a kind"
        svg = to_page_svg(draw_distances(histogram, " "), f"distances-{run.number}")
        title = f"Distances of query and gallery{of_run}"
        words = f"Histogram of the distances of matching and of other pairs{of_run}"
        return figure(svg, words, title, table(caption, cells, opens="Figures"))

    def _groups(
        self,
        caption: str,
        titles: tuple[str, str],
        form: tuple[int, int],
        frames: Sequence[pd.DataFrame],
    ) -> Markup:
        """Groups of queries in rows, mAP and rank-1 of each run in columns."""
        first, (digits, factor) = frames[0].iloc[:ROWS], form
        cells = {
            title: [number(factor * value, digits) for value in first.iloc[:, i]]
            for i, title in enumerate(titles)
        }
        cells["Queries"] = [number(n) for n in first["queries"]]
        for run, frame in zip(self.runs, frames, strict=True):
            of_run = f", {run.label}" * self.several
            cells[f"mAP{of_run}"] = [percent(v) for v in frame["mAP"].iloc[:ROWS]]
            cells[f"Rank-1{of_run}"] = [percent(v) for v in frame["rank_1"].iloc[:ROWS]]
        left = len(frames[0]) - len(first)
        note = f"{left:,} more are left out." if left else ""
        return table(f"{caption}; in per cent", pd.DataFrame(cells), sortable=True, note=note)

    def _by_query(self) -> Markup:
        """The queries with the lowest average precision in the first run."""
        first = self.models[self.runs[0]]
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
        for run, model in self.models.items():
            of_run, result = f", {run.label}" * self.several, model.result
            cells[f"AP, %{of_run}"] = [percent(v) for v in result.average_precision[rows]]
            cells[f"First match{of_run}"] = [number(v) for v in result.first_match_rank[rows]]
            cells[f"Nearest{of_run}"] = [_nearest(model, row) for row in rows]
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
