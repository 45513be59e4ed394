"""The exceptions that are told in one line."""


class UserError(Exception):
    """A mistake in the input, told in one line: what is wrong, where, and what to do.

    The command line prints the message without a traceback and exits with status 2.
    """

    status = 2


class RunError(Exception):
    """A run that cannot go on through no mistake in its input, told in one line as well.

    The command line prints the message without a traceback and exits with status 1.
    """

    status = 1


class SignalledError(Exception):
    """A run that ended because a signal asked it to.

    The command line exits with ``status``: 130 after Ctrl-C, 143 after SIGTERM.

    Args:
        number: Of the signal.
        message: One line: what is saved, and how to go on.

    Example:
        >>> import signal
        >>> SignalledError(signal.SIGTERM, "saved").status
        143
    """

    def __init__(self, number: int, message: str):
        super().__init__(message)
        self.status = 128 + number


class ToldError(Exception):
    """What ends this process after another one of its job has told why.

    The command line prints nothing and exits with the status of ``error``.

    Args:
        error: What this process would have told.
    """

    def __init__(self, error: UserError | RunError | SignalledError):
        super().__init__(str(error))
        self.status = error.status


def last_line(error: BaseException) -> str:
    """The message alone, also of an error that a data-loading worker wrapped in its traceback."""
    line = str(error).strip().rsplit("\n", 1)[-1]
    return line.removeprefix(f"{UserError.__module__}.{UserError.__qualname__}: ")
