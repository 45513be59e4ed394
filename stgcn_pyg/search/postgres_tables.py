"""PostgreSQL as galleries need it: addresses, connections, tables, and its errors in one line."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from stgcn_pyg.errors import UserError, needs_extra

with needs_extra("postgres"):
    import psycopg
    from psycopg import sql
    from psycopg.types.json import Jsonb

FORMAT = 1
Connection = psycopg.Connection[tuple[Any, ...]]

_CREATE = """
CREATE TABLE {table} (
    id bigint GENERATED ALWAYS AS IDENTITY (MINVALUE 0) PRIMARY KEY,
    dataset text NOT NULL, tracklet bigint NOT NULL,
    pid bigint NOT NULL, camid bigint NOT NULL, num_frames bigint NOT NULL,
    first_frame_path text NOT NULL,
    first_time double precision, last_time double precision,
    embedding vector({width}) NOT NULL,
    UNIQUE (dataset, tracklet)
);
CREATE INDEX ON {table} (pid, camid);
CREATE INDEX ON {table} (camid);
CREATE TABLE {about} (format int NOT NULL, facts jsonb NOT NULL, reduction bytea)"""


def make_tables(connection: Connection, place: str, facts: Mapping[str, Any]) -> None:
    """Makes the tables of an empty gallery, if its table is not there yet."""
    names = table_names(place)
    with connection.transaction():
        # Two at once do not both make them.
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('stgcn gallery'))")
        if exists(connection, names["table"]):
            return
        _make_extension(connection, without_secrets(place))
        width = sql.Literal(facts["width"])
        connection.execute(sql.SQL(_CREATE).format(**names, width=width))
        about = sql.SQL("INSERT INTO {about} VALUES (%s, %s)").format(**names)
        connection.execute(about, [FORMAT, Jsonb(dict(facts))])


def _make_extension(connection: Connection, shown: str) -> None:
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile) as error:
        raise UserError(
            f"{shown}: the server has no pgvector: install it there (github.com/pgvector/pgvector)"
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise UserError(
            f"{shown}: this user may not make the extension pgvector: let the database's owner "
            "run CREATE EXTENSION vector"
        ) from error


def exists(connection: Connection, name: sql.Composable) -> bool:
    """Whether there is a table of this name."""
    found = connection.execute("SELECT to_regclass(%s)", [name.as_string(connection)]).fetchone()
    return found is not None and found[0] is not None


def table_names(place: str) -> dict[str, sql.Composable]:
    """The gallery's tables, ``table`` and ``about``, as statements write them."""
    *schema, table = _split(place)[1]
    return {
        "table": sql.Identifier(*schema, table),
        "about": sql.Identifier(*schema, f"{table}_about"),
    }


def connect(place: str) -> Connection:
    """A connection on which each statement is a transaction of its own."""
    address, _ = _split(place)
    shown = without_secrets(place)
    try:
        return psycopg.connect(address, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise UserError(
            f"{shown}: no PostgreSQL opens this database ({_first_line(error)}): start it, or mend "
            "the address"
        ) from error
    except psycopg.ProgrammingError as error:
        # Its message may quote the password.
        raise UserError(f"{shown}: is no address that PostgreSQL understands: mend it") from error


def _split(place: str) -> tuple[str, list[str]]:
    """The address of the database; the schema, if one is named, and the table."""
    url = urlsplit(place)
    database, _, table = url.path.removeprefix("/").partition("/")
    names = unquote(table).split(".")
    # PostgreSQL cuts longer names, so that two would become one.
    usable = len(names) <= 2 and all(0 < len(name.encode()) < 57 for name in names)
    if not database or "/" in table or not usable:
        raise UserError(
            f"{without_secrets(place)}: write postgresql://user@host:port/database/table"
        )
    return urlunsplit(url._replace(path=f"/{database}")), names


def without_secrets(place: str) -> str:
    """A place as messages show it: without user, password and parameters."""
    url = urlsplit(place)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


@contextmanager
def in_one_line(place: str) -> Iterator[None]:
    """Turns what goes wrong with a server into one line."""
    try:
        yield
    except psycopg.Error as error:
        raise UserError(f"{place}: PostgreSQL says: {_first_line(error)}") from error


def _first_line(error: psycopg.Error) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
