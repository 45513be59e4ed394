"""What a gallery asks of PostgreSQL: values always as parameters, names always quoted."""

from typing import Any

import numpy as np

from stgcn_pyg.errors import needs_extra
from stgcn_pyg.search.engine import Filter, Queries
from stgcn_pyg.search.rows import own_labels

with needs_extra("postgres"):
    from psycopg import sql

GIVEN = """
CREATE TEMP TABLE given ON COMMIT DROP AS
    SELECT 0 AS place, {columns} FROM {table} WITH NO DATA"""

UPSERT = """
INSERT INTO {table} AS old ({columns})
    SELECT {columns} FROM given ORDER BY place
ON CONFLICT (dataset, tracklet) DO UPDATE SET ({columns}) = ROW ({new})
    WHERE ({old}) IS DISTINCT FROM ({new})"""

SOME = """
SELECT embedding FROM (
    SELECT embedding, row_number() OVER (ORDER BY id) AS number FROM {table}
) AS numbered WHERE number %% %s = 0"""

WANTED = """
unnest(%s::bigint[]) WITH ORDINALITY AS wanted (id, place) JOIN {table} USING (id)
ORDER BY place"""

NEAREST = """
SELECT embedding, id, {column} <-> %s AS distance FROM {table} WHERE {passes}
ORDER BY distance LIMIT %s"""

PASSING = "SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {passes} LIMIT %s) AS passing"


def conditions(where: Filter, queries: Queries, row: int) -> tuple[sql.Composable, list[Any]]:
    """What a row must be to be found for a query, and the values of its placeholders."""
    texts = ["TRUE"]
    values: list[Any] = []

    def require(text: str, *needed: Any) -> None:
        texts.append(text)
        values.extend(needed)

    if where.camids is not None:
        require("camid = ANY(%s::bigint[])", np.asarray(where.camids, dtype=np.int64).tolist())
    if where.pids is not None:
        require("pid = ANY(%s::bigint[])", np.asarray(where.pids, dtype=np.int64).tolist())
    if where.datasets is not None:
        require("dataset = ANY(%s::text[])", list(map(str, where.datasets)))
    if where.after is not None:
        require("last_time >= %s", float(where.after))
    if where.before is not None:
        require("first_time <= %s", float(where.before))
    if own := own_labels(where, queries, row):
        require(f"NOT ({' AND '.join(f'{name} = %s' for name in own)})", *own.values())
    return sql.SQL(" AND ".join(texts)), values  # type: ignore[arg-type]


def listed(form: str, columns: list[str]) -> sql.Composable:
    """Columns as a statement lists them."""
    parts = [sql.SQL(form).format(sql.Identifier(name)) for name in columns]  # type: ignore[arg-type]
    return sql.SQL(", ").join(parts)
