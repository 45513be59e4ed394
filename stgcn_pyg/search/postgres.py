"""A gallery in a PostgreSQL database that has the extension pgvector."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError, needs_extra, whole_number
from stgcn_pyg.evaluation.arrays import slices
from stgcn_pyg.search.answers import Candidates, nearest
from stgcn_pyg.search.engine import ANY, Filter, Found, Queries
from stgcn_pyg.search.exact import require_usable
from stgcn_pyg.search.gallery_file import of_same_model, require_same_model
from stgcn_pyg.search.reduction import Reduction
from stgcn_pyg.search.rows import TYPES, checked_ids, checked_queries, checked_rows, plain_sources
from stgcn_pyg.search.segments import COLUMNS, Piece

with needs_extra("postgres"):
    from pgvector import HalfVector
    from pgvector.psycopg import register_vector
    from psycopg import sql
    from psycopg.types.json import Jsonb

    from stgcn_pyg.search.postgres_statements import (
        GIVEN,
        NEAREST,
        PASSING,
        SOME,
        UPSERT,
        WANTED,
        conditions,
        listed,
    )
    from stgcn_pyg.search.postgres_tables import (
        FORMAT,
        connect,
        exists,
        in_one_line,
        make_tables,
        table_names,
        without_secrets,
    )

MOST = 16_000  # numbers that a vector of pgvector may have
MOST_INDEXED = 4_000  # the same of a halfvec that its HNSW index takes
FEW = 4  # times as many as are asked for: if a filter passes fewer, they are all compared
_ROWS = 1_000  # projected at a time
_TYPES = ["int4", "text", "int8", "int8", "int8", "int8", "text", "float8", "float8", "vector"]


class PostgresGallery:
    """A table of PostgreSQL as a gallery, which many may search and add to at the same time.

    Whole embeddings are kept and compared. :meth:`index` adds a column of their first principal
    components with an HNSW index, out of which a search that need not be exact takes candidates.
    Beside the table ``people`` lies ``people_about``, which says whose embeddings they are.

    Args:
        place: ``postgresql://user@host:port/database/table``, with the parameters that PostgreSQL
            knows (``?host=/var/run/postgresql``); the password may stand in ``PGPASSWORD`` or
            ``~/.pgpass``. The table may be ``schema.table``.

    Attributes:
        width: Length D of an embedding, at most 16,000.
        checkpoint_sha256: SHA-256 of the checkpoint that made the embeddings.
        facts: Both, what else is known of the model, and ``sources``: where the frames are.

    Raises:
        UserError: No server that answers, no such table, or one of something else.
    """

    def __init__(self, place: str):
        self.place = without_secrets(place)
        self._names = table_names(place)
        self._known: tuple[str, Reduction | None] = ("", None)  # a version of the about table
        self._connection = connect(place)
        try:
            self.facts: dict[str, Any] = self._read_about()
        except BaseException:
            self.close()
            raise
        self.width: int = self.facts["width"]
        self.checkpoint_sha256: str = self.facts["checkpoint_sha256"]

    @classmethod
    def create(cls, place: str, *, width: int, **facts: Any) -> "PostgresGallery":
        """Makes an empty gallery, or opens the one that is there if it is of the same model.

        Args:
            place: The place.
            width: Length D of an embedding, at most 16,000.
            **facts: ``checkpoint_sha256``, and others as :meth:`.Gallery.create` takes them.

        Raises:
            UserError: Another model's gallery, longer embeddings, or what opening one raises.
        """
        shown, width = without_secrets(place), whole_number("width", width)
        if width > MOST:
            raise UserError(
                f"{shown}: pgvector holds at most {MOST:,} numbers, not {width:,}: name a gallery "
                "in a folder or in Qdrant"
            )
        with connect(place) as connection, in_one_line(shown):
            make_tables(connection, place, {"width": width, **facts, "sources": {}})
        return of_same_model(cls(place), {"width": width, **facts})

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def require_same_model(self, source: str, facts: Mapping[str, Any]) -> None:
        """As :meth:`.Gallery.require_same_model`."""
        require_same_model(self.place, self.facts, source, facts)

    def __len__(self) -> int:
        return self._rows("SELECT count(*) FROM {table}")[0][0]

    def add(self, embeddings: np.ndarray, tracklets: pd.DataFrame) -> np.ndarray:
        """Adds or replaces tracklets, as :class:`.Engine` says; a replaced one keeps its id.

        All are there afterwards, or none if it is interrupted. One that is there already and the
        same is not written again.
        """
        embeddings, rows = checked_rows(self.place, self.width, embeddings, tracklets)
        require_usable(f"{self.place}: embeddings", embeddings)
        labels = rows.astype(object).where(rows.notna(), None).itertuples(index=False, name=None)
        names = {
            "columns": listed("{}", [*COLUMNS, "embedding"]),
            "old": listed("old.{}", [*COLUMNS, "embedding"]),
            "new": listed("excluded.{}", [*COLUMNS, "embedding"]),
        }
        with in_one_line(self.place), self._connection.transaction():
            self._run(GIVEN, **names)
            with self._connection.cursor().copy("COPY given FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(_TYPES)
                for place, (row, embedding) in enumerate(zip(labels, embeddings, strict=True)):
                    copy.write_row((place, *row, embedding))
            self._run(UPSERT, **names)
            ids = self._ids("FROM given JOIN {table} USING (dataset, tracklet) ORDER BY place")
            self._project(ids)
        return ids

    def add_pieces(
        self,
        pieces: Iterable[Piece],
        sources: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> np.ndarray:
        """Adds tracklets as :meth:`.Gallery.add_pieces`, but each piece by itself.

        If it is interrupted, some pieces are there; the same again adds the others.
        """
        self.facts["sources"] |= plain_sources(sources)
        with in_one_line(self.place):
            self._run("UPDATE {about} SET facts = %s", [Jsonb(self.facts)])
        return np.concatenate([np.empty(0, np.int64), *(self.add(*piece) for piece in pieces)])

    def remove(self, ids: np.ndarray) -> int:
        """Removes tracklets by id and gives the number of those that were there."""
        chosen = checked_ids(ids).tolist()
        return len(self._rows("DELETE FROM {table} WHERE id = ANY(%s) RETURNING id", [chosen]))

    def search(self, queries: Queries, k: int, where: Filter = ANY, *, exact: bool = True) -> Found:
        """The nearest k tracklets that the filter passes, for each query, as :class:`.Engine` says.

        With ``exact=False`` and an index, a near one may be missed.
        """
        queries = checked_queries(self.place, self.width, queries, where)
        reduction = None if exact else self._reduction()

        def ask(rows: np.ndarray, limit: int, every: bool) -> list[Candidates]:
            with in_one_line(self.place), self._connection.transaction():
                if not every:
                    # Goes on until the filter has passed enough of what the index gives.
                    self._set("hnsw.iterative_scan", "relaxed_order")
                    self._set("hnsw.ef_search", str(min(limit, 1000)))
                return [
                    self._candidates(queries, row, where, limit, None if every else reduction)
                    for row in rows
                ]

        return nearest(ask, queries.embeddings, k, exact=reduction is None)

    def tracklets(self, ids: np.ndarray | None = None) -> pd.DataFrame:
        """The rows of tracklets by id, in the order asked for; all of them if not given."""
        columns, values, wanted = listed("{}", COLUMNS), [], "{table} ORDER BY id"
        if ids is not None:
            values, wanted = [checked_ids(ids).tolist()], WANTED
        found = self._rows("SELECT id, {columns} FROM " + wanted, values, columns=columns)
        rows = pd.DataFrame(found, columns=["id", *COLUMNS]).set_index("id")
        self._require([] if ids is None else ids, rows.index)
        return rows.astype(TYPES)

    def embeddings(self, ids: np.ndarray) -> np.ndarray:
        """The embeddings of tracklets by id: ``[N, D]``, in the order asked for."""
        values = [checked_ids(ids).tolist()]
        found = self._rows("SELECT embedding, id FROM " + WANTED, values)
        self._require(ids, [row[1] for row in found])
        return self._as_array(found)

    def compact(self) -> None:
        """Writes the table anew, which frees the space of what was removed; others wait."""
        with in_one_line(self.place):
            self._run("VACUUM (FULL, ANALYZE) {table}")

    def index(self, components: int | None = None, sample: int = 5_000) -> None:
        """Makes the index of the first principal components, anew if there is one.

        Tracklets that are added later come into it, by the components of those that were there.

        Args:
            components: Number of principal components, at most 4,000; 256 if not given, or as many
                as there can be.
            sample: Number of tracklets, taken evenly by id, that the components are fitted to.

        Raises:
            UserError: More components than 4,000, than D or than there are tracklets.
        """
        count = len(self)
        most = min(MOST_INDEXED, self.width, count, sample)
        if components is None:
            components = max(1, min(256, most))
        if not 1 <= components <= most:
            raise UserError(
                f"{self.place}: components={components}: its index has from 1 to {most}"
            )
        some = self._as_array(self._rows(SOME, [max(1, count // sample)]))
        fit = Reduction.of(some, components).to_bytes()
        with in_one_line(self.place), self._connection.transaction():
            self._run("ALTER TABLE {table} DROP COLUMN IF EXISTS reduced")
            size = sql.Literal(components)
            self._run("ALTER TABLE {table} ADD COLUMN reduced halfvec({size})", size=size)
            self._run("UPDATE {about} SET reduction = %s", [fit])
            self._project(self._ids("FROM {table} ORDER BY id"))
            # Tracklets of one person are near each other: with fewer links, each stays by itself.
            self._run(
                "CREATE INDEX ON {table} USING hnsw (reduced halfvec_l2_ops) "
                "WITH (m = 32, ef_construction = 200)"
            )
            self._run("ANALYZE {table}")

    def _read_about(self) -> dict[str, Any]:
        with in_one_line(self.place):
            if not exists(self._connection, self._names["table"]):
                raise UserError(f"{self.place}: no such table: `stgcn index` makes one")
            if not exists(self._connection, self._names["about"]):
                raise UserError(f"{self.place}: is a table of something else: name another")
            register_vector(self._connection)
            found = self._rows("SELECT format, facts FROM {about}")
        if len(found) != 1 or found[0][0] != FORMAT:
            raise UserError(f"{self.place}: is a gallery of another version: index into another")
        return found[0][1]

    def _reduction(self) -> Reduction | None:
        """The principal components of the index, if there is one; read again once it is new."""
        version = self._rows("SELECT xmin::text FROM {about}")[0][0]
        if version != self._known[0]:
            content = self._rows("SELECT reduction FROM {about}")[0][0]
            found = None if content is None else Reduction.from_bytes(self.place, content)
            self._known = version, found
        return self._known[1]

    def _project(self, ids: np.ndarray) -> None:
        """Writes the principal components of tracklets, where there is an index."""
        if (reduction := self._reduction()) is None:
            return
        statement = sql.SQL("UPDATE {table} SET reduced = %s WHERE id = %s").format(**self._names)
        for part in slices(0, len(ids), _ROWS):
            chosen = [ids[part].tolist()]
            some = self._rows("SELECT embedding, id FROM {table} WHERE id = ANY(%s)", chosen)
            reduced = map(HalfVector, reduction.apply(self._as_array(some)))
            values = [(x, row[1]) for x, row in zip(reduced, some, strict=True)]
            self._connection.cursor().executemany(statement, values)

    def _candidates(
        self,
        queries: Queries,
        row: int,
        where: Filter,
        limit: int,
        reduction: Reduction | None,
    ) -> Candidates:
        """The nearest to a query: of all tracklets, or of those that the index chooses."""
        column, query = "embedding", queries.embeddings[row]
        passes, values = conditions(where, queries, row)
        if reduction is not None:
            column, query = "reduced", HalfVector(reduction.apply(query[None])[0])
            passing = self._rows(PASSING, [*values, FEW * limit], passes=passes)[0][0]
            if passing < FEW * limit:  # they are sooner compared than found in the index
                return Candidates(np.empty(0, np.int64), self._as_array([]), 0.0)
        rows = self._rows(
            NEAREST, [query, *values, limit], column=sql.Identifier(column), passes=passes
        )
        ids = np.array([row[1] for row in rows], dtype=np.int64)
        return Candidates(ids, self._as_array(rows), rows[-1][2] if rows else 0.0)

    def _require(self, ids: Any, found: Any) -> None:
        missing = np.setdiff1d(ids, found)
        if len(missing):
            raise UserError(f"{self.place}: has no tracklet with the id {missing[0]}")

    def _as_array(self, rows: list[Any]) -> np.ndarray:
        """The embeddings ``[n, D]`` that rows begin with."""
        return np.array([row[0].to_numpy() for row in rows], np.float32).reshape(-1, self.width)

    def _ids(self, rest: str) -> np.ndarray:
        return np.array(self._rows("SELECT id " + rest), dtype=np.int64).reshape(-1)

    def _rows(self, query: str, values: Any = (), **names: sql.Composable) -> list[Any]:
        with in_one_line(self.place):
            return self._run(query, values, **names).fetchall()

    def _run(self, query: str, values: Any = (), **names: sql.Composable) -> Any:
        composed = sql.SQL(query).format(**self._names, **names)  # type: ignore[arg-type]
        return self._connection.execute(composed, values, binary=True)

    def _set(self, name: str, value: str) -> None:
        """Sets a parameter until the end of the transaction."""
        self._connection.execute("SELECT set_config(%s, %s, true)", [name, value])
