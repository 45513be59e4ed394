"""Numbers as text; tables as CSV, Markdown and LaTeX; figures as PNG and SVG."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from experiments.experiment import Experiment
from experiments.running.datasets import in_words
from experiments.running.results import write_bytes
from experiments.running.run_job import RunContext
from experiments.tables.aggregate import COMPARED, PLACES
from stgcn_pyg.figures import to_bytes

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
    """
    faults = ""
    if context.source.faults:
        faults = (
            f"The data set has faults, which were allowed ({in_words(context.source.faults)}): an "
            "image that cannot be read was replaced by another frame of its tracklet."
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


def write_figure(path: Path, figure: Figure) -> None:
    """Writes a figure as ``.png`` and ``.svg``; RunError as :func:`write_bytes`."""
    for kind in ("png", "svg"):
        write_bytes(path.with_suffix(f".{kind}"), to_bytes(figure, kind, dpi=150))


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


def rows_in_words(table: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """What :func:`experiments.tables.aggregate.tabulate` returns, as text."""
    columns = {"runs": table["runs"].map("{:.0f}".format)}
    columns |= {name: _each(table, _mean, name) for name in COMPARED}
    columns |= _compared(table, f" less {baseline}'s") | _printed(table, "", "{:.2f}")
    return pd.DataFrame(columns)


def pairs_in_words(table: pd.DataFrame) -> pd.DataFrame:
    """What :func:`experiments.tables.aggregate.tabulate_pairs` returns, as text."""
    runs = {"runs": table["pairs"].map("{:.0f}".format)}
    return pd.DataFrame(runs | _compared(table, "") | _printed(table, " difference", "{:+z.2f}"))


def with_spread(mean: float, spread: float, digits: int) -> str:
    """A mean and its standard deviation, such as ``17.8 ± 0.3``; either may be NaN."""
    if np.isnan(mean):
        return MISSING
    text = f"{mean:.{digits}f}"
    return text if np.isnan(spread) else f"{text} ± {spread:.{digits}f}"


def _mean(row: pd.Series, name: str) -> str:
    return with_spread(row[name], row[f"{name} sd"], 1)


def _compared(table: pd.DataFrame, less: str) -> dict[str, pd.Series]:
    """Differences with their intervals and p-values, and how they vary over runs."""
    columns = {}
    for name in COMPARED:
        columns[f"{name}{less} [95 %], p"] = _each(table, _difference, name)
        columns[f"{name}: ± over runs, above 0 in"] = _each(table, _over_runs, name)
    return columns


def _printed(table: pd.DataFrame, what: str, form: str) -> dict[str, pd.Series]:
    """The paper's figures, or their differences."""
    columns = {}
    for place in PLACES:
        names = [f"paper's {name}{what}, {place}" for name in COMPARED]
        if set(names) <= set(table):
            columns[f"paper, {place}: mAP, rank-1"] = _each(table[names], _figures, form)
    return columns


def _each(table: pd.DataFrame, write: Callable[..., str], *arguments: str) -> pd.Series:
    return pd.Series({name: write(row, *arguments) for name, row in table.iterrows()})


def _figures(row: pd.Series, form: str) -> str:
    return MISSING if row.isna().any() else ", ".join(form.format(each) for each in row)


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
