"""Tables 1 and 2: published results beside the runs here."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from experiments.running.jobs import Job
from experiments.running.run_job import RunContext
from experiments.tables.aggregate import STATISTICS, tabulate
from experiments.tables.finished import clips_of, named_protocols, read_runs
from experiments.tables.write_table import MISSING, write_tables
from experiments.tables_1_to_4 import published_results
from experiments.variants import Experiment

ON_DUKE = "dukemtmc-videoreid"


def write_report(experiment: Experiment, jobs: Sequence[Job], context: RunContext) -> str:
    """Writes the tables; arguments as of :func:`experiments.tables.usual.write_report`."""
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
    return write_tables(experiment, context, numbers, introduction, {"": _in_words(numbers)})


def _in_words(numbers: pd.DataFrame) -> pd.DataFrame:
    columns = {}
    for statistic in STATISTICS:
        spread = numbers.get(f"{statistic} sd", pd.Series(np.nan, numbers.index))
        columns[statistic] = [
            MISSING if np.isnan(value) else f"{value:.2f}" + f" ± {sd:.2f}" * (not np.isnan(sd))
            for value, sd in zip(numbers[statistic], spread, strict=True)
        ]
    return pd.DataFrame(columns, numbers.index).assign(
        protocol=numbers["protocol"], source=numbers["source"]
    )
