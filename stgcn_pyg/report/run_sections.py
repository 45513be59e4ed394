"""Sections on the runs themselves: what was run, and how it was trained."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from stgcn_pyg.figures import Line
from stgcn_pyg.figures.charts import REFERENCE
from stgcn_pyg.report.elements import html, line_chart, table
from stgcn_pyg.report.reported import ReportedRun
from stgcn_pyg.runs.about import in_words

EPOCHS = 200  # rows of a log's table, at most
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
            blocks.append(html.heading(3, run.label))
        blocks.append(html.facts(facts(run)))
    configs = {run.label: pd.json_normalize(c).iloc[0] for run in runs if (c := run.config)}
    latest = {
        run.label: pd.Series(environments[-1], dtype=object)
        for run in runs
        if (environments := run.environments)
    }
    blocks += _side_by_side("Every setting", "Setting", configs)
    return blocks + _side_by_side("Versions and machine", "What", latest)


def facts(run: ReportedRun) -> dict[str, str]:
    """What a reader wants to know first, by its name."""
    config = run.config or {}
    found = {"Folder": str(run.path)}
    if config:
        place = config.get("root", "an unknown place")
        found["Data"] = f"{config.get('dataset', 'unknown')} at {place}"
    if run.model is not None:
        dataset = run.model.data.dataset
        sizes = f"{len(dataset.query):,} queries, {len(dataset.gallery):,} in the gallery"
        if run.own_test_set:
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
    done, asked = run.epochs
    if asked is not None:
        count = f"{done:,} of {asked:,} epochs" if done else f"{asked:,} epochs"
        found["Training"] = f"{count}, seed {config.get('seed')}"
    return found | _environment(run.environments or [])


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
    """A table of each run's values, with a column that says where they differ."""
    if not columns:
        return []
    several, rows = len(columns) > 1, []
    for name in dict.fromkeys(name for column in columns.values() for name in column.index):
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
    logs = {run: run.log for run in runs if run.log is not None}
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
        lines = [
            Line(run.label, log["epoch"], log[name], run.style)
            for run, log in logs.items()
            if name in names and name in log
        ]
        if lines:
            draw(name, title, lines)
        if name == "loss" and len(runs) == 1 and terms:
            log = logs[runs[0]]
            lines = [
                Line(term.replace("_", " "), log["epoch"], log[term], i % REFERENCE)
                for i, term in enumerate(terms)
            ]
            draw("terms", "Terms of the loss", lines)
    return [html.grid(charts), *(_log(run, log) for run, log in logs.items())]


def _log(run: ReportedRun, log: pd.DataFrame) -> Markup:
    step = -(-len(log) // EPOCHS)
    rows = log.iloc[::-1].iloc[::step].iloc[::-1]  # the last epoch is always shown
    shown = rows.map(lambda value: f"{value:.6g}" if np.isfinite(value) else "–")
    shown.columns = [str(name).replace("_", " ") for name in log]
    note = "" if step == 1 else f"Every {step}th epoch of {len(log):,} is shown."
    return table(f"Log of {run.label}", shown, note=note, opens=f"Log of {run.label}")
