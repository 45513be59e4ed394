"""The one exception that means: its reader can mend this."""


class UserError(Exception):
    """A mistake in the input, told in one line: what is wrong, where, and what to do.

    The command line prints the message without a traceback and exits with status 2.
    """


def last_line(error: BaseException) -> str:
    """The message alone, also of an error that a data-loading worker wrapped in its traceback."""
    line = str(error).strip().rsplit("\n", 1)[-1]
    return line.removeprefix(f"{UserError.__module__}.{UserError.__qualname__}: ")
