"""One run a folder at a time."""

import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from stgcn_pyg.distributed import ALONE, ProcessGroup
from stgcn_pyg.errors import UserError

NAME = "run.lock"


@contextmanager
def only_run_in(folder: Path, group: ProcessGroup = ALONE) -> Iterator[None]:
    """Keeps other runs out of a folder, which is made if there is none, until the block ends.

    The first process holds the lock. The system drops it when the process ends, in whatever way,
    so that a killed run leaves nothing to clean up. Inside another such block of the same thread
    it does nothing.

    Raises:
        UserError: Another run holds the folder, or it cannot be made; on every process.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with only_run_in(folder), only_run_in(folder):
        ...     sorted(path.name for path in folder.iterdir())
        ['run.lock']
        >>> list(folder.iterdir())
        []
    """
    lock = FileLock(folder / NAME, is_singleton=True)
    if group.from_first(lock.is_locked):
        yield
        return
    is_new = not folder.exists()
    refusal = group.from_first(_acquire(lock, folder) if group.is_first else None)
    if refusal is not None:
        raise UserError(refusal)
    try:
        yield
    finally:
        with suppress(OSError):
            if lock.is_locked:
                (folder / NAME).unlink()
        lock.release()
        if is_new and group.is_first:
            with suppress(OSError):  # unless something was written there
                folder.rmdir()


def _acquire(lock: FileLock, folder: Path) -> str | None:
    """Takes the lock, or returns a line that says why not."""
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"{folder}: cannot be written ({error.strerror})"
    try:
        lock.acquire(timeout=0)
        holder = f"{os.getpid()}\n{socket.gethostname()}\n"
        if path.read_text(errors="replace") != holder:
            path.write_text(holder)
        os.utime(path)  # the time that the message for a second run names
    except Timeout:
        return (
            f"{folder}: another run is writing there ({_holder(path)}): wait for it or stop it, "
            "or choose another folder"
        )
    except OSError as error:
        warnings.warn(
            f"{path}: cannot be locked ({error.strerror}): nothing keeps a second run out of the "
            "folder",
            stacklevel=2,
        )
    return None


def _holder(path: Path) -> str:
    try:
        pid, host, *_ = path.read_text(errors="replace").split()
        since = datetime.fromtimestamp(path.stat().st_mtime).isoformat(" ", "seconds")
    except (OSError, ValueError):
        return "its process is not known yet"
    return f"process {pid} on {host}, since {since}"
