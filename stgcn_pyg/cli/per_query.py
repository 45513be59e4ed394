"""What each query scores under each protocol, as a table to keep."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from stgcn_pyg.evaluation import RankingResult
from stgcn_pyg.files import write_output
from stgcn_pyg.runs.scoring import RankingTask


def per_query(
    task: RankingTask,
    results: Mapping[str, RankingResult],
    about: Mapping[str, Any] = MappingProxyType({}),
) -> pd.DataFrame:
    """A row a query and protocol, in that the protocols follow each other.

    Args:
        task: What was evaluated.
        results: By the name of the protocol.
        about: What the scores are of, by the names of :mod:`stgcn_pyg.runs.about`.

    Returns:
        ``protocol``, ``tracklet`` (its number), ``pid``, ``camid``, ``num_matches``,
        ``average_precision`` and ``first_match_rank``. The last two are NaN where the query has no
        match; the rank is infinite where the protocol cut the list before the first match. Then a
        column for each plain value of ``about``, the same in all rows.
    """
    tables = [
        pd.DataFrame(
            {
                "protocol": name,
                "tracklet": task.query_tracklets,
                "pid": task.query_pids,
                "camid": task.query_camids,
                "num_matches": task.count_matches(name),
                "average_precision": result.average_precision,
                "first_match_rank": result.first_match_rank,
            }
        )
        for name, result in results.items()
    ]
    same = {name: value for name, value in about.items() if isinstance(value, str | int)}
    return pd.concat(tables, ignore_index=True).assign(**same)


def write_per_query(path: Path, table: pd.DataFrame) -> None:
    """Writes that table as CSV, its folder too; what is NaN is left empty.

    Raises:
        UserError: It cannot be written.
    """
    write_output(path, table.to_csv(index=False, lineterminator="\n").encode())
