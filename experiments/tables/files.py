"""A table as CSV, Markdown and LaTeX."""

from collections.abc import Mapping

import pandas as pd

from experiments.running.results import ResultsFolder, write_text
from experiments.tables.write_table import to_latex, to_markdown
from experiments.variants import Experiment


def write_tables(
    experiment: Experiment,
    results: ResultsFolder,
    numbers: pd.DataFrame,
    introduction: str,
    words: Mapping[str, pd.DataFrame],
) -> str:
    """Writes ``NAME.csv``, ``NAME.md`` and ``NAME.tex``.

    Args:
        experiment: Whose tables they are.
        results: The folder that receives them.
        numbers: All of them, for the CSV.
        introduction: What stands above them.
        words: The same as text, by heading; LaTeX has the first alone.

    Returns:
        The Markdown.

    Raises:
        RunError: They cannot be written; what was there stays.
    """
    parts = [f"# {experiment.title}", introduction]
    for heading, table in words.items():
        parts += [f"## {heading}"] * bool(heading) + [to_markdown(table)]
    markdown = "\n\n".join(parts) + "\n"
    heading, first = next(iter(words.items()))
    caption = ". ".join(filter(None, (experiment.title, heading))) + "; in per cent."
    contents = {
        ".csv": numbers.round(4).to_csv(),
        ".tex": to_latex(first, caption),
        ".md": markdown,
    }
    for suffix, content in contents.items():
        write_text(results.path / f"{experiment.name}{suffix}", content)
    return markdown
