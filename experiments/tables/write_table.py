"""A table as Markdown and LaTeX: figures with their spread, differences with their interval."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from experiments.tables.aggregate import COMPARED

MISSING = "–"


def in_words(table: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """What :func:`experiments.tables.aggregate.tabulate` gives, as text to be read.

    Args:
        table: That.
        baseline: The name of the row that the others are compared with.
    """
    columns: dict[str, pd.Series] = {"runs": table["runs"].map("{:.0f}".format)}
    for name in COMPARED:
        columns[name] = _each(table, lambda row, name=name: _with_spread(row, name))
    for name in COMPARED:
        columns |= compared_in_words(table, name, f"{name} less {baseline}'s [95 %], p")
    for place in ("MARS", "Duke"):
        names = [f"paper's {name}, {place}" for name in COMPARED]
        if set(names) <= set(table):
            columns[f"paper, {place}: mAP, rank-1"] = _each(
                table, lambda row, names=names: _paper(row, names)
            )
    return pd.DataFrame(columns)


def compared_in_words(table: pd.DataFrame, name: str, title: str) -> dict[str, pd.Series]:
    """Two columns: a difference with its interval and p-value, and how it varies over runs.

    Args:
        table: With the columns of a difference.
        name: Of the statistic.
        title: Of the first column.
    """
    return {
        title: _each(table, lambda row: _difference(row, name)),
        f"{name}: ± over runs, above 0 in": _each(table, lambda row: _over_runs(row, name)),
    }


def told_of_means(rows: Iterable[str]) -> str:
    """Says of which rows the difference is not that of the means; nothing where there are none.

    Args:
        rows: Their names, as :func:`experiments.tables.aggregate.unlike_the_means` gives them.
    """
    names = list(dict.fromkeys(rows))
    if not names:
        return ""
    return (
        "\n\nA difference is over the runs that both rows have, and counts each of their queries "
        f"alike. So it is not the difference of the means in the rows {', '.join(names)}: these "
        "means are over other runs, or over splits with other numbers of queries."
    )


def to_markdown(table: pd.DataFrame) -> str:
    """A table of text, its index the first column.

    Example:
        >>> print(to_markdown(pd.DataFrame({"mAP": ["80.8"]}, index=["baseline"])))
        |  | mAP |
        | --- | ---: |
        | baseline | 80.8 |
    """
    lines = [
        ["", *table.columns],
        ["---", *["---:"] * len(table.columns)],
        *([name, *row] for name, row in zip(table.index, table.to_numpy().tolist(), strict=True)),
    ]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def to_latex(table: pd.DataFrame, caption: str) -> str:
    """The same for LaTeX, to be set with booktabs."""
    escaped = table.rename(index=str, columns=str)
    return escaped.to_latex(escape=True, caption=_escape(caption), column_format=_format(table))


def _format(table: pd.DataFrame) -> str:
    return "l" + "r" * len(table.columns)


def _escape(text: str) -> str:
    return text.replace("%", r"\%").replace("&", r"\&").replace("_", r"\_")


def _each(table: pd.DataFrame, write) -> pd.Series:
    return pd.Series({name: write(row) for name, row in table.iterrows()})


def _with_spread(row: Mapping[str, float], name: str) -> str:
    mean, spread = row[name], row[f"{name} sd"]
    if np.isnan(mean):
        return MISSING
    return f"{mean:.1f}" if np.isnan(spread) else f"{mean:.1f} ± {spread:.1f}"


def _difference(row: Mapping[str, float], name: str) -> str:
    difference = row.get(f"{name} difference", np.nan)
    if np.isnan(difference):
        return MISSING
    low, high, p = row[f"{name} low"], row[f"{name} high"], row[f"{name} p"]
    return f"{difference:+z.1f} [{low:+z.1f}, {high:+z.1f}], {p:.4f}"


def _over_runs(row: Mapping[str, float], name: str) -> str:
    """How the difference varies from run to run, in which the intervals have no part."""
    above = row.get(f"{name} higher in", np.nan)
    if np.isnan(above):
        return MISSING
    spread = row[f"{name} difference sd"]
    told = "" if np.isnan(spread) else f"{spread:.1f}, "
    return f"{told}{above:.0f} of {row['pairs']:.0f}"


def _paper(row: Mapping[str, float], names: list[str]) -> str:
    figures = [row[name] for name in names]
    return MISSING if np.isnan(figures).any() else ", ".join(f"{figure:.2f}" for figure in figures)
