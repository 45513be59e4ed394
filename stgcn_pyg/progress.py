"""Progress bars: redrawn on a terminal, a line now and then in a log."""

import os
import sys
from typing import Any


def bar_options() -> dict[str, Any]:
    """The arguments for tqdm: its style by where stderr goes, no bar but in the first process."""
    if int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or 0) > 0:
        return {"disable": True}
    if sys.stderr.isatty():
        return {"dynamic_ncols": True, "leave": False}
    return {"mininterval": 20.0, "ncols": 88}
