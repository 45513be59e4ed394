"""What is wrong with a data set's files: raised at the first, or collected by `stgcn check`."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

from stgcn_pyg.errors import UserError


class Fault(NamedTuple):
    """One thing that is wrong with a data set."""

    path: Path
    what: str
    """In a few words, what is wrong and, where that is not plain, what to do."""


Report = Callable[[Path, str], None]
"""What a loader calls with each fault that it meets: `stop_at`, or the `report` of a collector."""


def stop_at(path: Path, what: str) -> NoReturn:
    """Raises the fault.

    Raises:
        UserError: Always.
    """
    raise UserError(f"{path}: {what}")
