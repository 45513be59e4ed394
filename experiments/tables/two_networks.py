"""Figures 5 and 6: two trained networks on the same queries, where they differ most."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from experiments.experiment import Experiment
from experiments.running.jobs import Job
from experiments.running.run_job import RunContext
from experiments.tables.write_table import write_figure, write_tables
from stgcn_pyg.evaluation import protocol
from stgcn_pyg.explain import (
    EvaluatedModel,
    RenderedTruth,
    choose_queries,
    has_truth,
    mass_on_person,
)
from stgcn_pyg.explain.output import draw_list, whole_queries
from stgcn_pyg.figures import draw_activation_maps
from stgcn_pyg.runs.checkpoint import load_checkpoint
from stgcn_pyg.runs.embedding import label_tracklets, ranking_task
from stgcn_pyg.synthetic import VERSIONS

MAPS = 2  # of gains, of losses, and of random queries, whose maps are drawn
LISTS = 3  # of gains, and of losses, whose lists are drawn
TOP = 5  # tracklets of a list
MAP = "embedding"  # that of all branches together


def write_activation_maps(experiment: Experiment, jobs: Sequence[Job], context: RunContext) -> str:
    """Writes both networks' maps over the same clips, and on rendered data how they fit the person.

    Returns:
        The Markdown, or why there is nothing to draw yet.

    Raises:
        UserError: An image is missing or damaged.
    """
    models = models_of(experiment, jobs, context)
    if isinstance(models, str):
        return models
    baseline, other = models.values()
    scores = other.result.average_precision
    chosen = most_changed(scores - baseline.result.average_precision, MAPS)
    random = choose_queries(scores, "random", MAPS)
    chosen |= {f"random {place}": int(row) for place, row in enumerate(random, start=1)}
    explained = {name: model.explain(list(chosen.values())) for name, model in models.items()}
    folder = image_folder(experiment, context)
    files = {}
    for place, (choice, row) in enumerate(chosen.items()):
        maps = {name: found.maps[MAP][place] for name, found in explained.items()}
        clip = baseline.clip(row, next(iter(explained.values())).frames[place])
        title = f"{choice}: {baseline.name(baseline.queries.iloc[row])}"
        files[choice] = _draw(folder, choice, draw_activation_maps(clip, maps, title))
    table = describe(models, chosen)
    words = {"The clips": words_of(table)}
    dataset = baseline.data.dataset
    if has_truth(dataset.root):
        mass = _mass(models, RenderedTruth(dataset.root))
        text = mass.map("{:.1f}".format).agg(" ± ".join, axis="columns").unstack(sort=False)
        measures = ["mass", "elsewhere", "gain", "uniform", "most"]
        words["Mass on the person, over all queries"] = text[measures]
        mass.index = mass.index.map(", ".join)
        table = pd.concat([table, mass])
    first, second = models
    introduction = (
        f"{context.results.path.name}, {jobs[0].unit}: Grad-CAM of the whole embedding, towards "
        "the nearest right tracklet, for the first clip of queries. gain and loss: where average "
        f"precision rises and falls most from {first} to {second}; random: drawn by chance. A row "
        f"of a picture has one scale.\n\n{in_markdown(context, files)}"
    )
    return write_tables(experiment, context, table, introduction, words)


def write_ranked_lists(experiment: Experiment, jobs: Sequence[Job], context: RunContext) -> str:
    """Writes both networks' ranked lists of the same queries; as :func:`write_activation_maps`."""
    models = models_of(experiment, jobs, context)
    if isinstance(models, str):
        return models
    baseline, other = (model.result.average_precision for model in models.values())
    chosen = most_changed(other - baseline, LISTS)
    if not chosen:
        return "both networks rank every query alike"
    folder = image_folder(experiment, context)
    files = {}
    for choice, row in chosen.items():
        for name, model in models.items():
            title = f"{choice}, {name}"
            precision = 100 * model.result.average_precision[row]
            caption = f"{title}: average precision {precision:.1f} %"
            files[title] = _draw(folder, title, draw_list(model, row, TOP, caption)[0])
    table = describe(models, chosen)
    first, second = models
    introduction = (
        f"{context.results.path.name}, {jobs[0].unit}, {models[first].protocol.name}: the {LISTS} "
        f"queries whose average precision rises most from {first} to {second}, and the {LISTS} "
        "where it falls most. A tick is right, a cross wrong; what the protocol leaves out is "
        f"dotted.\n\n{in_markdown(context, files)}"
    )
    return write_tables(experiment, context, table, introduction, {"": words_of(table)})


