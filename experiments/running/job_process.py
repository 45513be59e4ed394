"""A job in a process of its own: what fails there, or is killed, leaves the others alone."""

import multiprocessing
import os
import signal
import sys
import time
import traceback
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread

from experiments.running.claims import Claim, beating
from experiments.running.jobs import Job
from experiments.running.perform import Workshop, perform
from stgcn_pyg.errors import RunError, SignalledError, UserError, last_line

TAKEN = 75  # exit status: another process has the job
LOST = 76  # another process took it for dead


def start(job: Job, shop: Workshop) -> BaseProcess:
    """Starts a job; the process ends with its exit status.

    The processes are forked from one that has imported all, but has done nothing yet.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["experiments.running.preloaded"])
    process = context.Process(target=_run, args=(job, shop))
    process.start()
    return process


def failure(log: Path, status: int | None) -> str:
    """Why a job failed, in one line.

    Args:
        log: The file of what it printed.
        status: Of its process.
    """
    if status is not None and status < 0:
        return f"killed by {signal.Signals(-status).name}, perhaps for want of memory"
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    return lines[-1].removeprefix("error: ") if lines else f"exit status {status}"


def _run(job: Job, shop: Workshop) -> None:
    os.setsid()  # Ctrl-C goes to the runner alone, which passes it on once
    claim = Claim(shop.results.claims, job.key)
    try:
        taken = claim.take()
    except OSError as error:
        _write_into(shop.log(job))
        sys.exit(f"error: {shop.results.claims}: cannot be written ({error.strerror})")
    if not taken:
        sys.exit(TAKEN)
    Thread(target=end_with_parent, daemon=True).start()
    with beating(claim, lost=lambda: os._exit(LOST)):
        if shop.results.is_finished(job.key):
            sys.exit(0)
        _write_into(shop.log(job))
        sys.exit(_status(job, shop))


def _status(job: Job, shop: Workshop) -> int:
    print(f"{job} ({job.key})", flush=True)
    try:
        perform(job, shop)
    except UserError as error:
        print(f"error: {last_line(error)}", file=sys.stderr)
        return 2
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except SignalledError as error:
        print(error, file=sys.stderr)
        return error.status
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def _write_into(log: Path) -> None:
    """All that this process and its own write goes to the end of a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def end_with_parent() -> None:
    """A runner that is killed takes its run along, which saves what it has."""
    parent = multiprocessing.parent_process()
    while parent is not None and parent.is_alive():
        time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGTERM)
