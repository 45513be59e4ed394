"""How the runs were trained: curves from their logs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stgcn_pyg.report.charts import LineChart, Series, line_chart
from stgcn_pyg.report.reported import ReportedRun
from stgcn_pyg.report.tables import Table, label, significant

ROWS = 200  # of a table, at most
TITLES = {
    "loss": "Loss",
    "accuracy": "Accuracy on the training people",
    "validation_mAP": "mAP of the people held out",
    "learning_rate": "Learning rate",
}


def training_charts(runs: Sequence[ReportedRun]) -> list[LineChart]:
    """A chart of each quantity, a line a run; of a single run, the loss's terms in one chart."""
    logs = {run: run.files.log for run in runs if run.files.log is not None}
    names = list(dict.fromkeys(name for log in logs.values() for name in log))
    terms = [
        name
        for name in names
        if name not in (*TITLES, "epoch", "step")
        and any(name in log and np.isfinite(log[name]).any() for log in logs.values())
    ]
    wanted = [name for name in TITLES if name in names]
    charts = [
        _chart(name, TITLES[name], _by_run(logs, name, len(runs) == 1))
        for name in wanted
        if any(name in log and np.isfinite(log[name]).any() for log in logs.values())
    ]
    if len(runs) == 1 and terms:
        log = logs[runs[0]]
        lines = [
            Series(name.replace("_", " "), log["epoch"].tolist(), log[name].tolist(), style)
            for style, name in enumerate(terms)
        ]
        charts.insert(min(1, len(charts)), _chart("terms", "Terms of the loss", lines))
    return charts


def training_tables(runs: Sequence[ReportedRun]) -> list[Table]:
    """The log of each run, thinned where it is long."""
    tables = []
    for run in runs:
        log = run.files.log
        if log is None:
            continue
        step = -(-len(log) // ROWS)
        rows = log.iloc[::-1].iloc[::step].iloc[::-1]  # the last epoch stays
        note = "" if step == 1 else f"Every {step}th epoch of {len(log):,} is shown."
        tables.append(
            Table(
                f"Log of {run.label}",
                [str(name).replace("_", " ") for name in log],
                [_cells(row) for _, row in rows.iterrows()],
                sortable=False,
                note=note,
            )
        )
    return tables


def _by_run(logs: dict[ReportedRun, pd.DataFrame], name: str, alone: bool) -> list[Series]:
    return [
        Series(
            name.replace("_", " ") if alone else run.label,
            log["epoch"].tolist(),
            log[name].tolist(),
            run.style,
        )
        for run, log in logs.items()
        if name in log
    ]


def _chart(name: str, title: str, lines: Sequence[Series]) -> LineChart:
    low = 0 if name in ("loss", "terms", "accuracy", "validation_mAP") else None
    high = 1 if name in ("accuracy", "validation_mAP") else None
    return line_chart(f"training-{name}", title, "epoch", title, lines, (low, high))


def _cells(row: pd.Series) -> list:
    return [
        label(int(value)) if name in ("epoch", "step") else significant(value)
        for name, value in row.items()
    ]
