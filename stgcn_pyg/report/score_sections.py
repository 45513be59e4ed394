"""What runs score: the main scores at the top of the page, and the section on all protocols."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from stgcn_pyg.evaluation import compare, protocol
from stgcn_pyg.evaluation.result import REPORTED_RANKS
from stgcn_pyg.figures import Line
from stgcn_pyg.figures.charts import REFERENCE
from stgcn_pyg.report.elements import html, line_chart, number, percent, table
from stgcn_pyg.report.reported import TRAINED, ReportedRun, Scores

STATISTICS = ("mAP", "mINP", *(f"rank-{k}" for k in REPORTED_RANKS))
HEADLINE = ("mAP", "rank-1", "rank-5", "rank-10")
CMC_TICKS = (1, 5, 10, 15, 20)


def headline(runs: Sequence[ReportedRun], name: str) -> list[Markup]:
    """The main scores of each run under a protocol."""
    found = {run: run.scores(name)[TRAINED] for run in runs if TRAINED in run.scores(name)}
    if not found:
        return []
    blocks = []
    for run, scores in found.items():
        chance, items = run.chance_scores(name), []
        for statistic in (s for s in HEADLINE if s in scores.values):
            value, _, interval = _cell(scores, statistic).partition("\n")
            beside = "" if chance is None else f"chance {percent(chance.values[statistic])}"
            items.append((statistic, value, interval, beside))
        blocks += [html.paragraph(run.label)] if len(runs) > 1 else []
        blocks.append(html.main_scores(run.label, items))
    return [*blocks, html.main_protocol(name, _intervals(found.values()))]


def _intervals(scores: Iterable[Scores]) -> str:
    """What a caption says of intervals, where there are any."""
    known = any(one.interval is not None for one in scores)
    return ", with 95 % intervals over the test identities" if known else ""


def results_section(runs: Sequence[ReportedRun], names: Sequence[str]) -> list[Markup]:
    """The scores under each protocol, the paired differences of several runs, and the CMC."""
    if not names:
        return []
    blocks = [
        html.paragraph(
            "A score holds for its protocol alone. The intervals cover the choice of the test "
            "identities, not the seed of the training."
        )
    ]
    charts = []
    for name in names:
        rows = _rows(runs, name)
        caption = f"Scores under {name}, in per cent{_intervals(rows.values())}"
        cells = [[title, *(_cell(s, each) for each in STATISTICS)] for title, s in rows.items()]
        blocks += [
            html.heading(3, name, f"protocol-{name}"),
            html.paragraph(f"{_description(name)} {_sizes(rows)}."),
            table(caption, pd.DataFrame(cells, columns=["", *STATISTICS])),
        ]
        for other in runs[1:]:
            blocks += _difference(runs[0], other, name)
        charts += _cmc(runs, name)
    return [*blocks, html.heading(3, "Cumulative matching characteristic (CMC)"), html.grid(charts)]


def _chance(runs: Sequence[ReportedRun], name: str) -> dict[str, Scores]:
    """What chance gives, where it is known."""
    found = [chance for run in runs if (chance := run.chance_scores(name)) is not None]
    return {"chance": found[0]} if found else {}


def _rows(runs: Sequence[ReportedRun], name: str) -> dict[str, Scores]:
    """What chance gives and what the runs score, by the title of the row."""
    if len(runs) == 1:
        return _chance(runs, name) | {
            n: s for n, s in runs[0].scores(name).items() if n != "chance"
        }
    trained = {run.label: s for run in runs if (s := run.scores(name).get(TRAINED))}
    return _chance(runs, name) | trained


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
    curves |= {title: (REFERENCE, s.values["cmc"]) for title, s in _chance(runs, name).items()}
    if not curves:
        return []
    ranks = range(1, min(20, *(len(cmc) for _, cmc in curves.values())) + 1)
    cells = {"k": [str(k) for k in ranks]} | {
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
            table(caption, pd.DataFrame(cells), opens="Figures"),
            y_limits=(0, 100),
            x_ticks={k: str(k) for k in CMC_TICKS if k in ranks},
        )
    ]


def _difference(first: ReportedRun, other: ReportedRun, name: str) -> list[Markup]:
    """A run compared with the first one on the same queries: a table and a chart."""
    if first.model is None or name not in first.results or name not in other.results:
        return []
    pids = first.model.task.query_pids
    try:
        found = compare(first.results[name], other.results[name], pids, REPORTED_RANKS)
    except ValueError as error:  # such as for a single identity
        line = f"{other.path}: {name}: no paired difference ({error})"
        first.gaps.add(line, "results")
        return []
    title = f"{other.label} less {first.label} under {name}"
    statistics = list(found.difference)
    low, high = ([100 * end[s] for s in statistics] for end in (found.low, found.high))
    values = [100 * found.difference[s] for s in statistics]
    places = list(range(len(statistics)))
    chart = line_chart(
        f"difference-{name}-{other.number}",
        f"{title}, points of per cent",
        "statistic",
        "difference and 95 % interval",
        [
            Line("difference", places, values, other.style, np.array([low, high]), joined=False),
            Line("no difference", places, [0.0] * len(places), REFERENCE),
        ],
        x_ticks=dict(enumerate(statistics)),
    )
    cells = {
        "Statistic": statistics,
        first.label: [percent(found.first[s]) for s in statistics],
        other.label: [percent(found.second[s]) for s in statistics],
        "Difference": [
            f"{value:+z.1f}\n[{a:+z.1f}, {b:+z.1f}]"
            for value, a, b in zip(values, low, high, strict=True)
        ],
        "p": [f"{found.p_value[s]:.4f}" for s in statistics],
        "Better": [number(found.better[s]) for s in statistics],
        "Worse": [number(found.worse[s]) for s in statistics],
        "Equal": [number(found.equal[s]) for s in statistics],
    }
    caption = f"{title}, on the same queries. {found.caption()}."
    return [table(caption, pd.DataFrame(cells)), html.grid([chart])]


def _cell(scores: Scores, statistic: str) -> str:
    """A statistic in per cent, and below it its interval."""
    if statistic not in scores.values:
        return "–"
    shown, interval = percent(scores.values[statistic]), scores.interval
    if interval is None or statistic not in interval.low:
        return shown
    return f"{shown}\n[{percent(interval.low[statistic])}, {percent(interval.high[statistic])}]"


def _description(name: str) -> str:
    try:
        return protocol(name).description
    except ValueError:  # of another version's run
        return ""
