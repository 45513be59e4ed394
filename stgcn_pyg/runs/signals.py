"""Ctrl-C and SIGTERM: noted until a step is finished, or raised as an error."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds within which SIGTERM counts once. A process that has asked Linux for it at its parent's
# end (PR_SET_PDEATHSIG) may get it twice if the parent had several threads: Linux 6.18 sent it 0.06
# to 0.11 seconds apart.
REPEATED = 0.5


class SignalledError(Exception):
    """A run that ended because a signal asked it to.

    The command line exits with ``status``: 130 after Ctrl-C, 143 after SIGTERM.

    Args:
        number: The number of the signal.
        message: One line: what is saved, and how to continue.

    Example:
        >>> SignalledError(signal.SIGTERM, "saved").status
        143
    """

    def __init__(self, number: int, message: str):
        super().__init__(message)
        self.status = 128 + number


class Terminated(KeyboardInterrupt):
    """What SIGTERM raises in a command, as Ctrl-C raises KeyboardInterrupt."""


def signalled(interrupt: KeyboardInterrupt, message: str = "interrupted") -> SignalledError:
    """The error for an interrupt: a ``Terminated`` after SIGTERM, any other after Ctrl-C.

    Example:
        >>> signalled(KeyboardInterrupt()).status, signalled(Terminated()).status
        (130, 143)
    """
    number = signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT
    return SignalledError(number, message)


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Lets SIGTERM end a block as Ctrl-C does, in order; a second one ends the process at once.

    Where another handler is set, or in a thread other than the main one, nothing is changed.
    """
    if not _in_main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
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


class NotedSignals:
    """Until its block ends, the first signal is noted; a second one acts as before the block.

    SIGTERM within half a second of the first signal counts as the same one. In a thread other than
    the main one nothing is noted, since Python handles no signals there.

    Args:
        second_acts: Whether a second signal acts. Launchers of several processes may well send it
            twice, and kill in the end.

    Attributes:
        number: Number of the signal; None as long as none came.

    Example:
        >>> with NotedSignals() as signals:
        ...     signal.raise_signal(signal.SIGTERM)
        ...     print(signals.number)
        15
    """

    def __init__(self, second_acts: bool = True):
        self.second_acts = second_acts
        self.number: int | None = None
        self._since = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "NotedSignals":
        if _in_main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number is None:
            self.number, self._since = number, monotonic()
        elif self.second_acts and not (
            number == signal.SIGTERM and monotonic() - self._since < REPEATED
        ):
            self.__exit__()
            signal.raise_signal(number)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
