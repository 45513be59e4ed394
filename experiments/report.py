"""An experiment's tables, from whatever is finished."""

from collections.abc import Sequence

import pandas as pd

from experiments.aggregate import Runs, tabulate
from experiments.claims import Claim
from experiments.jobs import Job, Unit
from experiments.results import ResultsFolder, RunResult, write_text
from experiments.variants import Experiment
from experiments.write_table import in_words, to_latex, to_markdown


def write_report(experiment: Experiment, jobs: Sequence[Job], results: ResultsFolder) -> str:
    """Writes ``NAME.csv``, ``NAME.md`` and ``NAME.tex`` into the results' folder.

    Args:
        experiment: Whose rows they are; those without a finished run have dashes.
        jobs: The runs to take, if they are finished.
        results: The folder.

    Returns:
        The Markdown.

    Raises:
        RunError: They cannot be written; what was there stays.
    """
    with Claim(results.claims, "tables").waited_for():
        runs = read_runs(jobs, results)
        protocols = list(
            dict.fromkeys(p for each in runs.values() for r in each.values() for p in r.results)
        )
        if not protocols:
            return "no run is finished"
        tables = {protocol: tabulate(experiment, runs, protocol) for protocol in protocols}
        text = _markdown(experiment, jobs, results, tables)
        csv = pd.concat(tables, names=["protocol", "row"]).round(4).to_csv()
        usual = protocols[0]
        latex = to_latex(in_words(tables[usual]), f"{experiment.title}. {usual}; in per cent.")
        for suffix, content in ((".csv", csv), (".tex", latex), (".md", text)):
            write_text(results.path / f"{experiment.name}{suffix}", content)
    return text


def read_runs(jobs: Sequence[Job], results: ResultsFolder) -> Runs:
    """Those of the jobs that are finished."""
    runs: dict[str, dict[Unit, RunResult]] = {}
    for job in jobs:
        if results.is_finished(job.key):
            runs.setdefault(job.row.name, {})[job.unit] = results.read(job.key)
    return runs


def _markdown(
    experiment: Experiment,
    jobs: Sequence[Job],
    results: ResultsFolder,
    tables: dict[str, pd.DataFrame],
) -> str:
    done = sum(results.is_finished(job.key) for job in jobs)
    units = len({job.unit for job in jobs})
    lines = [
        f"# {experiment.title}",
        "",
        f"{results.path.name}: {done} of {len(jobs)} runs, {units} a row; in per cent. ± is the "
        "standard deviation over seeds and splits. Differences are paired by seed, split and "
        "query; their intervals and p-values are over the test people and hold for the networks "
        "that were trained, not for other seeds.",
    ]
    for protocol, table in tables.items():
        lines += ["", f"## {protocol}", "", to_markdown(in_words(table))]
    return "\n".join(lines) + "\n"
