"""Ctrl-C and SIGTERM, noted and answered between two steps."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class NotedSignals:
    """Until its block ends, the first signal is noted; a second one acts as before the block.

    In a thread other than the main one nothing is noted, since Python handles no signals there.

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
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "NotedSignals":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        if self.second_acts:
            self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
