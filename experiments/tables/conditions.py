"""How rows fare as the test gets harder: mAP under each of several conditions, and the trend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from experiments.running.jobs import Unit
from experiments.running.results import MAX_RANK, RunResult
from experiments.tables.aggregate import RANKS, Runs, pair, pool
from experiments.tables.write_table import MISSING
from experiments.variants import Experiment
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import RankingResult, bootstrap, format_interval

UNDER = "condition"  # the name of the one result that a restricted run has


@dataclass(frozen=True, eq=False)
class Condition:
    """A condition of the test, and what the runs score under it.

    Attributes:
        at: Where it stands on the axis.
        label: In words.
        runs: Each run with the queries that meet the condition, and one result.
        references: Scores that are no model's, as fractions, by name.
    """

    at: float
    label: str
    runs: Runs
    references: Mapping[str, float]


def restricted(run: RunResult, protocol: str, queries: np.ndarray) -> RunResult:
    """A run with some of its queries, ``[Q]`` of bool, and one of its results.

    Raises:
        UserError: It was not scored so, as is the case for runs on another data set.
    """
    if protocol not in run.results:
        raise UserError(
            f"run {run.about['key']} has no scores for {protocol}: remove its folder from the "
            "results and run again, which scores it anew"
        )
    result = run.results[protocol]
    first = result.first_match_rank[queries]
    valid = first[~np.isnan(first)]
    kept = replace(
        result,
        average_precision=result.average_precision[queries],
        first_match_rank=first,
        inverse_negative_penalty=result.inverse_negative_penalty[queries],
        cmc=(valid[:, None] <= np.arange(1, MAX_RANK + 1)).mean(axis=0),
    )
    return RunResult(run.about, run.queries[queries].reset_index(drop=True), {UNDER: kept})


def tabulate_conditions(experiment: Experiment, conditions: Sequence[Condition]) -> pd.DataFrame:
    """A row a row and condition, in per cent; NaN where a row has no runs.

    Columns: ``at``, ``queries``, ``runs``; ``mAP`` with the ends ``low`` and ``high`` of its 95 %
    interval over the test people; and its ``difference`` to the baseline's, paired by unit and by
    query, with ``difference low``, ``difference high`` and ``p``.
    """
    records = []
    for row in experiment.rows:
        for condition in conditions:
            record: dict[str, object] = {"row": row.name, "condition": condition.label}
            units = condition.runs.get(row.name, {})
            record |= {"at": condition.at, "runs": len(units)} | _scores(units)
            if row.name != experiment.baseline:
                record |= _difference(condition.runs.get(experiment.baseline, {}), units)
            records.append(record)
    return pd.DataFrame(records).set_index(["row", "condition"])


def _scores(units: Mapping[Unit, RunResult]) -> dict[str, float]:
    if not units:
        return dict.fromkeys(("queries", "mAP", "low", "high"), np.nan)
    result, pids = _pooled(units)
    found = bootstrap(result, pids, RANKS)
    return {
        "queries": result.num_valid_queries // len(units),
        "mAP": 100 * found.estimate["mAP"],
        "low": 100 * found.low["mAP"],
        "high": 100 * found.high["mAP"],
    }


def _pooled(units: Mapping[Unit, RunResult]) -> tuple[RankingResult, np.ndarray]:
    pids = np.concatenate([run.queries["pid"].to_numpy() for run in units.values()])
    return pool([run.results[UNDER] for run in units.values()]), pids


def _difference(
    baseline: Mapping[Unit, RunResult], units: Mapping[Unit, RunResult]
) -> dict[str, float]:
    paired = pair(baseline, units, UNDER)
    if paired is None:
        return {}
    found = paired.comparison
    return {
        "difference": 100 * found.difference["mAP"],
        "difference low": 100 * found.low["mAP"],
        "difference high": 100 * found.high["mAP"],
        "p": found.p_value["mAP"],
    }


def trends(
    experiment: Experiment, conditions: Sequence[Condition], at: Sequence[Mapping[Unit, np.ndarray]]
) -> pd.DataFrame:
    """How much a row's difference to the baseline grows for each unit of the axis, in points.

    Args:
        experiment: The rows.
        conditions: As they are tabulated.
        at: For each condition, where each query of each unit stands on the axis.

    Returns:
        ``trend``, and the ends ``low`` and ``high`` of its 95 % interval over the test people.
    """
    records = {}
    for row in experiment.rows:
        parts = []
        for condition, places in zip(conditions, at, strict=True):
            baseline = condition.runs.get(experiment.baseline, {})
            for unit, run in condition.runs.get(row.name, {}).items():
                if unit in baseline and row.name != experiment.baseline:
                    first, second = baseline[unit].results[UNDER], run.results[UNDER]
                    gain = second.average_precision - first.average_precision
                    parts.append((places[unit], gain, run.queries["pid"].to_numpy()))
        if parts:
            x, gain, pids = (np.concatenate(values) for values in zip(*parts, strict=True))
            records[row.name] = slope(x, 100 * gain, pids)
    return pd.DataFrame.from_dict(records, orient="index", columns=["trend", "low", "high"])


def slope(
    x: np.ndarray, y: np.ndarray, pids: np.ndarray, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float, float]:
    """The least-squares slope of y over x, and its 95 % interval over the people.

    Args:
        x, y: ``[Q]``; where y is NaN the query is left out.
        pids: The people of the queries, ``[Q]``; they are what is resampled.
        resamples: How many are drawn.
        seed: Of the draws.

    Example:
        >>> slope(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]), np.array([4, 5, 6]))[0]
        2.0
    """
    valid = ~np.isnan(y)
    x, y, pids = x[valid], y[valid], pids[valid]
    _, person = np.unique(pids, return_inverse=True)
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x])
    sums = np.stack([np.bincount(person, term) for term in terms], axis=1)  # [people, 5]
    count = len(sums)
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    with np.errstate(divide="ignore", invalid="ignore"):  # a resample may have one x alone
        drawn = _slope(weights @ sums)
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return float(_slope(sums.sum(axis=0))), float(low), float(high)


def _slope(sums: np.ndarray) -> np.ndarray:
    """From the sums of 1, x, y, xy and xx."""
    n, x, y, xy, xx = np.moveaxis(sums, -1, 0)
    return (n * xy - x * y) / (n * xx - x * x)


def in_words(table: pd.DataFrame, columns: tuple[str, str, str], signed: bool) -> pd.DataFrame:
    """Rows by conditions: an estimate and its interval, as text.

    Args:
        table: What :func:`tabulate_conditions` gives.
        columns: The names of the estimate and of its ends.
        signed: Whether it is a difference.
    """
    estimate, low, high = (table[name] / 100 for name in columns)
    text = [
        MISSING if np.isnan(value) else format_interval(value, below, above, signed)
        for value, below, above in zip(estimate, low, high, strict=True)
    ]
    rows, labels = (table.index.unique(level) for level in ("row", "condition"))
    wide = pd.Series(text, table.index).unstack("condition")
    return wide.reindex(index=rows, columns=labels)
