"""Sections on the runs themselves: what was run, how it was trained, and what it scores."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from stgcn_pyg.evaluation import compare, protocol
from stgcn_pyg.evaluation.result import REPORTED_RANKS
from stgcn_pyg.figures import Line
from stgcn_pyg.figures.charts import REFERENCE
from stgcn_pyg.report.elements import (
    grid,
    heading,
    line_chart,
    number,
    paragraph,
    percent,
    table,
)
from stgcn_pyg.report.reported import TRAINED, ReportedRun, Scores
from stgcn_pyg.runs.about import in_words

EPOCHS = 200  # rows of a log's table, at most
STATISTICS = ("mAP", "mINP", *(f"rank-{k}" for k in REPORTED_RANKS))
HEADLINE = ("mAP", "rank-1", "rank-5", "rank-10")
CMC_TICKS = {k: str(k) for k in (1, 5, 10, 15, 20)}
TITLES = {
    "loss": "Loss",
    "accuracy": "Accuracy on the training identities",
    "validation_mAP": "mAP of the identities held out",
    "learning_rate": "Learning rate",
}


def run_section(runs: Sequence[ReportedRun]) -> list[Markup]:
    """Data, model, code and machine of each run, and every setting in tables."""
    blocks = []
    for run in runs:
        if len(runs) > 1:
            blocks.append(heading(3, run.label))
        row = Markup("<div><dt>{}</dt><dd>{}</dd></div>\n")
        rows = Markup("").join(row.format(*fact) for fact in facts(run).items())
        blocks.append(Markup('<dl class="facts">\n{}</dl>\n').format(rows))
    configs = {run.label: pd.json_normalize(c).iloc[0] for run in runs if (c := run.files.config)}
    latest = {
        run.label: pd.Series(environments[-1], dtype=object)
        for run in runs
        if (environments := run.files.environments)
    }
    blocks += _side_by_side("Every setting", "Setting", configs)
    return blocks + _side_by_side("Versions and machine", "What", latest)


def facts(run: ReportedRun) -> dict[str, str]:
    """What a reader wants to know first, by its name."""
    config = run.files.config or {}
    found = {"Folder": str(run.files.path)}
    if config:
        place = config.get("root", "an unknown place")
        found["Data"] = f"{config.get('dataset', 'unknown')} at {place}"
    if run.model is not None:
        dataset = run.model.data.dataset
        sizes = f"{len(dataset.query):,} queries, {len(dataset.gallery):,} in the gallery"
        if run.stored:
            identities = dataset.train["pid"].nunique()
            found["Tracklets"] = (
                f"{len(dataset.train):,} of {identities:,} identities to train on, {sizes}; "
                f"{len(dataset.frames):,} frames in all"
            )
        else:  # not the data set that the run was trained on
            found |= {"Tested on": f"{dataset.name} at {dataset.root}", "Tracklets": sizes}
    if run.about:
        found["Scores of"] = in_words(run.about)
    model, data = (
        part if isinstance(part := config.get(n), dict) else {} for n in ("model", "data")
    )
    if model:
        branches = " + ".join(map(str, model.get("branches") or ["no branches"]))
        found["Model"] = (
            f"{model.get('backbone')} from {model.get('weights') or 'random'} weights; {branches}; "
            f"clips of {model.get('num_frames')} frames"
        )
    if "height" in data:
        found["Images"] = f"{data['height']} x {data.get('width')} pixels"
    done, asked = run.files.epochs
    if asked is not None:
        count = f"{done:,} of {asked:,} epochs" if done else f"{asked:,} epochs"
        found["Training"] = f"{count}, seed {config.get('seed')}"
    return found | _environment(run.files.environments or [])


def _environment(environments: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    if not environments:
        return {}
    latest = environments[-1]
    code = f"stgcn-pyg {latest.get('stgcn-pyg')}, installed, so no commit"
    if latest.get("commit"):
        code = f"stgcn-pyg {latest.get('stgcn-pyg')}, commit {str(latest['commit'])[:12]}"
        code += ", with changes that are not committed" if latest.get("changed") else ""
    if len(environments) > 1:
        code += f"; begun with others ({len(environments)} in all)"
    return {"Code": code, "Machine": f"torch {latest.get('torch')} on {latest.get('device')}"}


def _side_by_side(caption: str, title: str, columns: Mapping[str, pd.Series]) -> list[Markup]:
    """A table of each run's values; where they differ a column says so."""
    if not columns:
        return []
    names = list(dict.fromkeys(name for column in columns.values() for name in column.index))
    several, rows = len(columns) > 1, []
    for name in names:
        values = [_shown(column.get(name, "–")) for column in columns.values()]
        differs = ["differs" if len(set(values)) > 1 else ""]
        rows.append([name, *values, *(differs if several else [])])
    titles = [title, *columns, "Differs"] if several else [title, "Value"]
    frame = pd.DataFrame(rows, columns=titles)
    return [table(caption, frame, sortable=True, opens=caption)]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "–" if value is None or value is pd.NA else str(value)


