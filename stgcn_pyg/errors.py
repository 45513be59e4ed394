"""The exceptions that the command line shows in one line, and checks that raise them."""

import operator
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf, isfinite
from pathlib import Path
from typing import Any, get_args


class UserError(Exception):
    """A mistake in the input, in one line: what is wrong, where, and what to do.

    The command line prints the message without a traceback and exits with status 2.
    """

    status = 2


class BadImageError(UserError):
    """An image that is missing, damaged, or cannot be used: what ``--on-bad-frame skip`` skips.

    Args:
        message: The line to show.
        kind: The kind of fault that `stgcn check` lists the image under.
        detail: What `stgcn check` says beyond the kind.
    """

    def __init__(self, message: str, kind: str = "", detail: str = ""):
        super().__init__(message)
        self.kind = kind
        self.detail = detail


class UnreadableFileError(UserError):
    """A file that the system does not let be read, which says nothing about its content.

    ``errno`` and ``reason`` are the system's number and words for the error.
    """

    def __init__(self, message: str, errno: int | None = None, reason: str = ""):
        super().__init__(message)
        self.errno = errno
        self.reason = reason

    @classmethod
    def of(cls, path: Path, error: OSError | ValueError) -> "UnreadableFileError":
        """The error for a file at whose reading the system raised ``error``."""
        reason = getattr(error, "strerror", None) or str(error)
        return cls(f"{path}: cannot be read: {reason}", getattr(error, "errno", None), reason)


class MissingPackageError(UserError, ImportError):
    """A package that an extra of this one installs is missing."""


class RunError(Exception):
    """A run that cannot go on through no mistake in its input.

    The command line prints the message without a traceback and exits with status 1.
    """

    status = 1


class AlreadyReportedError(Exception):
    """Ends a process after another one of its job has printed why; nothing more is printed."""

    def __init__(self, status: int):
        super().__init__()
        self.status = status


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Raises a MissingPackageError that names the extra to install if a package is missing.

    Example:
        >>> with needs_extra("report"):
        ...     import no_such_package
        Traceback (most recent call last):
            ...
        stgcn_pyg.errors.MissingPackageError: needs no_such_package, which is not installed: \
pip install 'stgcn-pyg[report]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "stgcn_pyg") or package in sys.stdlib_module_names:
            raise  # installing something would not help
        raise MissingPackageError(
            f"needs {package}, which is not installed: pip install 'stgcn-pyg[{extra}]'"
        ) from error


def last_line(error: BaseException) -> str:
    """The message of one of this module's errors, in one line.

    PyTorch gives an error of a DataLoader's worker that worker's whole traceback for a message,
    which ends with the name of the error's class and the error's own message.

    Example:
        >>> last_line(UserError("a.jpg: empty"))
        'a.jpg: empty'
    """
    name = re.escape(f"{type(error).__module__}.{type(error).__qualname__}: ")
    message = str(error)
    if message.startswith("Caught "):
        message = re.split(f"^{name}", message, flags=re.MULTILINE)[-1]
    return " ".join(message.split("\n")).strip()


def require_known(**choices: tuple[object, object]) -> None:
    """Raises a UserError if an argument is not among the words of its ``Literal``.

    Example:
        >>> from typing import Literal
        >>> require_known(colour=("grey", Literal["grey", "rgb"]))
    """
    for name, (value, kinds) in choices.items():
        words = get_args(kinds)
        if not isinstance(value, str) or value not in words:
            raise UserError(f"{name}={value!r} is unknown: use {', '.join(words)}")


def whole_number(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """An argument as an int from ``least`` to ``most``; otherwise a UserError that names it."""
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or (most is not None and number > most):
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise UserError(f"{name}={value!r}: pass a whole number {limits}")
    return number


def finite_number(name: str, value: Any, least: float = 0) -> float:
    """An argument as a finite float of at least ``least``; otherwise raises a UserError."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = inf
    if not isfinite(number):
        raise UserError(f"{name}={value!r}: pass a finite number")
    if number < least:
        raise UserError(f"{name}={value!r}: pass a number of at least {least}")
    return number


def share(name: str, value: Any, below_one: bool = False) -> float:
    """An argument as a float from 0 to 1, or less than 1; otherwise raises a UserError."""
    number = finite_number(name, value, -inf)
    if not 0 <= number <= 1 or (below_one and number == 1):
        end = "up to, but not including," if below_one else "to"
        raise UserError(f"{name}={value!r}: pass a share from 0 {end} 1")
    return number
