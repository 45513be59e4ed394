"""Tables of rows against the baseline, or beside published results, and their figure."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from experiments.experiment import Experiment
from experiments.running.jobs import Job
from experiments.running.run_job import RunContext
from experiments.tables.aggregate import (
    COMPARED,
    NOTHING,
    STATISTICS,
    clips_of,
    made_on,
    named_protocols,
    read_runs,
    tabulate,
    tabulate_pairs,
    unlike_the_means,
)
from experiments.tables.write_table import (
    MISSING,
    pairs_in_words,
    rows_in_words,
    with_spread,
    write_figure,
    write_tables,
)
from experiments.tables_1_to_4 import published_results
from stgcn_pyg.figures import COLOURS, new_figure

ON_DUKE = "dukemtmc-videoreid"
WIDTH, HEIGHT = 4.2, 3.4  # inches, of a panel


def write_comparison(experiment: Experiment, jobs: Sequence[Job], context: RunContext) -> str:
    """Writes an experiment's tables, and its figure if it has one, into the results folder.

    Args:
        experiment: The experiment; a row without a finished run has dashes.
        jobs: The runs to take, if they are finished.
        context: Where they were made.

    Returns:
        The Markdown.

    Raises:
        RunError: A file cannot be written; what was there is kept.
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
        words[name] = rows_in_words(table, baseline)
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
    """A paragraph on rows whose difference is not that of the means; empty if there are none."""
    names = list(dict.fromkeys(rows))
    if not names:
        return ""
    return (
        "\n\nA difference is over the runs that both rows have, and counts each of their queries "
        f"alike. So it is not the difference of the means in the rows {', '.join(names)}: these "
        "means are over other runs, or over splits with other numbers of queries."
    )


def draw_panels(
    experiment: Experiment, table: pd.DataFrame, protocol: str, with_paper: bool
) -> Figure:
    """The difference of each row to the baseline and its 95 % interval, in panels side by side.

    The paper's points are differences to the paper's baseline, so that they can be shown beside
    those of any data set.

    Args:
        experiment: The experiment, whose panels are drawn.
        table: What :func:`experiments.tables.aggregate.tabulate` returns.
        protocol: Name of the protocol, for the axis.
        with_paper: Whether the data set is the paper's.
    """
    figure = new_figure(WIDTH * len(experiment.panels), HEIGHT)
    axes = figure.subplots(1, len(experiment.panels), sharey=True, squeeze=False)[0]
    for (label, names), place in zip(experiment.panels.items(), axes, strict=True):
        rows = table.reindex(list(names.values())).set_axis(list(names))
        for statistic, colour in zip(COMPARED, COLOURS, strict=False):
            if f"{statistic} difference" in rows:
                found = rows[rows[f"{statistic} difference"].notna()]
                value = found[f"{statistic} difference"]
                errors = [value - found[f"{statistic} low"], found[f"{statistic} high"] - value]
                style = {"marker": "o", "capsize": 3, "color": colour, "label": statistic}
                place.errorbar(found.index, value, errors, **style)
            if (name := f"paper's {statistic}, MARS") in rows:
                gains = (rows[name] - table.loc[experiment.baseline, name]).dropna()
                style = {"markerfacecolor": "none", "color": colour}
                place.plot(gains.index, gains, "D", label=f"{statistic}, the paper's", **style)
        place.axhline(0, color="black", linewidth=0.8)
        place.grid(alpha=0.3)
        place.spines[["top", "right"]].set_visible(False)
        place.set_xticks(list(names))
        place.set_xlabel(label)
    axes[0].set_ylabel(f"less the baseline's, points ({protocol})")
    axes[0].legend(fontsize=7, frameon=False)
    if not with_paper:
        figure.suptitle("hollow: the paper's, on MARS", fontsize=8)
    return figure


def write_published(experiment: Experiment, jobs: Sequence[Job], context: RunContext) -> str:
    """Writes published results beside the runs here; see :func:`write_comparison`."""
    results = context.results
    runs = read_runs(jobs, context)
    parts = [published_results(2 if results.dataset == ON_DUKE else 1)]
    for protocol in named_protocols(runs):
        table = tabulate(experiment, runs, protocol)
        columns = [column for name in STATISTICS for column in (name, f"{name} sd")]
        part = table[[*columns, "runs"]].rename_axis("method").reset_index()
        part["method"] += ", here"
        parts.append(part.assign(protocol=protocol, source=results.path.name))
    numbers = pd.concat(parts).set_index("method")
    introduction = (
        f"Per cent, as printed; {MISSING} where nothing is given. An empty protocol: it is not "
        "told, and results are not comparable to a point or two (docs/protocols.md)."
    )
    if results.dataset not in ("mars", ON_DUKE):
        introduction += f" The runs here are on {results.dataset}, all others on MARS."
    if any(runs.values()):
        introduction += f" The runs here were scored by {clips_of(runs)}."
    words = pd.DataFrame(index=numbers.index)
    for name in STATISTICS:
        spread = numbers.get(f"{name} sd", pd.Series(np.nan, numbers.index))
        both = zip(numbers[name], spread, strict=True)
        words[name] = [with_spread(mean, sd, 2) for mean, sd in both]
    words = words.assign(protocol=numbers["protocol"], source=numbers["source"])
    return write_tables(experiment, context, numbers, introduction, {"": words})