def training_section(runs: Sequence[ReportedRun]) -> list[Markup]:
    """A chart of each quantity with a line a run, and the logs; terms of the loss of one run."""
    logs = {run: run.files.log for run in runs if run.files.log is not None}
    names = dict.fromkeys(
        name for log in logs.values() for name in log if np.isfinite(log[name]).any()
    )
    terms = [name for name in names if name not in (*TITLES, "epoch", "step")]
    charts = []

    def draw(name: str, title: str, lines: Sequence[Line]) -> None:
        low = None if name == "learning_rate" else 0
        high = 1 if name in ("accuracy", "validation_mAP") else None
        label = f"training-{name}"
        charts.append(line_chart(label, title, "epoch", title, lines, y_limits=(low, high)))

    for name, title in TITLES.items():
        having = {run: log for run, log in logs.items() if name in names and name in log}
        if having:
            draw(
                name,
                title,
                [Line(r.label, g["epoch"], g[name], r.style) for r, g in having.items()],
            )
        if name == "loss" and len(runs) == 1 and terms:
            log = logs[runs[0]]
            lines = [
                Line(term.replace("_", " "), log["epoch"], log[term], i % REFERENCE)
                for i, term in enumerate(terms)
            ]
            draw("terms", "Terms of the loss", lines)
    return [grid(charts), *(_log(run, log) for run, log in logs.items())]


