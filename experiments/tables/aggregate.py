"""From runs to numbers: mean and spread over units, and differences paired by unit and query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from experiments.running.jobs import Unit
from experiments.running.results import SCORES, RunResult, match_curve
from experiments.variants import Experiment
from stgcn_pyg.evaluation import ComparisonResult, RankingResult, compare

STATISTICS = ("mAP", "rank-1", "rank-5", "rank-20")
RANKS = (1, 5, 20)
COMPARED = ("mAP", "rank-1")
PLACES = ("MARS", "Duke")  # where the paper has figures
NOT_PRINTED = (np.nan, np.nan)

Units = Mapping[Unit, RunResult]
Runs = Mapping[str, Units]
"""The finished runs of each row, by unit."""


def tabulate(experiment: Experiment, runs: Runs, protocol: str) -> pd.DataFrame:
    """The numbers of each row under one protocol, in per cent; NaN where no run is finished.

    Columns: ``runs``; of each statistic its mean over units and ``sd``, with n - 1; the columns of
    :func:`differences` to the baseline; and the paper's figures.
    """
    rows = {}
    for row in experiment.rows:
        units = runs.get(row.name, {})
        record: dict[str, float] = {"runs": len(units)}
        record |= _means([run.results[protocol] for run in units.values()])
        if row.name != experiment.baseline:
            record |= differences(runs.get(experiment.baseline, {}), units, protocol)
        for place, figures in zip(PLACES, (row.mars, row.duke), strict=True):
            for name, figure in zip(COMPARED, figures or (), strict=False):
                record[f"paper's {name}, {place}"] = figure
        rows[row.name] = record
    first = ["runs", *(f"{name}{part}" for name in STATISTICS for part in ("", " sd"))]
    columns = dict.fromkeys([*first, *(name for record in rows.values() for name in record)])
    return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=list(columns))


def tabulate_pairs(experiment: Experiment, runs: Runs, protocol: str) -> pd.DataFrame:
    """The numbers of each pair of rows, the first less the second, under one protocol.

    Columns: ``pairs``, the number of units that both rows have; those of :func:`differences`; and
    the differences of the paper's figures.
    """
    records = {}
    for pair in experiment.pairs:
        first, second = (experiment.row(name) for name in pair)
        record: dict[str, float] = {"pairs": 0}
        record |= differences(runs.get(second.name, {}), runs.get(first.name, {}), protocol)
        for place, figures in (
            ("MARS", (first.mars, second.mars)),
            ("Duke", (first.duke, second.duke)),
        ):
            change = np.subtract(*(each or NOT_PRINTED for each in figures))
            names = [f"paper's {name} difference, {place}" for name in COMPARED]
            record |= dict(zip(names, change, strict=True))
        records[f"{first.name} less {second.name}"] = record
    return pd.DataFrame.from_dict(records, orient="index")


def unlike_the_means(means: pd.DataFrame, compared: Mapping[str, tuple[str, str]]) -> list[str]:
    """Which differences are not those of the means of their two rows.

    A difference is over the queries of the units that both rows have, each query alike; a mean is
    over the units of its own row, each unit alike. They part where a unit is missing from one row,
    or where units have different numbers of queries.

    Args:
        means: What :func:`tabulate` returns, and below it perhaps :func:`tabulate_pairs`.
        compared: The two rows, by the name of each row of ``means`` that has their difference.

    Returns:
        The names of such rows of ``means``.
    """
    found = []
    for name, (row, other) in compared.items():
        apart = [
            means.loc[name, f"{statistic} difference"]
            - (means.loc[row, statistic] - means.loc[other, statistic])
            for statistic in COMPARED
            if f"{statistic} difference" in means
        ]
        if any(abs(value) > 1e-6 for value in apart):  # in per cent; NaN where no run is finished
            found.append(name)
    return found


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
    """The difference of two rows over the units that both have.

    Attributes:
        comparison: Over the queries of all units. Identities are resampled; one with queries at
            several units is one identity.
        by_unit: The differences at each unit, by statistic, as fractions.
    """

    comparison: ComparisonResult
    by_unit: Mapping[str, np.ndarray]


def pair(baseline: Units, others: Units, protocol: str) -> Paired | None:
    """Compares two rows, the second less the first; None if they have no unit in common.

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
    by_unit = {
        name: np.array(
            [statistic(b, name) - statistic(a, name) for a, b in zip(first, second, strict=True)]
        )
        for name in COMPARED
    }
    return Paired(compare(pool(first), pool(second), pids, RANKS), by_unit)


def pool(results: Sequence[RankingResult]) -> RankingResult:
    """One result with the queries of several."""
    scores = {name: np.concatenate([getattr(r, name) for r in results]) for name in SCORES}
    return replace(results[0], **scores, cmc=match_curve(scores["first_match_rank"]))


def differences(baseline: Units, others: Units, protocol: str) -> dict[str, float]:
    """What a row gains over another, in points; no columns if they have no unit, or the same runs.

    Of mAP and rank-1 each: the ``difference`` at the same units and queries, the ends ``low`` and
    ``high`` of its 95 % interval and the ``p`` of :func:`stgcn_pyg.evaluation.compare`, its
    ``difference sd`` over units, and ``higher in``, the number of units in which it is above 0.
    """
    paired = pair(baseline, others, protocol)
    if paired is None or all(
        baseline[unit].about["key"] == run.about["key"]
        for unit, run in others.items()
        if unit in baseline
    ):
        return {}
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
