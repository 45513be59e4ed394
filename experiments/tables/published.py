"""Published results beside the runs here."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from experiments.published import NEWER_ON_MARS, TABLE_1, TABLE_2, Published
from experiments.running.jobs import Job
from experiments.running.perform import Workshop
from experiments.tables.aggregate import STATISTICS, tabulate
from experiments.tables.files import write_tables
from experiments.tables.finished import clips_of, named_protocols, read_runs
from experiments.tables.write_table import MISSING
from experiments.variants import Experiment

ON_DUKE = "dukemtmc-videoreid"


def write_report(experiment: Experiment, jobs: Sequence[Job], shop: Workshop) -> str:
    """Writes the tables; as :func:`experiments.tables.usual.write_report`."""
    results = shop.results
    runs = read_runs(jobs, shop)
    records = [_published(row) for row in (TABLE_2 if results.dataset == ON_DUKE else _mars())]
    for protocol in named_protocols(runs):
        table = tabulate(experiment, runs, protocol)
        for name, row in table.iterrows():
            record = {"method": f"{name}, here", "protocol": protocol, "source": results.path.name}
            for statistic in STATISTICS:
                record |= {statistic: row[statistic], f"{statistic} sd": row[f"{statistic} sd"]}
            records.append(record | {"runs": row["runs"]})
    numbers = pd.DataFrame(records).set_index("method")
    introduction = (
        f"Per cent, as printed; {MISSING} where nothing is given. An empty protocol: it is not "
        "told, and results are not comparable to a point or two (docs/protocols.md)."
    )
    if results.dataset not in ("mars", ON_DUKE):
        introduction += f" The runs here are on {results.dataset}, all others on MARS."
    if any(runs.values()):
        introduction += f" The runs here were scored by {clips_of(runs)}."
    return write_tables(experiment, shop, numbers, introduction, {"": numbers.pipe(_in_words)})


def _mars() -> tuple[Published, ...]:
    return TABLE_1 + NEWER_ON_MARS


def _published(row: Published) -> dict[str, object]:
    ranks = {"rank-1": row.rank_1, "rank-5": row.rank_5, "rank-20": row.rank_20}
    return {
        "method": row.method,
        "mAP": row.mAP,
        **ranks,
        "protocol": row.protocol,
        "source": row.source,
    }


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
