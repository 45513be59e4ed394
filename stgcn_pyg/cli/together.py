"""A command that several processes run together prints once, and tells an error once."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout

from stgcn_pyg.distributed import ALONE, ProcessGroup, init_distributed
from stgcn_pyg.errors import AlreadyReportedError, RunError, SignalledError, UserError, signalled


@contextmanager
def together() -> Iterator[ProcessGroup]:
    """Joins the processes of the job; only the first one's prints and warnings are seen.

    Raises:
        UserError, RunError, SignalledError: What stops this process.
        AlreadyReportedError: The same, where another process was stopped first and tells why.
    """
    group = ALONE
    try:
        with init_distributed() as group, ExitStack() as stack:
            if not group.is_first:
                nowhere = stack.enter_context(open(os.devnull, "w"))
                stack.enter_context(redirect_stdout(nowhere))
                stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            yield group
    except (UserError, RunError, SignalledError, KeyboardInterrupt) as raised:
        error = signalled(raised) if isinstance(raised, KeyboardInterrupt) else raised
        if not group.speaks_first():
            raise AlreadyReportedError(error) from raised
        if not group.is_first:
            print(file=sys.stderr)  # a bar of the first one's may stand there, without an end
        raise error from raised.__cause__
