"""The exceptions that the command line shows in one line."""

import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import get_args


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

    Args:
        message: The line to show.
        errno: The system's number of the error, if it has one.
        reason: The system's words for it.
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
    """A package that an extra of this one installs, and that is not there."""


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Tells which extra to install where a package that the block imports is missing.

    Args:
        extra: The extra that installs it, as ``setup.cfg`` names it.

    Raises:
        MissingPackageError: A package is missing.

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
            raise  # no matter of what is installed
        raise MissingPackageError(
            f"needs {package}, which is not installed: pip install 'stgcn-pyg[{extra}]'"
        ) from error


class RunError(Exception):
    """A run that cannot go on through no mistake in its input.

    The command line prints the message without a traceback and exits with status 1.
    """

    status = 1


class SignalledError(Exception):
    """A run that ended because a signal asked it to.

    The command line exits with ``status``: 130 after Ctrl-C, 143 after SIGTERM.

    Args:
        number: The number of the signal.
        message: One line: what is saved, and how to go on.

    Example:
        >>> import signal
        >>> SignalledError(signal.SIGTERM, "saved").status
        143
    """

    def __init__(self, number: int, message: str):
        super().__init__(message)
        self.status = 128 + number


class Terminated(KeyboardInterrupt):
    """What SIGTERM raises in a command, as Ctrl-C raises KeyboardInterrupt."""


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Lets SIGTERM end a block as Ctrl-C does, in order; a second one ends the process at once.

    Where another handler is set, or in a thread other than the main one, nothing is changed.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def signalled(interrupt: KeyboardInterrupt, message: str = "interrupted") -> SignalledError:
    """The error for an interrupt: a ``Terminated`` after SIGTERM, any other after Ctrl-C.

    Example:
        >>> signalled(KeyboardInterrupt()).status, signalled(Terminated()).status
        (130, 143)
    """
    number = signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT
    return SignalledError(number, message)


class AlreadyReportedError(Exception):
    """Ends a process after another one of its job has printed why.

    The command line prints nothing and exits with the status of ``error``.

    Args:
        error: The error that this process would have shown.
    """

    def __init__(self, error: UserError | RunError | SignalledError):
        super().__init__(str(error))
        self.status = error.status


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
    """Checks that arguments are among the words that they can be.

    Args:
        **choices: For each argument, what was passed and the ``Literal`` of its words.

    Raises:
        UserError: One is not.

    Example:
        >>> from typing import Literal
        >>> require_known(colour=("grey", Literal["grey", "rgb"]))
    """
    for name, (value, kinds) in choices.items():
        words = get_args(kinds)
        if not isinstance(value, str) or value not in words:
            raise UserError(f"{name}={value!r} is unknown: use {', '.join(words)}")
