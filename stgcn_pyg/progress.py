"""Progress bars: lively on a terminal, a line now and then in a log."""

import sys
from typing import Any


def bar_options() -> dict[str, Any]:
    """Arguments for tqdm that suit where the standard error goes."""
    if sys.stderr.isatty():
        return {"dynamic_ncols": True, "leave": False}
    return {"mininterval": 20.0, "ncols": 88}