def models_of(
    experiment: Experiment, jobs: Sequence[Job], context: RunContext
) -> dict[str, EvaluatedModel] | str:
    """Each row's network at the first split and seed, by name; or why they are not there yet."""
    chosen = {job.row.name: job for job in jobs if job.unit == jobs[0].unit}
    for name in (row.name for row in experiment.rows):
        job = chosen.get(name)
        if job is None or not context.results.is_finished(job.key):
            return f"{name}: no run is finished"
        if not context.has_weights(job):
            return (
                f"{job}: was trained elsewhere, and its weights are not under --work: pass other "
                "--results to train it here"
            )
    return {row.name: _model(chosen[row.name], context) for row in experiment.rows}


def _model(job: Job, context: RunContext) -> EvaluatedModel:
    dataset = context.source.load(job.unit.split)
    model, _ = load_checkpoint(context.run_folder(job))
    task = ranking_task(dataset)
    labels = label_tracklets(dataset)
    embeddings = torch.from_numpy(np.load(context.embeddings(job)))
    query, gallery = (
        embeddings[torch.tensor(labels[side].to_numpy(copy=True))]
        for side in ("is_query", "is_gallery")
    )
    model, rule = model.to(context.device).eval(), protocol(task.protocols[0])
    return EvaluatedModel(model, context.data(job), task, rule, query, gallery, context.device)


def most_changed(difference: np.ndarray, count: int) -> dict[str, int]:
    """The queries whose average precision gains most and loses most, the most first.

    ``difference`` is ``[Q]``, NaN where a query has no match; ``count`` is the most of each.

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


def describe(models: Mapping[str, EvaluatedModel], chosen: Mapping[str, int]) -> pd.DataFrame:
    """What each network scores at the chosen queries, a row a query, by the name of the choice."""
    rows = list(chosen.values())
    queries = next(iter(models.values())).queries.iloc[rows]
    table = queries[["pid", "camid"]].reset_index(names="tracklet")
    for name, model in models.items():
        table[f"{name}: AP"] = 100 * model.result.average_precision[rows]
        table[f"{name}: first match at"] = model.result.first_match_rank[rows]
    return table.set_axis(pd.Index(list(chosen), name="query"))


def words_of(table: pd.DataFrame) -> pd.DataFrame:
    """The same as text: one digit after the point for an average precision, ranks as integers."""
    forms = {name: "{:.1f}" if name.endswith("AP") else "{:.0f}" for name in table}
    return pd.DataFrame({name: table[name].map(form.format) for name, form in forms.items()})


def _mass(models: Mapping[str, EvaluatedModel], truth: RenderedTruth) -> pd.DataFrame:
    """By network and measure: ``value`` and ``standard_error``, in per cent."""
    tables = {}
    for name, model in models.items():
        rows = whole_queries(model)
        pids = model.queries["pid"].to_numpy()[rows]
        table = mass_on_person(model.explain(rows), truth, model.data.dataset.frames, pids)
        tables[name] = 100 * table.loc[MAP][["value", "standard_error"]]
    return pd.concat(tables, names=["network"])


def _draw(folder: Path, title: str, figure: Figure) -> Path:
    path = folder / title.replace(", ", "-").replace(" ", "-")
    write_figure(path, figure)
    return path.with_suffix(".png")


def image_folder(experiment: Experiment, context: RunContext) -> Path:
    """Where images go: beside the tables, but those of real people under ``--work`` alone."""
    home = context.results.path if context.source.name in VERSIONS else context.work
    return home / experiment.name


def in_markdown(context: RunContext, files: Mapping[str, Path]) -> str:
    """The images, by their titles, or a line that says where they are."""
    folder = next(iter(files.values())).parent
    if not folder.is_relative_to(context.results.path):
        return f"The images show real people: they are in `{folder.name}/` under `--work` alone."
    return "\n\n".join(
        f"![{title}]({path.relative_to(context.results.path).as_posix()})"
        for title, path in files.items()
    )
