"""Activation maps of two networks over the same clips."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.running.jobs import Job
from experiments.running.run_job import RunContext
from experiments.tables.curves import write_figure
from experiments.tables.two_models import (
    describe,
    in_markdown,
    most_changed,
    picture_folder,
    subjects_of,
    words_of,
)
from experiments.tables.write_table import write_tables
from experiments.variants import Experiment
from stgcn_pyg.explain import (
    EvaluatedModel,
    RenderedTruth,
    choose_queries,
    has_truth,
    mass_on_person,
)
from stgcn_pyg.explain.output import whole_queries
from stgcn_pyg.figures import draw_activation_maps

COUNT = 2  # of gains, of losses, and of random queries
MAP = "embedding"  # that of all branches together


def write_report(experiment: Experiment, jobs: Sequence[Job], context: RunContext) -> str:
    """Writes the maps, and on a rendered data set how much of them lies on the person.

    Args:
        experiment: Of a baseline and another network.
        jobs: The runs to take.
        context: Its results' folder receives ``NAME.csv``, ``NAME.md`` and ``NAME.tex``.

    Returns:
        The Markdown, or why there is nothing to see yet.

    Raises:
        UserError: A picture is bad.
        RunError: A file cannot be written.
    """
    subjects = subjects_of(experiment, jobs, context)
    if isinstance(subjects, str):
        return subjects
    chosen = _choose(*(subjects[row.name] for row in experiment.rows))
    rows = list(chosen.values())
    explained = {name: subject.explain(rows) for name, subject in subjects.items()}
    folder = picture_folder(experiment, context)
    files = {}
    for place, (choice, row) in enumerate(chosen.items()):
        maps = {name: found.maps[MAP][place] for name, found in explained.items()}
        subject = next(iter(subjects.values()))
        frames = next(iter(explained.values())).frames[place]
        files[choice] = _draw(folder, choice, subject, row, frames, maps)
    table = describe(subjects, chosen)
    words = {"The clips": words_of(table)}
    dataset = context.source.load(jobs[0].unit.split)
    if has_truth(dataset.root):
        mass = _mass(subjects, RenderedTruth(dataset.root))
        words["Mass on the person, over all queries"] = _mass_in_words(mass)
        mass.index = mass.index.map(", ".join)
        table = pd.concat([table, mass])
    introduction = (
        f"{context.results.path.name}, {jobs[0].unit}: Grad-CAM of the whole embedding, towards "
        "the nearest right tracklet, for the first clip of queries. gain and loss: where average "
        f"precision rises and falls most from {experiment.rows[0].name} to "
        f"{experiment.rows[1].name}; random: drawn by chance. A row of a picture has one scale."
        f"\n\n{in_markdown(context, files)}"
    )
    return write_tables(experiment, context, table, introduction, words)


def _choose(baseline: EvaluatedModel, other: EvaluatedModel) -> dict[str, int]:
    scores = other.result.average_precision
    chosen = most_changed(scores - baseline.result.average_precision, COUNT)
    random = choose_queries(scores, "random", COUNT)
    return chosen | {f"random {i}": int(row) for i, row in enumerate(random, start=1)}


def _draw(
    folder: Path,
    choice: str,
    model: EvaluatedModel,
    row: int,
    frames: np.ndarray,
    maps: Mapping[str, np.ndarray],
) -> Path:
    title = f"{choice}: {model.name(model.queries.iloc[row])}"
    path = folder / choice.replace(" ", "-")
    write_figure(path, draw_activation_maps(model.clip(row, frames), maps, title))
    return path.with_suffix(".png")


def _mass(models: Mapping[str, EvaluatedModel], truth: RenderedTruth) -> pd.DataFrame:
    tables = {}
    for name, model in models.items():
        rows = whole_queries(model)
        pids = model.queries["pid"].to_numpy()[rows]
        table = mass_on_person(model.explain(rows), truth, model.data.dataset.frames, pids)
        tables[name] = 100 * table.loc[MAP][["value", "standard_error"]]
    return pd.concat(tables, names=["network"])


def _mass_in_words(mass: pd.DataFrame) -> pd.DataFrame:
    """A row a network, a column a measure."""
    text = mass["value"].map("{:.1f}".format) + " ± " + mass["standard_error"].map("{:.1f}".format)
    return text.unstack(sort=False)[["mass", "elsewhere", "gain", "uniform", "most"]]
