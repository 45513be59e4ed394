"""A benchmark in a process of its own, which ends in time with all that it started."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from math import inf
from pathlib import Path
from time import monotonic, sleep

ROOT = Path(__file__).parents[1]
PATIENCE = 5.0  # seconds that processes have to end themselves


def run(module: str, options: list[str], path: Path, limit: float) -> str | None:
    """Runs a benchmark; gives why it failed, in one line, or None.

    Args:
        module: Its module's name below ``benchmarks``.
        options: Its options.
        path: The JSON file that it writes; what is there if it fails was measured before that.
        limit: Seconds after which it and its processes are ended; may be infinite.
    """
    command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{module}", *options]
    process = subprocess.Popen(
        [*command, "--json", str(path)],
        cwd=ROOT,
        stdout=sys.stderr,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # whose processes are ended together
    )
    try:
        _, told = process.communicate(timeout=None if limit == inf else limit)
    except subprocess.TimeoutExpired:
        return f"it was ended after {limit:.0f} seconds"
    finally:
        _end(process)
    if process.returncode == 0 and path.is_file():
        return None
    print(told, file=sys.stderr, flush=True)
    return (told.strip().splitlines() or [f"exit status {process.returncode}"])[-1]


def _end(process: subprocess.Popen[str]) -> None:
    """Ends what is left of a session: first in the processes' own way, as torchrun needs."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
            until = monotonic() + PATIENCE
            while monotonic() < until:
                process.poll()  # else it counts as alive
                os.killpg(process.pid, 0)
                sleep(0.05)
