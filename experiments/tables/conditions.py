"""How rows fare as the test gets harder: mAP under each of several conditions, and the trend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from experiments.experiment import Experiment
from experiments.running.jobs import Unit
from experiments.running.results import SCORES, RunResult, match_curve
from experiments.running.run_job import RunContext
from experiments.tables.aggregate import RANKS, Runs, Units, clips_of, differences, pool
from experiments.tables.write_table import MISSING, write_figure, write_tables
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import bootstrap, format_interval
from stgcn_pyg.figures import Line, draw_lines
from stgcn_pyg.figures.charts import REFERENCE

UNDER = "condition"  # the name of the one result that a restricted run has
RESAMPLES = 10_000


@dataclass(frozen=True, eq=False)
class Condition:
    """A condition of the test, and what the runs score under it.

    Args:
        at: Its place on the horizontal axis.
        label: Its name in tables.
        runs: The runs restricted to the queries that meet it, with one result each.
        places: The place of each query on the axis ``[Q]``, by unit.
        references: Scores of no model, as fractions, by name.
    """

    at: float
    label: str
    runs: Runs
    places: Mapping[Unit, np.ndarray]
    references: Mapping[str, float]


def restricted(runs: Runs, scored: str, queries: np.ndarray) -> Runs:
    """Runs with some of their queries, ``[Q]`` of bool, and the one result of that name.

    Raises:
        UserError: A run has no such result, as runs on another data set.
    """
    return {
        row: {unit: _restricted(run, scored, queries) for unit, run in units.items()}
        for row, units in runs.items()
    }


def _restricted(run: RunResult, scored: str, queries: np.ndarray) -> RunResult:
    if scored not in run.results:
        raise UserError(
            f"run {run.about['key']} has no scores for {scored}: remove its line from runs.jsonl "
            "in the results and run again, which scores it again"
        )
    result = run.results[scored]
    scores = {name: getattr(result, name)[queries] for name in SCORES}
    kept = replace(result, **scores, cmc=match_curve(scores["first_match_rank"]))
    return RunResult(run.about, run.queries[queries].reset_index(drop=True), {UNDER: kept})


def write_conditions(
    experiment: Experiment,
    context: RunContext,
    conditions: Sequence[Condition],
    axis: str,
    protocol: str,
    step: tuple[float, str],
) -> str:
    """Writes tables and figure into the results folder; returns the Markdown.

    Args:
        experiment: The experiment.
        context: Where its runs were made.
        conditions: From easy to hard.
        axis: Label of the horizontal axis.
        protocol: Name of the protocol.
        step: The change on the axis for which the trend is given, and its name in the table.
    """
    table = tabulate_conditions(experiment, conditions)
    references = {
        name: [100 * condition.references[name] for condition in conditions]
        for name in conditions[0].references
    }
    figure = draw_lines(
        _lines(table, references),
        axis,
        f"mAP, per cent ({protocol})",
        x_ticks={condition.at: condition.label.removesuffix(" %") for condition in conditions},
    )
    write_figure(context.results.path / experiment.name, figure)
    scores = _in_words(table, ("mAP", "low", "high"), signed=False)
    for name, values in references.items():
        scores.loc[name] = [f"{value:.1f}" for value in values]
    columns = ("difference", "difference low", "difference high")
    gains = _in_words(table, columns, signed=True).drop(index=experiment.baseline)
    per, title = step
    gains[title] = MISSING
    for name, (value, low, high) in (per * trends(experiment, conditions) / 100).iterrows():
        gains.loc[name, title] = format_interval(value, low, high, signed=True)
    introduction = (
        f"{context.results.path.name}: {protocol}, mAP in per cent; the 95 % intervals are over "
        "the test people, for the networks that were trained. "
        f"Scored by {clips_of(conditions[0].runs)}.\n\n"
        f"![{experiment.title}]({experiment.name}.png)"
    )
    words = {"mAP": scores, "mAP less the baseline's": gains}
    return write_tables(experiment, context, table, introduction, words)


def _lines(table: pd.DataFrame, references: Mapping[str, Sequence[float]]) -> list[Line]:
    """A line for each row that has runs, with its intervals, and one for each reference."""
    rows = table["mAP"].unstack(sort=False).dropna().index
    places = table["at"].unique()
    apart = 0.015 * np.ptp(places)  # so that error bars do not hide each other
    lines = []
    for style, name in enumerate(rows):
        points = table.loc[name]
        x = places + apart * (style - (len(rows) - 1) / 2)
        errors = points[["low", "high"]].to_numpy().T
        lines.append(Line(name, x, points["mAP"], style % REFERENCE, errors))
    for style, (name, values) in enumerate(references.items(), start=REFERENCE):
        lines.append(Line(name, places, values, style))
    return lines


def tabulate_conditions(experiment: Experiment, conditions: Sequence[Condition]) -> pd.DataFrame:
    """The numbers of each row under each condition, in per cent; NaN where a row has no runs.

    Columns: ``at``, ``runs``, ``queries``; ``mAP`` with the ends ``low`` and ``high`` of its 95 %
    interval over the test identities; and its ``difference`` to the baseline's, paired by unit and
    by query, with ``difference low``, ``difference high`` and ``p``.
    """
    records = []
    for row in experiment.rows:
        for condition in conditions:
            record: dict[str, object] = {"row": row.name, "condition": condition.label}
            units = condition.runs.get(row.name, {})
            record |= {"at": condition.at, "runs": len(units)} | _scores(units)
            if row.name != experiment.baseline:
                gain = differences(condition.runs.get(experiment.baseline, {}), units, UNDER)
                for part in ("difference", "low", "high", "p") if gain else ():
                    name = f"difference {part}" if part in ("low", "high") else part
                    record[name] = gain[f"mAP {part}"]
            records.append(record)
    return pd.DataFrame(records).set_index(["row", "condition"])


def _scores(units: Units) -> dict[str, float]:
    if not units:
        return dict.fromkeys(("queries", "mAP", "low", "high"), np.nan)
    pids = np.concatenate([run.queries["pid"].to_numpy() for run in units.values()])
    result = pool([run.results[UNDER] for run in units.values()])
    found = bootstrap(result, pids, RANKS)
    ends = {"mAP": found.estimate, "low": found.low, "high": found.high}
    return {
        "queries": result.num_valid_queries // len(units),
        **{name: 100 * values["mAP"] for name, values in ends.items()},
    }


def trends(experiment: Experiment, conditions: Sequence[Condition]) -> pd.DataFrame:
    """How much each row's difference to the baseline grows for each unit of the axis, in points.

    Columns: ``trend``, and the ends ``low`` and ``high`` of its 95 % interval over the identities.
    """
    records = {}
    for row in experiment.rows:
        parts = []
        for condition in conditions:
            baseline = condition.runs.get(experiment.baseline, {})
            for unit, run in condition.runs.get(row.name, {}).items():
                if unit in baseline and row.name != experiment.baseline:
                    first, second = baseline[unit].results[UNDER], run.results[UNDER]
                    gain = second.average_precision - first.average_precision
                    parts.append((condition.places[unit], gain, run.queries["pid"].to_numpy()))
        if parts:
            x, gain, pids = (np.concatenate(values) for values in zip(*parts, strict=True))
            records[row.name] = slope(x, 100 * gain, pids)
    return pd.DataFrame.from_dict(records, orient="index", columns=["trend", "low", "high"])


def slope(x: np.ndarray, y: np.ndarray, pids: np.ndarray) -> tuple[float, float, float]:
    """The least-squares slope of y over x, and its 95 % interval over the identities.

    Args:
        x, y: ``[Q]``; a query where y is NaN is left out.
        pids: Identities of the queries, ``[Q]``, which are resampled.
    """
    valid = ~np.isnan(y)
    x, y, pids = x[valid], y[valid], pids[valid]
    _, identity = np.unique(pids, return_inverse=True)
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x])
    sums = np.stack([np.bincount(identity, term) for term in terms], axis=1)  # [identities, 5]
    count = len(sums)
    weights = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    with np.errstate(divide="ignore", invalid="ignore"):  # a resample may have one x alone
        drawn = _slope(weights @ sums)
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return float(_slope(sums.sum(axis=0))), float(low), float(high)


def _slope(sums: np.ndarray) -> np.ndarray:
    """From the sums of 1, x, y, xy and xx."""
    n, x, y, xy, xx = np.moveaxis(sums, -1, 0)
    return (n * xy - x * y) / (n * xx - x * x)


def _in_words(table: pd.DataFrame, columns: tuple[str, str, str], signed: bool) -> pd.DataFrame:
    """Estimates and their intervals as text, a row a row and a column a condition."""
    text = [
        MISSING if np.isnan(value) else format_interval(value, low, high, signed)
        for value, low, high in (table[list(columns)] / 100).itertuples(index=False)
    ]
    return pd.Series(text, table.index).unstack("condition", sort=False)
