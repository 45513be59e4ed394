"""From runs to a table: mean and spread over units, and differences paired by unit and by query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from experiments.running.jobs import Unit
from experiments.running.results import MAX_RANK, RunResult
from experiments.variants import Experiment
from stgcn_pyg.evaluation import ComparisonResult, RankingResult, compare

STATISTICS = ("mAP", "rank-1", "rank-5", "rank-20")
RANKS = (1, 5, 20)
COMPARED = ("mAP", "rank-1")

Runs = Mapping[str, Mapping[Unit, RunResult]]
"""By row, by unit; what is not finished is not there."""


def tabulate(experiment: Experiment, runs: Runs, protocol: str) -> pd.DataFrame:
    """A row a row of the experiment, in per cent, under one protocol; NaN where nothing is there.

    Columns: ``runs``; of each statistic its mean over units and ``sd``, with n - 1; of mAP and
    rank-1 the ``difference`` to the baseline at the same units and queries, the ends ``low`` and
    ``high`` of its 95 % interval and the ``p`` of :func:`stgcn_pyg.evaluation.compare`, its
    ``difference sd`` over units, and ``higher in``, the units in which it is above 0; and the
    paper's figures.
    """
    rows = {}
    for row in experiment.rows:
        units = runs.get(row.name, {})
        record: dict[str, float] = {"runs": len(units)}
        record |= _means([run.results[protocol] for run in units.values()])
        if row.name != experiment.baseline:
            record |= differences(runs.get(experiment.baseline, {}), units, protocol)
        for place, figures in (("MARS", row.mars), ("Duke", row.duke)):
            for name, figure in zip(COMPARED, figures or (), strict=False):
                record[f"paper's {name}, {place}"] = figure
        rows[row.name] = record
    return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=_columns(rows))


def unlike_the_means(means: pd.DataFrame, compared: Mapping[str, tuple[str, str]]) -> list[str]:
    """Which differences are not those of the means of their two rows.

    A difference is over the queries of the units that both rows have, each query alike; a mean is
    over the units of its own row, each unit alike. They part where a unit is missing from one row,
    or where units have different numbers of queries.

    Args:
        means: What :func:`tabulate` gives, with the rows of other differences below if there are
            any.
        compared: By the name of a row with a difference: the row that is compared, and the one
            with which.

    Returns:
        The names of such rows.
    """
    found = []
    for name, (row, other) in compared.items():
        apart = [
            means.loc[name, f"{statistic} difference"]
            - (means.loc[row, statistic] - means.loc[other, statistic])
            for statistic in COMPARED
            if f"{statistic} difference" in means
        ]
        if any(abs(value) > 1e-6 for value in apart):  # in per cent; NaN where nothing is there
            found.append(name)
    return found


def _columns(rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    """All columns that any row has, those of a full row first."""
    fixed = ["runs", *(f"{name}{part}" for name in STATISTICS for part in ("", " sd"))]
    return list(dict.fromkeys([*fixed, *(name for record in rows.values() for name in record)]))


def _means(results: Sequence[RankingResult]) -> dict[str, float]:
    record = {}
    for name in STATISTICS:
        values = [100 * statistic(result, name) for result in results]
        record[name] = float(np.mean(values)) if values else np.nan
        record[f"{name} sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
    return record


def statistic(result: RankingResult, name: str) -> float:
    """``"mAP"`` or ``"rank-k"`` of a result, as a fraction."""
    return result.mAP if name == "mAP" else result.rank(int(name.removeprefix("rank-")))


@dataclass(frozen=True, eq=False)
class Paired:
    """A row and the baseline at the units that both have.

    Attributes:
        comparison: Over the queries of all units; the people are what is resampled, and one who
            is searched for at several units is one person.
        by_unit: The differences at each unit, by statistic, as fractions.
    """

    comparison: ComparisonResult
    by_unit: Mapping[str, np.ndarray]


def pair(
    baseline: Mapping[Unit, RunResult], others: Mapping[Unit, RunResult], protocol: str
) -> Paired | None:
    """Compares a row with the baseline; None if they have no unit in common.

    Raises:
        ValueError: The queries of a unit differ.
    """
    units = [unit for unit in baseline if unit in others]
    if not units:
        return None
    for unit in units:
        if not baseline[unit].queries.equals(others[unit].queries):
            raise ValueError(f"{unit}: not the same queries in both runs")
    first, second = (
        [runs[unit].results[protocol] for unit in units] for runs in (baseline, others)
    )
    pids = np.concatenate([baseline[unit].queries["pid"].to_numpy() for unit in units])
    return Paired(
        compare(pool(first), pool(second), pids, RANKS),
        {
            name: np.array(
                [
                    statistic(b, name) - statistic(a, name)
                    for a, b in zip(first, second, strict=True)
                ]
            )
            for name in COMPARED
        },
    )


def pool(results: Sequence[RankingResult]) -> RankingResult:
    """The queries of several results as those of one."""
    first = results[0]
    ranks = np.concatenate([result.first_match_rank for result in results])
    valid = ranks[~np.isnan(ranks)]
    return RankingResult(
        np.concatenate([result.average_precision for result in results]),
        ranks,
        np.concatenate([result.inverse_negative_penalty for result in results]),
        (valid[:, None] <= np.arange(1, MAX_RANK + 1)).mean(axis=0),
        first.num_gallery,
        first.ap,
        first.same_camera,
        first.depth,
        first.protocol,
    )


def differences(
    baseline: Mapping[Unit, RunResult], others: Mapping[Unit, RunResult], protocol: str
) -> dict[str, float]:
    """The columns of a difference, in points; none without a unit in both, or of the same runs."""
    paired = pair(baseline, others, protocol)
    if paired is None or all(
        baseline[unit].about["key"] == run.about["key"]
        for unit, run in others.items()
        if unit in baseline
    ):
        return {}  # nothing to compare, or the very same runs
    record: dict[str, float] = {}
    for name in COMPARED:
        found, by_unit = paired.comparison, 100 * paired.by_unit[name]
        record |= {
            f"{name} difference": 100 * found.difference[name],
            f"{name} low": 100 * found.low[name],
            f"{name} high": 100 * found.high[name],
            f"{name} p": found.p_value[name],
            f"{name} difference sd": np.std(by_unit, ddof=1) if len(by_unit) > 1 else np.nan,
            f"{name} higher in": int((by_unit > 0).sum()),
            "pairs": len(by_unit),
        }
    return record
