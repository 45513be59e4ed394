"""The tables and the figure of an experiment whose test gets harder step by step."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from experiments.running.jobs import Unit
from experiments.running.perform import Workshop
from experiments.tables.conditions import Condition, in_words, tabulate_conditions, trends
from experiments.tables.curves import draw_lines, write_figure
from experiments.tables.files import write_tables
from experiments.tables.finished import clips_of
from experiments.tables.write_table import MISSING
from experiments.variants import Experiment
from stgcn_pyg.evaluation import format_interval


def write_conditions(
    experiment: Experiment,
    shop: Workshop,
    conditions: Sequence[Condition],
    at: Sequence[Mapping[Unit, np.ndarray]],
    axis: str,
    protocol: str,
    step: tuple[float, str],
) -> str:
    """Writes ``NAME.csv``, ``.md``, ``.tex``, ``.png`` and ``.svg``.

    Args:
        experiment: Whose rows they are.
        shop: Where the runs were made; its results' folder receives the files.
        conditions: From easy to hard.
        at: For each condition, where each query of each unit stands on the axis.
        axis: Its label.
        protocol: The name of the protocol.
        step: For which change on the axis the trend is told, and that in words.

    Returns:
        The Markdown.

    Raises:
        RunError: They cannot be written; what was there stays.
    """
    table = tabulate_conditions(experiment, conditions)
    lines = [
        (row.name, table.loc[row.name].set_index("at").rename(columns={"mAP": "value"}))
        for row in experiment.rows
        if table.loc[row.name, "mAP"].notna().all()
    ]
    places = [condition.at for condition in conditions]
    references = {
        name: pd.Series([100 * each.references[name] for each in conditions], places)
        for name in conditions[0].references
    }
    figure = draw_lines(lines, axis, f"mAP, per cent ({protocol})", list(references.items()))
    write_figure(shop.results.path / experiment.name, figure)
    scores = in_words(table, ("mAP", "low", "high"), signed=False)
    for name, values in references.items():
        scores.loc[name] = [f"{value:.1f}" for value in values]
    differences = in_words(
        table, ("difference", "difference low", "difference high"), signed=True
    ).drop(index=experiment.baseline)
    per, what = step
    growth = per * trends(experiment, conditions, at)
    differences[what] = MISSING
    for name, (value, low, high) in (growth / 100).iterrows():
        differences.loc[name, what] = format_interval(value, low, high, signed=True)
    introduction = (
        f"{shop.results.path.name}: {protocol}, mAP in per cent; the 95 % intervals are over the "
        "test people, for the networks that were trained. "
        f"Scored by {clips_of(conditions[0].runs)}.\n\n"
        f"![{experiment.title}]({experiment.name}.png)"
    )
    words = {"mAP": scores, "mAP less the baseline's": differences}
    return write_tables(experiment, shop, table, introduction, words)
