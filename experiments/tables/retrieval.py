"""Ranked lists of two networks, where they differ most."""

from collections.abc import Sequence
from pathlib import Path

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
from stgcn_pyg.explain import EvaluatedModel
from stgcn_pyg.explain.output import draw_list

COUNT = 3  # of gains, and of losses
TOP = 5


def write_report(experiment: Experiment, jobs: Sequence[Job], context: RunContext) -> str:
    """Writes the lists and what the queries score.

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
    baseline, other = (subjects[row.name].result.average_precision for row in experiment.rows)
    chosen = most_changed(other - baseline, COUNT)
    if not chosen:
        return "both networks rank every query alike"
    folder = picture_folder(experiment, context)
    files = {}
    for choice, row in chosen.items():
        for name, subject in subjects.items():
            title = f"{choice}, {name}"
            files[title] = _draw(folder, subject, row, title)
    table = describe(subjects, chosen)
    introduction = (
        f"{context.results.path.name}, {jobs[0].unit}, "
        f"{next(iter(subjects.values())).protocol.name}: "
        f"the {COUNT} queries whose average precision rises most from {experiment.rows[0].name} to "
        f"{experiment.rows[1].name}, and the {COUNT} where it falls most. A tick is right, a cross "
        f"wrong; what the protocol leaves out is dotted.\n\n{in_markdown(context, files)}"
    )
    return write_tables(experiment, context, table, introduction, {"": words_of(table)})


def _draw(folder: Path, model: EvaluatedModel, row: int, title: str) -> Path:
    precision = 100 * model.result.average_precision[row]
    figure, _ = draw_list(model, row, TOP, f"{title}: average precision {precision:.1f} %")
    path = folder / title.replace(", ", "-").replace(" ", "-")
    write_figure(path, figure)
    return path.with_suffix(".png")
