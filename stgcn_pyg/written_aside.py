"""Files that are whole wherever they are seen."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PART = ".part"  # ends the name of a file that is still being written


@contextmanager
def written_aside(path: Path, keep: Path | None = None) -> Iterator[BinaryIO]:
    """Opens a file to write, which takes its name only once it is on the disk.

    At any moment, also after a kill or a loss of power, there is the file as it was before or the
    whole new one.

    Args:
        path: Of the file.
        keep: The name that the file there before takes. ``path`` itself is there all the while.

    Raises:
        OSError: It cannot be written; nothing half-written is left, and what was there stays.

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
    """Gives a file a second name, in place of the file that had it.

    Args:
        path: The file.
        name: The second name. A copy has it where the file system has no hard links.
    """
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
