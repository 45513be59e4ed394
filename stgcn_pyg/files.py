"""Files and folders that are never half-written, also after a kill, and checks of their paths."""

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from stgcn_pyg.errors import UserError, needs_extra

if TYPE_CHECKING:
    import pandas as pd

PART = ".part"  # ends the name of a file that is still being written


@contextmanager
def written_aside(path: Path, keep: Path | None = None) -> Iterator[BinaryIO]:
    """Opens a file to write, which takes its name only once it is on the disk.

    At any moment, also after a kill or a loss of power, there is the file as it was before or the
    whole new one.

    Args:
        path: The path of the file.
        keep: The path that the earlier file gets. ``path`` itself exists all the while.

    Raises:
        OSError: It cannot be written; the file that was there is kept.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "greeting"
        >>> for words in (b"good day", b"good night"):
        ...     with written_aside(path, keep=path.with_suffix(".before")) as file:
        ...         _ = file.write(words)
        >>> {file.name: file.read_text() for file in sorted(path.parent.iterdir())}
        {'greeting': 'good night', 'greeting.before': 'good day'}
    """
    part = path.with_name(path.name + PART)
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            _name_too(path, keep)
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the new name, too
        finally:
            os.close(folder)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _name_too(path: Path, name: Path) -> None:
    """Gives a file a second name, or a copy where the file system has no hard links."""
    part = name.with_name(name.name + PART)
    part.unlink(missing_ok=True)
    try:
        try:
            os.link(path, part)
        except OSError:
            with path.open("rb") as original, part.open("wb") as copy:
                shutil.copyfileobj(original, copy)
                copy.flush()
                os.fsync(copy.fileno())
        part.replace(name)
    finally:
        # If both were names of one file already, the system has left them as they were.
        part.unlink(missing_ok=True)


@contextmanager
def errors_of_writing(
    path: Path, advice: str = "", kind: type[Exception] = UserError
) -> Iterator[None]:
    """Turns an OSError of the block into one line: that ``path`` cannot be written, and advice."""
    try:
        yield
    except OSError as error:
        raise kind(f"{path}: cannot be written ({error.strerror or error}){advice}") from error


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to write into, which takes its name once the block has ended without an error.

    Args:
        path: The path that the folder gets. An empty folder that is there stays, as it may be a
            link, a mount point or where somebody works, and gets the files.

    Raises:
        UserError: It cannot be written, or there is something; nothing half-written is left.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "letters"
        >>> with new_folder(path) as folder:
        ...     _ = (folder / "greeting").write_text("good day")
        ...     path.exists()
        False
        >>> [file.name for file in path.iterdir()]
        ['greeting']
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path}: is not empty: remove it or name another folder")
    with errors_of_writing(path):  # an error of reading is a UserError already
        there = path.is_dir()
        place = path.resolve()  # what a link leads to, or would
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place if there else place.parent
        unfinished = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=beside))
        try:
            yield unfinished
            unfinished.chmod(0o755)
            if there:
                for entry in list(unfinished.iterdir()):
                    entry.rename(place / entry.name)
            else:
                unfinished.rename(place)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def write_output(path: Path, content: bytes) -> None:
    """Writes a file of results and makes its folder; a link is followed.

    A kill or a full disk leaves the file that was there before, or the whole new one. A pipe or a
    device such as ``/dev/stdout`` is written to directly.

    Raises:
        UserError: It cannot be written.
    """
    with errors_of_writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if _is_special(path):
            path.write_bytes(content)
            return
        with written_aside(path.resolve()) as file:
            file.write(content)


def is_csv(path: Path, advice: str) -> bool:
    """Whether a table's file is CSV, by its suffix; a UserError if it is not Parquet either."""
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise UserError(f"{path}: ends in neither .csv nor .parquet: {advice}")
    return suffix == ".csv"


def write_table(path: Path, table: "pd.DataFrame", **options: Any) -> None:
    """Writes a table without its index as :func:`written_aside` does, as CSV or Parquet.

    Args:
        path: The file, ``.csv`` or ``.parquet``; a link is followed.
        table: The table.
        **options: How to write CSV, arguments of ``DataFrame.to_csv``.

    Raises:
        UserError: The name ends otherwise, or the file cannot be written.
    """
    csv = is_csv(path, "name it as one of them")
    if not csv:
        with needs_extra("train"):
            import pyarrow  # noqa: F401
    with errors_of_writing(path), written_aside(path.resolve()) as file:
        if csv:
            table.to_csv(file, index=False, **options)
        else:
            table.to_parquet(file, index=False)


def write_json(path: Path, content: Any) -> None:
    """Writes plain values as :func:`write_output` does; no number may be NaN or infinite."""
    write_output(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def require_writable(option: str, path: Path | None) -> None:
    """Raises a UserError if the file of an option, if there is one, is a folder or unwritable."""
    if path is None:
        return
    try:
        if path.is_dir():
            raise UserError(f"{option} {path}: is a folder; name a file in it")
        if _is_special(path):
            return
        target = path.resolve()
        (target.parent / (target.name + PART)).exists()  # raises if the name is too long
        # A write-protected file is not replaced, though its folder would allow it.
        needed = [target] if target.exists() else []
        folder = next(parent for parent in target.absolute().parents if parent.exists())
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written ({error.strerror})") from error
    if not folder.is_dir():
        raise UserError(f"{option} {path}: cannot be written ({folder} is no folder)")
    for place in (*needed, folder):
        if not os.access(place, os.W_OK):
            raise UserError(f"{option} {path}: cannot be written (Permission denied at {place})")


def require_apart(files: dict[str, Path | None]) -> None:
    """Raises a UserError if two options, of those that were given, name the same file."""
    seen: dict[Path, str] = {}
    for name, path in files.items():
        if path is None or _is_special(path):
            continue
        first = seen.setdefault(path.resolve(), name)
        if first != name:
            kind = "folder" if path.is_dir() else "file"
            raise UserError(f"{first} and {name} are the same {kind}, {path}: name two {kind}s")


def require_outside(files: dict[str, Path | None], folders: Iterable[Path | None]) -> None:
    """Raises a UserError if the file of an option would lie in a folder that is read from.

    Args:
        files: The options, each with its file; None: not given.
        folders: Folders of an extraction or a gallery, whose own files results would replace.
    """
    read = [folder for folder in folders if folder is not None]
    for name, path in files.items():
        for folder in read:
            if path is not None and path.resolve().parent == folder.resolve():
                raise UserError(
                    f"{name} {path}: is among the files of {folder}: name a file in another folder"
                )


def _is_special(path: Path) -> bool:
    """Whether there is something that is neither an ordinary file nor a folder."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