def _log(run: ReportedRun, log: pd.DataFrame) -> Markup:
    step = -(-len(log) // EPOCHS)
    rows = log.iloc[::-1].iloc[::step].iloc[::-1]  # the last epoch stays
    shown = rows.map(lambda value: f"{value:.6g}" if np.isfinite(value) else "–")
    shown.columns = [str(name).replace("_", " ") for name in log]
    note = "" if step == 1 else f"Every {step}th epoch of {len(log):,} is shown."
    return table(f"Log of {run.label}", shown, note=note, opens=f"Log of {run.label}")


def headline(runs: Sequence[ReportedRun], name: str) -> list[Markup]:
    """The main scores of each run under a protocol."""
    found = {run: run.scores(name)[TRAINED] for run in runs if TRAINED in run.scores(name)}
    blocks = []
    for run, scores in found.items():
        chance, items = run.chance_scores(name), Markup("")
        for statistic in (s for s in HEADLINE if s in scores.values):
            value, _, interval = _cell(scores, statistic).partition("\n")
            beside = "" if chance is None else f"chance {percent(chance.values[statistic])}"
            items += Markup(
                '<div><dt>{}</dt><dd><span class="value">{}<small> %</small></span>'
                '<span class="interval">{}</span><span class="chance">{}</span></dd></div>\n'
            ).format(statistic, value, interval, beside)
        title = paragraph(run.label) if len(runs) > 1 else ""
        form = '{0}<dl class="main-scores" aria-label="Main scores of {1}">\n{2}</dl>\n'
        blocks.append(Markup(form).format(title, run.label, items))
    note = '<p class="note">Under <a href="#protocol-{0}">{0}</a>, in per cent{1}.</p>\n'
    return [*blocks, Markup(note).format(name, _ends(found.values()))] if found else []


def _ends(scores: Iterable[Scores]) -> str:
    """What a caption says of intervals, where there are any."""
    known = any(one.interval is not None for one in scores)
    return ", with 95 % intervals over the test identities" if known else ""


def results_section(runs: Sequence[ReportedRun], names: Sequence[str]) -> list[Markup]:
    """The scores under each protocol, the paired differences of several runs, and the CMC."""
    if not names:
        return []
    blocks = [
        paragraph(
            "A score holds for its protocol alone. The intervals cover the choice of the test "
            "identities, not the seed of the training."
        )
    ]
    charts = []
    for name in names:
        rows = _rows(runs, name)
        caption = f"Scores under {name}, in per cent{_ends(rows.values())}"
        cells = [[title, *(_cell(s, each) for each in STATISTICS)] for title, s in rows.items()]
        title = Markup('<h3 id="protocol-{0}">{0}</h3>\n').format(name)
        blocks += [title, paragraph(f"{_description(name)} {_sizes(rows)}.")]
        blocks.append(table(caption, pd.DataFrame(cells, columns=["", *STATISTICS])))
        for other in runs[1:]:
            blocks += _difference(runs[0], other, name)
        charts += _cmc(runs, name)
    return [*blocks, heading(3, "Cumulative matching characteristic (CMC)"), grid(charts)]


def _rows(runs: Sequence[ReportedRun], name: str) -> dict[str, Scores]:
    """Chance and what the runs score, by the title of the row."""
    chances = [chance for run in runs if (chance := run.chance_scores(name)) is not None]
    rows = {"chance": chances[0]} if chances else {}
    if len(runs) == 1:
        return rows | {n: s for n, s in runs[0].scores(name).items() if n != "chance"}
    return rows | {run.label: s for run in runs if (s := run.scores(name).get(TRAINED))}


def _sizes(rows: Mapping[str, Scores]) -> str:
    values = next(iter(rows.values())).values
    text = f"{values['num_queries']:,} queries"
    if values.get("num_queries_without_match"):
        text += f", {values['num_queries_without_match']:,} of them without a match"
    if values.get("num_gallery") is not None:
        text += f"; {values['num_gallery']:,} in the gallery"
    return text


def _cmc(runs: Sequence[ReportedRun], name: str) -> list[Markup]:
    curves = {
        run.label if len(runs) > 1 else TRAINED: (run.style, scores.values["cmc"])
        for run in runs
        if (scores := run.scores(name).get(TRAINED))
    }
    chances = [chance for run in runs if (chance := run.chance_scores(name)) is not None]
    if chances:
        curves["chance"] = REFERENCE, chances[0].values["cmc"]
    if not curves:
        return []
    ranks = range(1, min(20, *(len(cmc) for _, cmc in curves.values())) + 1)
    figures = {"k": [str(k) for k in ranks]} | {
        title: [percent(cmc[k - 1]) for k in ranks] for title, (_, cmc) in curves.items()
    }
    lines = [
        Line(title, list(ranks), [100 * cmc[k - 1] for k in ranks], style)
        for title, (style, cmc) in curves.items()
    ]
    caption = f"CMC under {name}: queries with a match within the first k ranks, in per cent"
    return [
        line_chart(
            f"cmc-{name}",
            f"CMC, {name}",
            "rank k",
            "% of queries matched",
            lines,
            table(caption, pd.DataFrame(figures), opens="Figures"),
            y_limits=(0, 100),
            x_ticks={k: text for k, text in CMC_TICKS.items() if k in ranks},
        )
    ]


def _difference(first: ReportedRun, other: ReportedRun, name: str) -> list[Markup]:
    """A run beside the first one on the same queries: a table and a chart."""
    if first.model is None or name not in first.results or name not in other.results:
        return []
    pids = first.model.task.query_pids
    try:
        found = compare(first.results[name], other.results[name], pids, REPORTED_RANKS)
    except ValueError as error:  # such as for a single identity
        line = f"{other.files.path}: {name}: no paired difference ({error})"
        first.gaps.add(line, "results")
        return []
    title = f"{other.label} less {first.label} under {name}"
    caption = f"{title}, on the same queries. {found.caption()}."
    statistics = list(found.difference)
    ends = np.array([[100 * end[s] for s in statistics] for end in (found.low, found.high)])
    values = [100 * found.difference[s] for s in statistics]
    every = list(range(len(statistics)))
    chart = line_chart(
        f"difference-{name}-{other.number}",
        f"{title}, points of per cent",
        "statistic",
        "difference and 95 % interval",
        [
            Line("difference", every, values, other.style, ends, joined=False),
            Line("no difference", every, [0.0] * len(every), REFERENCE),
        ],
        x_ticks=dict(enumerate(statistics)),
    )
    cells = {"Statistic": statistics}
    for run, fractions in ((first, found.first), (other, found.second)):
        cells[run.label] = [percent(fractions[s]) for s in statistics]
    cells["Difference"] = [
        f"{value:+z.1f}\n[{low:+z.1f}, {high:+z.1f}]"
        for value, low, high in zip(values, *ends, strict=True)
    ]
    cells["p"] = [f"{found.p_value[s]:.4f}" for s in statistics]
    for title, counts in (
        ("Better", found.better),
        ("Worse", found.worse),
        ("Equal", found.equal),
    ):
        cells[title] = [number(counts[s]) for s in statistics]
    return [table(caption, pd.DataFrame(cells)), grid([chart])]


def _cell(scores: Scores, statistic: str) -> str:
    """A statistic in per cent, and below it its interval."""
    if statistic not in scores.values:
        return "–"
    shown, interval = percent(scores.values[statistic]), scores.interval
    if interval is None or statistic not in interval.low:
        return shown
    return f"{shown}\n[{100 * interval.low[statistic]:.1f}, {100 * interval.high[statistic]:.1f}]"


def _description(name: str) -> str:
    try:
        return protocol(name).description
    except ValueError:  # of another version's run
        return ""
