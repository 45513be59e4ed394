"""Progress bars: lively on a terminal, a line now and then in a log."""

import os
import sys
from typing import Any


def bar_options() -> dict[str, Any]:
    """Arguments for tqdm that suit where the standard error goes.

    Of several processes that torchrun or srun began, the first one shows bars.
    """
    if int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or 0) > 0:
        return {"disable": True}
    if sys.stderr.isatty():
        return {"dynamic_ncols": True, "leave": False}
    return {"mininterval": 20.0, "ncols": 88}
