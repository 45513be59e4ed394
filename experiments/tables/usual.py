"""The usual report: rows against the baseline under every protocol, and panels if there are any."""

from collections.abc import Sequence

import pandas as pd

from experiments.running.jobs import Job
from experiments.running.perform import Workshop
from experiments.tables.aggregate import tabulate, unlike_the_means
from experiments.tables.curves import draw_panels, write_figure
from experiments.tables.files import write_tables
from experiments.tables.finished import NOTHING, clips_of, made_on, named_protocols, read_runs
from experiments.tables.pairs import pairs_in_words, tabulate_pairs
from experiments.tables.write_table import in_words, told_of_means
from experiments.variants import Experiment


def write_report(experiment: Experiment, jobs: Sequence[Job], shop: Workshop) -> str:
    """Writes an experiment's tables, and its figure if it has one.

    Args:
        experiment: Whose rows they are; those without a finished run have dashes.
        jobs: The runs to take, if they are finished.
        shop: Its results' folder receives ``NAME.csv``, ``NAME.md``, ``NAME.tex`` and the figure.

    Returns:
        The Markdown.

    Raises:
        RunError: They cannot be written; what was there stays.
    """
    results = shop.results
    runs = read_runs(jobs, shop)
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
        with_paper = results.dataset == "mars"
        figure = draw_panels(experiment, table, usual, with_paper)
        write_figure(results.path / experiment.name, figure)
        introduction += f"\n\n![{experiment.title}]({experiment.name}.png)"
    words = {}
    compared = {
        row.name: (row.name, experiment.baseline)
        for row in experiment.rows
        if row.name != experiment.baseline
    }
    for name, table in tables.items():
        words[name] = in_words(table, experiment.baseline)
        if experiment.pairs:
            pairs = tabulate_pairs(experiment, runs, name)
            words[f"{name}, rows less others"] = pairs_in_words(pairs)
            tables[name] = pd.concat([table, pairs])
            compared |= dict(zip(pairs.index, experiment.pairs, strict=True))
    introduction += told_of_means(
        name for table in tables.values() for name in unlike_the_means(table, compared)
    )
    numbers = pd.concat(tables, names=["protocol", "row"])
    return write_tables(experiment, shop, numbers, introduction, words)
