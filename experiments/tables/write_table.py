"""Numbers as text, and tables as CSV, Markdown and LaTeX."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from experiments.running.results import write_bytes
from experiments.running.run_job import RunContext
from experiments.tables.aggregate import COMPARED, PLACES
from experiments.variants import Experiment

MISSING = "–"


def write_tables(
    experiment: Experiment,
    context: RunContext,
    numbers: pd.DataFrame,
    introduction: str,
    words: Mapping[str, pd.DataFrame],
) -> str:
    """Writes ``NAME.csv``, ``NAME.md`` and ``NAME.tex`` into the results folder.

    Args:
        experiment: The experiment.
        context: Where its runs were made.
        numbers: All numbers, for the CSV.
        introduction: The text above the tables. Below it stand the faults of the data set.
        words: Tables of text by heading; LaTeX has the first alone.

    Returns:
        The Markdown.

    Raises:
        RunError: They cannot be written; what was there stays.
    """
    faults = ""
    if context.source.faults:
        faults = (
            f"The data set has faults, which were allowed ({context.source.faults_in_words()}): a "
            "picture that cannot be read was replaced by another frame of its tracklet."
        )
    parts = [f"# {experiment.title}", introduction, *filter(None, [faults])]
    for heading, table in words.items():
        parts += [f"## {heading}"] * bool(heading) + [to_markdown(table)]
    markdown = "\n\n".join(parts) + "\n"
    heading, first = next(iter(words.items()))
    caption = ". ".join(filter(None, (experiment.title, heading))) + "; in per cent. " + faults
    contents = {
        ".csv": numbers.round(4).to_csv(),
        ".tex": to_latex(first, caption.strip()),
        ".md": markdown,
    }
    for suffix, content in contents.items():
        write_bytes(context.results.path / f"{experiment.name}{suffix}", content.encode())
    return markdown


def to_markdown(table: pd.DataFrame) -> str:
    """A table of text as Markdown, its index the first column."""
    lines = [
        ["", *table.columns],
        ["---", *["---:"] * len(table.columns)],
        *([name, *row] for name, row in zip(table.index, table.to_numpy().tolist(), strict=True)),
    ]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def to_latex(table: pd.DataFrame, caption: str) -> str:
    """A table of text as LaTeX, to be set with booktabs."""
    caption = caption.replace("%", r"\%").replace("&", r"\&").replace("_", r"\_")
    text = table.rename(index=str, columns=str)
    return text.to_latex(escape=True, caption=caption, column_format="l" + "r" * len(table.columns))


def in_words(table: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """What :func:`experiments.tables.aggregate.tabulate` returns, as text."""
    columns: dict[str, pd.Series] = {"runs": table["runs"].map("{:.0f}".format)}
    for name in COMPARED:
        columns[name] = _each(table, lambda row, name=name: _with_spread(row, name))
    for name in COMPARED:
        columns |= _compared(table, name, f"{name} less {baseline}'s [95 %], p")
    for place in PLACES:
        names = [f"paper's {name}, {place}" for name in COMPARED]
        if set(names) <= set(table):
            columns[f"paper, {place}: mAP, rank-1"] = _figures(table[names], "{:.2f}")
    return pd.DataFrame(columns)


def pairs_in_words(table: pd.DataFrame) -> pd.DataFrame:
    """What :func:`experiments.tables.aggregate.tabulate_pairs` returns, as text."""
    columns = {"runs": table["pairs"].map("{:.0f}".format)}
    for name in COMPARED:
        columns |= _compared(table, name, f"{name} [95 %], p")
    for place in PLACES:
        names = [f"paper's {name} difference, {place}" for name in COMPARED]
        columns[f"paper, {place}: mAP, rank-1"] = _figures(table[names], "{:+z.2f}")
    return pd.DataFrame(columns)


def _compared(table: pd.DataFrame, name: str, title: str) -> dict[str, pd.Series]:
    """A difference with its interval and p-value, and how it varies over runs."""
    return {
        title: _each(table, lambda row: _difference(row, name)),
        f"{name}: ± over runs, above 0 in": _each(table, lambda row: _over_runs(row, name)),
    }


def _each(table: pd.DataFrame, write: Callable[[pd.Series], str]) -> pd.Series:
    return pd.Series({name: write(row) for name, row in table.iterrows()})


def _figures(table: pd.DataFrame, form: str) -> pd.Series:
    return _each(
        table,
        lambda row: MISSING if row.isna().any() else ", ".join(form.format(each) for each in row),
    )


def _with_spread(row: pd.Series, name: str) -> str:
    mean, spread = row[name], row[f"{name} sd"]
    if np.isnan(mean):
        return MISSING
    return f"{mean:.1f}" if np.isnan(spread) else f"{mean:.1f} ± {spread:.1f}"


def _difference(row: pd.Series, name: str) -> str:
    difference = row.get(f"{name} difference", np.nan)
    if np.isnan(difference):
        return MISSING
    low, high, p = row[f"{name} low"], row[f"{name} high"], row[f"{name} p"]
    return f"{difference:+z.1f} [{low:+z.1f}, {high:+z.1f}], {p:.4f}"


def _over_runs(row: pd.Series, name: str) -> str:
    above = row.get(f"{name} higher in", np.nan)
    if np.isnan(above):
        return MISSING
    spread = row[f"{name} difference sd"]
    words = "" if np.isnan(spread) else f"{spread:.1f}, "
    return f"{words}{above:.0f} of {row['pairs']:.0f}"
