"""Rows compared with each other: Table 4's question is a graph against fully connected layers."""

import numpy as np
import pandas as pd

from experiments.tables.aggregate import COMPARED, Runs, differences
from experiments.tables.write_table import MISSING, compared_in_words
from experiments.variants import Experiment

NOT_PRINTED = (np.nan, np.nan)


def tabulate_pairs(experiment: Experiment, runs: Runs, protocol: str) -> pd.DataFrame:
    """A row a pair of the experiment, the first less the second, in per cent, under one protocol.

    Columns: ``pairs``, the units at which both are there; the columns of
    :func:`experiments.tables.aggregate.tabulate` that are of a difference; and the differences of
    the paper's figures.
    """
    records = {}
    for pair in experiment.pairs:
        first, second = (experiment.row(name) for name in pair)
        record = differences(runs.get(second.name, {}), runs.get(first.name, {}), protocol)
        record = {"pairs": 0} | record
        of_paper = {"MARS": (first.mars, second.mars), "Duke": (first.duke, second.duke)}
        for place, (minuend, subtrahend) in of_paper.items():
            change = np.subtract(minuend or NOT_PRINTED, subtrahend or NOT_PRINTED)
            record |= dict(zip(_of_paper(place), change, strict=True))
        records[f"{first.name} less {second.name}"] = record
    return pd.DataFrame.from_dict(records, orient="index")


def pairs_in_words(table: pd.DataFrame) -> pd.DataFrame:
    """What :func:`tabulate_pairs` gives, as text to be read."""
    columns = {"runs": table["pairs"].map("{:.0f}".format)}
    for name in COMPARED:
        columns |= compared_in_words(table, name, f"{name} [95 %], p")
    for place in ("MARS", "Duke"):
        columns[f"paper, {place}: mAP, rank-1"] = table[_of_paper(place)].apply(_signed, axis=1)
    return pd.DataFrame(columns)


def _of_paper(place: str) -> list[str]:
    return [f"paper's {name} difference, {place}" for name in COMPARED]


def _signed(figures: pd.Series) -> str:
    return MISSING if figures.isna().any() else ", ".join(f"{f:+z.2f}" for f in figures)
