"""The usual report: rows against the baseline under every protocol, and the figure if any."""

from collections.abc import Iterable, Sequence

import pandas as pd

from experiments.running.jobs import Job
from experiments.running.run_job import RunContext
from experiments.tables.aggregate import tabulate, tabulate_pairs, unlike_the_means
from experiments.tables.curves import draw_panels, write_figure
from experiments.tables.finished import NOTHING, clips_of, made_on, named_protocols, read_runs
from experiments.tables.write_table import in_words, pairs_in_words, write_tables
from experiments.variants import Experiment


def write_report(experiment: Experiment, jobs: Sequence[Job], context: RunContext) -> str:
    """Writes an experiment's tables, and its figure if it has one, into the results folder.

    Args:
        experiment: The experiment; a row without a finished run has dashes.
        jobs: The runs to take, if they are finished.
        context: Where they were made.

    Returns:
        The Markdown.

    Raises:
        RunError: A file cannot be written; what was there stays.
    """
    results = context.results
    runs = read_runs(jobs, context)
    tables = {name: tabulate(experiment, runs, name) for name in named_protocols(runs)}
    if not tables:
        return NOTHING
    done = sum(results.is_finished(job.key) for job in jobs)
    units = len({job.unit for job in jobs})
    introduction = (
        f"{results.path.name}: {done} of {len(jobs)} runs, {units} a row, on {made_on(runs)}; in "
        "per cent. ± is the standard deviation over seeds and splits. Differences are paired by "
        "seed, split and query; their intervals and p-values are over the test people and hold "
        "for the networks that were trained, not for other seeds."
    )
    introduction += f" Scored by {clips_of(runs)}."
    if experiment.panels:
        usual, table = next(iter(tables.items()))
        figure = draw_panels(experiment, table, usual, with_paper=results.dataset == "mars")
        write_figure(results.path / experiment.name, figure)
        introduction += f"\n\n![{experiment.title}]({experiment.name}.png)"
    words = {}
    baseline = experiment.baseline
    compared = {r.name: (r.name, baseline) for r in experiment.rows if r.name != baseline}
    for name, table in tables.items():
        words[name] = in_words(table, baseline)
        if experiment.pairs:
            pairs = tabulate_pairs(experiment, runs, name)
            words[f"{name}, rows less others"] = pairs_in_words(pairs)
            tables[name] = pd.concat([table, pairs])
            compared |= dict(zip(pairs.index, experiment.pairs, strict=True))
    introduction += note_on_means(
        name for table in tables.values() for name in unlike_the_means(table, compared)
    )
    numbers = pd.concat(tables, names=["protocol", "row"])
    return write_tables(experiment, context, numbers, introduction, words)


def note_on_means(rows: Iterable[str]) -> str:
    """A paragraph on the rows whose difference is not that of the means; empty if there are none.

    Args:
        rows: Their names, which :func:`experiments.tables.aggregate.unlike_the_means` returns.
    """
    names = list(dict.fromkeys(rows))
    if not names:
        return ""
    return (
        "\n\nA difference is over the runs that both rows have, and counts each of their queries "
        f"alike. So it is not the difference of the means in the rows {', '.join(names)}: these "
        "means are over other runs, or over splits with other numbers of queries."
    )
