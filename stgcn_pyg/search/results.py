"""What a search found as a table, a row for each query and tracklet."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError, needs_extra
from stgcn_pyg.files import write_json, write_output
from stgcn_pyg.search.engine import Engine, Found, Queries

with needs_extra("search"):
    import pyarrow as pa
    from pyarrow import parquet

SUFFIXES = (".csv", ".json", ".parquet")


def results_table(
    names: Sequence[Any], queries: Queries, found: Found, gallery: Engine
) -> pd.DataFrame:
    """A row for each tracklet that was found, by query and rank.

    Args:
        names: What the Q queries are called.
        queries: The queries, with their identities and cameras.
        found: What was found for them.
        gallery: Where.

    Returns:
        ``query``, ``query_pid``, ``query_camid``, ``rank`` from 1, ``distance``, ``id``, and the
        columns of the tracklet.
    """
    query, place = np.nonzero(found.ids >= 0)
    ids = found.ids[query, place]
    rows = gallery.tracklets(np.unique(ids)).loc[ids].reset_index(drop=True)
    facts = {
        "query": [names[row] for row in query.tolist()],
        **{
            f"query_{name}": np.asarray(getattr(queries, f"{name}s"))[query]
            for name in ("pid", "camid")
        },
        "rank": place + 1,
        "distance": found.distances[query, place],
        "id": ids,
    }
    return pd.concat([pd.DataFrame(facts), rows], axis=1)


def write_results(path: Path, table: pd.DataFrame) -> None:
    """Writes the table as CSV, JSON (a list of its rows) or Parquet, by the path's suffix."""
    suffix = path.suffix.lower()
    if suffix == ".csv":
        write_output(path, table.to_csv(index=False, lineterminator="\n").encode())
    elif suffix == ".json":
        write_json(path, json.loads(table.to_json(orient="records", double_precision=15)))
    elif suffix == ".parquet":
        rows = pa.BufferOutputStream()
        of_text = table.assign(query=table["query"].map(str))
        parquet.write_table(pa.Table.from_pandas(of_text, preserve_index=False), rows)
        write_output(path, rows.getvalue().to_pybytes())
    else:
        raise UserError(f"{path}: ends in none of {', '.join(SUFFIXES)}: name such a file")
