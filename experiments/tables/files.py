"""A table as CSV, Markdown and LaTeX."""

from collections.abc import Mapping

import pandas as pd

from experiments.running.datasets import Source, counted
from experiments.running.perform import Workshop
from experiments.running.results import write_text
from experiments.tables.write_table import to_latex, to_markdown
from experiments.variants import Experiment


def write_tables(
    experiment: Experiment,
    shop: Workshop,
    numbers: pd.DataFrame,
    introduction: str,
    words: Mapping[str, pd.DataFrame],
) -> str:
    """Writes ``NAME.csv``, ``NAME.md`` and ``NAME.tex``.

    Args:
        experiment: Whose tables they are.
        shop: Where the runs were made; its results' folder receives the tables.
        numbers: All of them, for the CSV.
        introduction: What stands above them. Faults of the data set are told below it.
        words: The same as text, by heading; LaTeX has the first alone.

    Returns:
        The Markdown.

    Raises:
        RunError: They cannot be written; what was there stays.
    """
    faults = _faults_in_words(shop.source)
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
        write_text(shop.results.path / f"{experiment.name}{suffix}", content)
    return markdown


def _faults_in_words(source: Source) -> str:
    """A sentence on the faults that were allowed; nothing if there are none."""
    if not source.faults:
        return ""
    return (
        f"The data set has faults, which were allowed ({counted(source.faults)}): a picture that "
        "cannot be read was replaced by another frame of its tracklet."
    )
