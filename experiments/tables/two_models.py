"""Two trained networks on the same test set, and the queries in which they differ most."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from experiments.running.jobs import Job
from experiments.running.run_job import RunContext
from experiments.variants import Experiment
from stgcn_pyg.evaluation import protocol
from stgcn_pyg.explain import EvaluatedModel
from stgcn_pyg.runs.checkpoint import load_checkpoint
from stgcn_pyg.runs.embedding import label_tracklets, ranking_task
from stgcn_pyg.synthetic import VERSIONS


def subjects_of(
    experiment: Experiment, jobs: Sequence[Job], context: RunContext
) -> dict[str, EvaluatedModel] | str:
    """Each row's network at the first split and seed, by the name of the row.

    Returns:
        They, or in words why they cannot be had yet.
    """
    first = [job for job in jobs if job.unit == jobs[0].unit]
    names = [row.name for row in experiment.rows]
    chosen = {job.row.name: job for job in first}
    for name in names:
        job = chosen.get(name)
        if job is None or not context.results.is_finished(job.key):
            return f"{name}: no run is finished"
        if not context.has_weights(job):
            return (
                f"{job}: was trained elsewhere, and its weights are not under --work: pass other "
                "--results to train it here"
            )
    return {name: _subject(chosen[name], context) for name in names}


def _subject(job: Job, context: RunContext) -> EvaluatedModel:
    dataset = context.source.load(job.unit.split)
    model, _ = load_checkpoint(context.run_folder(job))
    task = ranking_task(dataset)
    labels = label_tracklets(dataset)
    embeddings = torch.from_numpy(np.load(context.embeddings(job)))
    query, gallery = (
        embeddings[torch.tensor(labels[side].to_numpy(copy=True))]
        for side in ("is_query", "is_gallery")
    )
    device = context.device
    data = context.data(job)
    rule = protocol(task.protocols[0])
    return EvaluatedModel(model.to(device).eval(), data, task, rule, query, gallery, device)


def most_changed(difference: np.ndarray, count: int) -> dict[str, int]:
    """Queries that gain and lose most, the most first.

    Args:
        difference: Of average precision, ``[Q]``; NaN where a query has no match.
        count: How many of each at most; one that stays as it was is neither.

    Returns:
        Rows by ``"gain 1"``, ``"gain 2"``, ..., ``"loss 1"``, ...

    Example:
        >>> most_changed(np.array([0.1, -0.4, 0.0, 0.3, np.nan]), 2)
        {'gain 1': 3, 'gain 2': 0, 'loss 1': 1}
    """
    chosen = {}
    for name, values in (("gain", difference), ("loss", -difference)):
        order = np.argsort(-values, kind="stable")  # NaN comes last
        for place, row in enumerate(order[values[order] > 0][:count], start=1):
            chosen[f"{name} {place}"] = int(row)
    return chosen


def describe(subjects: Mapping[str, EvaluatedModel], chosen: Mapping[str, int]) -> pd.DataFrame:
    """The chosen queries and what each network makes of them, a row a query.

    Args:
        subjects: By the name of the network.
        chosen: Rows of queries by the name of the choice.
    """
    queries = next(iter(subjects.values())).queries.iloc[list(chosen.values())]
    table = queries[["pid", "camid"]].reset_index(names="tracklet")
    for name, subject in subjects.items():
        rows = list(chosen.values())
        table[f"{name}: AP"] = 100 * subject.result.average_precision[rows]
        table[f"{name}: first match at"] = subject.result.first_match_rank[rows]
    table.index = pd.Index(list(chosen), name="query")
    return table


def words_of(table: pd.DataFrame) -> pd.DataFrame:
    """The same as text: one digit after the point for an average precision, ranks as integers."""
    return pd.DataFrame(
        {
            name: column.map(("{:.1f}" if name.endswith("AP") else "{:.0f}").format)
            for name, column in table.items()
        }
    )


def picture_folder(experiment: Experiment, context: RunContext) -> Path:
    """Where pictures go: beside the tables, but those of real people where nothing is kept."""
    home = context.results.path if context.source.name in VERSIONS else context.work
    return home / experiment.name


def in_markdown(context: RunContext, files: Mapping[str, Path]) -> str:
    """The pictures, by their titles, or a line that says where they are."""
    folder = next(iter(files.values())).parent
    if not folder.is_relative_to(context.results.path):
        return f"The pictures show real people: they are in `{folder.name}/` under `--work` alone."
    return "\n\n".join(
        f"![{title}]({path.relative_to(context.results.path).as_posix()})"
        for title, path in files.items()
    )
