"""The folder of a run, which holds one run at a time and is where that run is continued."""

import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from stgcn_pyg.data import TrackletDataModule
from stgcn_pyg.distributed import ALONE, ProcessGroup
from stgcn_pyg.errors import RunError, UserError
from stgcn_pyg.files import PART, errors_of_writing, write_json, write_output
from stgcn_pyg.runs import environment
from stgcn_pyg.runs.checkpoint import description_of, is_begun, read_last_good, state_path
from stgcn_pyg.runs.same_run import require_no_fewer_epochs, require_same_tracklets, tracklets_of
from stgcn_pyg.runs.settings import CHANGEABLE, FREE, RunSettings, default_settings
from stgcn_pyg.runs.settings_files import as_yaml, read_settings

RUN_LOCK = "run.lock"


class RunFolder:
    """The folder of a run: empty, or with the same run in it; :meth:`write` is the first to write.

    A run with more epochs is the same run, for nothing in an epoch depends on how many there will
    be; so is one whose data set has moved, if its tracklets are the same.

    Args:
        settings: The settings of the run, of which ``output`` is the folder. Settings that an older
            version did not know count as their defaults.

    Attributes:
        begun: Whether there is a checkpoint to continue from.

    Raises:
        UserError: The folder holds another run, or something that is no run.
    """

    def __init__(self, settings: RunSettings):
        self.settings = settings
        self.path = path = settings.output
        self.metrics = path / "metrics.json"
        self.stored = path / "config.yaml"
        self._before: dict[str, Any] = {}
        with errors_of_writing(path):
            path.exists()  # raises if the name is too long
        if self.stored.is_file():
            try:
                stored = read_settings(self.stored)
            except UserError as error:
                if isinstance(error.__cause__, OSError):
                    raise
                raise UserError(
                    f"{self.stored}: damaged (no YAML of settings): put back a copy, or choose "
                    "another --output"
                ) from error
            self._before = {**default_settings(), **stored}
            _require_same(path, self._before, settings.flat())
        elif path.exists() and not _is_empty(path):
            raise UserError(f"{path}: holds something that is no run; choose another --output")
        self._validated = bool(settings.validation_share)
        self.begun = bool(self._before) and is_begun(path, self._validated)

    def require_tracklets(self, data: TrackletDataModule, held_out: pd.DataFrame | None) -> None:
        """Raises a UserError if the data set has other tracklets than the run began with."""
        if not self.begun:
            return
        path = state_path(self.path, self._validated)
        description = description_of(path, read_last_good(path))
        tracklets = tracklets_of(data, held_out)
        require_same_tracklets(path, description, tracklets, data.pids.tolist())
        if "tracklets" not in description and self._before["root"] != str(self.settings.root):
            warnings.warn(
                f"{path}: does not say which tracklets it was trained on, but the identities are "
                f"the same: going on with those at {data.dataset.root}",
                stacklevel=2,
            )

    def write(self) -> None:
        """Makes the folder and writes ``config.yaml``.

        The results of a run that is continued with more epochs are renamed first.
        """
        epochs = self._before.get("epochs")
        with errors_of_writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            if epochs not in (None, self.settings.epochs) and self.metrics.exists():
                self.metrics.replace(self.path / f"metrics.{epochs}-epochs.json")
        write_output(self.stored, as_yaml(self.settings.nested()).encode())

    def note_environment(self, here: dict[str, Any]) -> None:
        """Adds what :func:`.describe_environment` gives, unless it is the last one noted."""
        # An older version's run has no such file; a damaged one is begun anew.
        noted = environment.read_environments(self.path) or []
        if not noted or noted[-1] != here:
            write_json(self.path / environment.NAME, [*noted, here])

    def write_metrics(self, content: Any) -> None:
        """Writes ``metrics.json``; if it cannot, raises a RunError and keeps the earlier file."""
        try:
            write_json(self.metrics, content)
        except UserError as error:
            raise RunError(
                f"{error}: mend that and run the same command again; what was trained is kept"
            ) from error


def _is_empty(path: Path) -> bool:
    """Whether there is nothing, or only what a run left that was killed at once."""
    left = {"config.yaml" + PART, RUN_LOCK}
    return path.is_dir() and {file.name for file in path.iterdir()} <= left


def _require_same(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    require_no_fewer_epochs(path, old.get("epochs", 0), new["epochs"])
    for key in sorted(old | new):
        if key not in FREE | CHANGEABLE and old.get(key) != new.get(key):
            raise UserError(
                f"{path}: holds another run ({key} is {old.get(key)} there, {new.get(key)} here); "
                f"choose another --output"
            )


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
    lock = FileLock(folder / RUN_LOCK, is_singleton=True)
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
                (folder / RUN_LOCK).unlink()
        lock.release()
        if is_new and group.is_first:
            with suppress(OSError):  # unless something was written there
                folder.rmdir()


def _acquire(lock: FileLock, folder: Path) -> str | None:
    """Takes the lock, or returns a line that says why not."""
    path = folder / RUN_LOCK
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
