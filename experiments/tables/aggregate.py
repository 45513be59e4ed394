"""From finished runs to numbers: mean and spread over units, and paired differences."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from experiments.experiment import Experiment
from experiments.running.jobs import Job, Unit
from experiments.running.results import SCORES, RunResult, match_curve
from experiments.running.run_job import RunContext
from stgcn_pyg.evaluation import PROTOCOLS, ComparisonResult, RankingResult, compare
from stgcn_pyg.runs.about import clips_in_words
from stgcn_pyg.runs.embedding import ranking_task

STATISTICS = ("mAP", "rank-1", "rank-5", "rank-20")
RANKS = (1, 5, 20)
COMPARED = ("mAP", "rank-1")
PLACES = ("MARS", "Duke")  # where the paper has figures
NOT_PRINTED = (np.nan, np.nan)
NOTHING = "no run is finished"

Units = Mapping[Unit, RunResult]
Runs = Mapping[str, Units]
"""The finished runs of each row, by unit."""


def read_runs(jobs: Sequence[Job], context: RunContext) -> Runs:
    """The scores of those of the jobs that are finished."""
    finished = [job for job in jobs if context.results.is_finished(job.key)]
    splits = {job.unit.split for job in finished}
    tasks = {split: ranking_task(context.source.load(split)) for split in splits}
    runs: dict[str, dict[Unit, RunResult]] = {}
    for job in finished:
        result = context.results.read(job.key, tasks[job.unit.split])
        runs.setdefault(job.row.name, {})[job.unit] = result
    return runs


def named_protocols(runs: Runs) -> list[str]:
    """The protocols under which runs were scored, the data set's usual one first."""
    known = {protocol.name for protocol in PROTOCOLS}
    scored = (name for units in runs.values() for run in units.values() for name in run.results)
    return list(dict.fromkeys(name for name in scored if name in known))


def clips_of(runs: Runs) -> str:
    """By which clips and embeddings runs were scored, in words."""
    names = ("data.test_clips", "model.num_frames", "model.embedding")
    configs = [run.about.get("config") or {} for units in runs.values() for run in units.values()]
    ways = {
        "; ".join(clips_in_words({name.partition(".")[2]: config[name] for name in names}))
        for config in configs
        if set(names) <= set(config)
    }
    if not ways:
        return "clips that are not recorded"
    return ways.pop() if len(ways) == 1 else "clips that differ by row"


def made_on(runs: Runs) -> str:
    """The machines on which runs were made, with their number of runs, most first; and their torch.

    Other processors round otherwise, and so train other networks, as other seeds do.
    """
    machines = [run.about["machine"] for units in runs.values() for run in units.values()]
    devices = Counter(machine["device"] for machine in machines).most_common()
    versions = dict.fromkeys(str(machine["torch"]).partition("+")[0] for machine in machines)
    names = [device if len(devices) == 1 else f"{device} ({count})" for device, count in devices]
    return f"{', '.join(names)}; torch {', '.join(versions)}"


def tabulate(experiment: Experiment, runs: Runs, protocol: str) -> pd.DataFrame:
    """The numbers of each row under one protocol, in per cent; NaN where no run is finished.

    Columns: ``runs``; of each statistic its mean over units and ``sd``, with n - 1; the columns of
    :func:`differences` to the baseline; and the paper's figures.
    """
    rows = {}
    for row in experiment.rows:
        units = runs.get(row.name, {})
        record: dict[str, float] = {"runs": len(units)}
        for name in STATISTICS:
            values = [100 * statistic(run.results[protocol], name) for run in units.values()]
            record[name] = float(np.mean(values)) if values else np.nan
            record[f"{name} sd"] = _spread(values)
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
    for names in experiment.pairs:
        first, second = (experiment.row(name) for name in names)
        record: dict[str, float] = {"pairs": 0}
        record |= differences(runs.get(second.name, {}), runs.get(first.name, {}), protocol)
        printed = (first.mars, second.mars), (first.duke, second.duke)
        for place, figures in zip(PLACES, printed, strict=True):
            change = np.subtract(*(each or NOT_PRINTED for each in figures))
            columns = [f"paper's {name} difference, {place}" for name in COMPARED]
            record |= dict(zip(columns, change, strict=True))
        records[f"{first.name} less {second.name}"] = record
    return pd.DataFrame.from_dict(records, orient="index")


def unlike_the_means(means: pd.DataFrame, compared: Mapping[str, tuple[str, str]]) -> list[str]:
    """The rows of a table whose difference is not that of the means of the two rows compared.

    A difference is over the queries of the units that both rows have, each query alike; a mean is
    over the units of its own row, each unit alike. They differ where a unit is missing from one
    row, or where units have different numbers of queries.

    Args:
        means: What :func:`tabulate` returns, and below it perhaps :func:`tabulate_pairs`.
        compared: The two rows, by the name of each row of ``means`` that has their difference.
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


def statistic(result: RankingResult, name: str) -> float:
    """``"mAP"`` or ``"rank-k"`` of a result, as a fraction."""
    return result.mAP if name == "mAP" else result.rank(int(name.removeprefix("rank-")))


def pair(baseline: Units, others: Units, protocol: str) -> ComparisonResult | None:
    """Compares two rows over the queries of the units that both have, the second less the first.

    Identities are resampled; one with queries at several units is one identity.

    Returns:
        None if the rows have no unit in common.

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
        pool([runs[unit].results[protocol] for unit in units]) for runs in (baseline, others)
    )
    pids = np.concatenate([baseline[unit].queries["pid"].to_numpy() for unit in units])
    return compare(first, second, pids, RANKS)


def pool(results: Sequence[RankingResult]) -> RankingResult:
    """One result with the queries of several."""
    scores = {name: np.concatenate([getattr(r, name) for r in results]) for name in SCORES}
    return replace(results[0], **scores, cmc=match_curve(scores["first_match_rank"]))


def differences(baseline: Units, others: Units, protocol: str) -> dict[str, float]:
    """What a row gains over another, in points; empty if they have no unit, or the same runs.

    Of mAP and rank-1 each: the ``difference`` at the same units and queries, the ends ``low`` and
    ``high`` of its 95 % interval and the ``p`` of :func:`stgcn_pyg.evaluation.compare`, its
    ``difference sd`` over units, and ``higher in``, the number of units in which it is above 0.
    """
    found = pair(baseline, others, protocol)
    both = [(run, others[unit]) for unit, run in baseline.items() if unit in others]
    if found is None or all(run.about["key"] == other.about["key"] for run, other in both):
        return {}
    record: dict[str, float] = {}
    for name in COMPARED:
        by_unit = [
            100
            * (statistic(other.results[protocol], name) - statistic(run.results[protocol], name))
            for run, other in both
        ]
        record |= {
            f"{name} difference": 100 * found.difference[name],
            f"{name} low": 100 * found.low[name],
            f"{name} high": 100 * found.high[name],
            f"{name} p": found.p_value[name],
            f"{name} difference sd": _spread(by_unit),
            f"{name} higher in": sum(value > 0 for value in by_unit),
            "pairs": len(by_unit),
        }
    return record


def _spread(values: Sequence[float]) -> float:
    """The standard deviation with n - 1; NaN of fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
