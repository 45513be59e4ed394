"""What a gallery keeps in Qdrant, and which of it a filter passes, in Qdrant's terms."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg.errors import needs_extra
from stgcn_pyg.search.engine import Filter, Queries
from stgcn_pyg.search.rows import TIMES, own_labels

with needs_extra("qdrant"):
    from qdrant_client import QdrantClient, models

FORMAT = 1
INDEXES = {
    "dataset": "keyword",
    **dict.fromkeys(("tracklet", "pid", "camid"), "integer"),
    **dict.fromkeys(TIMES, "float"),
}


def make_collection(
    client: QdrantClient,
    name: str,
    width: int,
    facts: Mapping[str, Any],
    indexes: Mapping[str, str],
) -> None:
    """Makes an empty collection if there is none, and the indexes of its labels."""
    if not client.collection_exists(name):
        vectors = models.VectorParams(size=width, distance=models.Distance.EUCLID, on_disk=True)
        facts = {"width": width, **facts, "sources": {}}
        about = {"stgcn_gallery": FORMAT, "facts": facts, "next_id": 0}
        client.create_collection(name, vectors_config=vectors, metadata=about)
    # Before the first point, for an index made later does not reach into the graph. Made again it
    # changes nothing, and a kill may have come between.
    for column, kind in indexes.items():
        client.create_payload_index(name, column, models.PayloadSchemaType(kind))


def payloads(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The columns of each; a time that is not known is left out, and no range passes it."""
    known = rows.to_dict("records")
    return [{k: v for k, v in row.items() if not (k in TIMES and np.isnan(v))} for row in known]


def any_of(column: str, values: Any) -> models.FieldCondition:
    """That a label is one of some values."""
    plain = np.asarray(values).tolist() if column != "dataset" else [str(v) for v in values]
    return models.FieldCondition(key=column, match=models.MatchAny(any=plain))


def filter_of(where: Filter, queries: Queries, row: int) -> models.Filter:
    """What a tracklet must and must not be to be found for a query."""
    columns = {"camid": where.camids, "pid": where.pids, "dataset": where.datasets}
    must: list[Any] = [
        any_of(name, values) for name, values in columns.items() if values is not None
    ]
    if where.after is not None:
        must.append(models.FieldCondition(key="last_time", range=models.Range(gte=where.after)))
    if where.before is not None:
        must.append(models.FieldCondition(key="first_time", range=models.Range(lte=where.before)))
    own: list[Any] = [
        any_of(name, [value]) for name, value in own_labels(where, queries, row).items()
    ]
    return models.Filter(must=must, must_not=[models.Filter(must=own)] if own else None)
