"""Worker processes: `map` over them, and when they end.

The process that starts workers does so inside :func:`signals_held_back`; each worker calls
:func:`end_with_the_parent` first of all.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TypeVar

from stgcn_pyg.errors import UserError, needs_extra

AHEAD = 4  # items a worker has in its queue: no worker waits, and memory does not grow
IDLE = 60  # seconds without work after which a worker ends
PATIENCE = 1.0  # seconds that a thread which passes work on has to end
SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERVAL = 1.0  # seconds between two checks whether the parent is still there

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_workers(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Generator[Result, None, None]:
    """Results for items in their order, from processes a few items ahead of the one asked for.

    Closing the generator, also by an error or Ctrl-C, ends the processes.

    Args:
        function: A module's function, or a `partial` of one: each process imports it.
        items: What it is applied to.
        workers: The number of processes; 1 works in this one. More need the package loky.

    Raises:
        UserError: A worker was killed, at whatever moment.

    Example:
        >>> list(map_in_workers(abs, [-1, 2, -3], workers=1))
        [1, 2, 3]
    """
    if workers == 1:
        yield from map(function, items)
        return
    # Not the standard library's pool: in Python 3.11 it may wait for ever if one of its processes
    # dies while it starts another.
    with needs_extra("train"):
        from loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(workers, timeout=IDLE, initializer=end_with_the_parent)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            with signals_held_back():  # for it may begin a worker
                waiting.append(pool.submit(function, item))
            if len(waiting) == AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process was killed, most likely for want of memory: pass fewer --workers"
        ) from error
    finally:
        # Not public, but there is no other way. It removes semaphores as it ends: if Python ended
        # in the middle of that, it would warn of them on stderr.
        feeder = getattr(getattr(pool, "_call_queue", None), "_thread", None)
        pool.shutdown(kill_workers=bool(waiting))
        if feeder is not None:
            feeder.join(PATIENCE)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Holds Ctrl-C and SIGTERM back until the end of the block, in which workers are started.

    A forked worker inherits the blocked signals, so it does not handle one as its parent would
    before it has called :func:`end_with_the_parent`. The parent's handlers wait as well: with other
    threads the main one could run them in the middle of a fork, where Python only prints what they
    raise.

    Spawned workers inherit no handlers, and Python may wait for ever for one that cannot start, as
    in a script without ``if __name__ == "__main__":``. There Ctrl-C must not be held back.
    """
    is_forking = multiprocessing.get_start_method(allow_none=True) in (None, "fork")
    if not (is_forking and hasattr(signal, "pthread_sigmask")):  # the latter as on Windows
        yield
        return
    # Where it starts with a worker, in Python 3.11 and 3.12, it lets the signals through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        with _answers_held_back():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _answers_held_back() -> Iterator[None]:
    """Holds the handlers of the signals back until the end of the block."""
    if threading.current_thread() is not threading.main_thread():
        yield  # the handlers run in the main thread alone
        return
    came: list[int] = []
    # None is a handler that Python did not set, and could not put back.
    handlers = {n: handler for n in SIGNALS if (handler := signal.getsignal(n)) is not None}
    for number in handlers:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for one in came:  # they wait until they are no longer blocked
            signal.raise_signal(one)


def end_with_the_parent(worker: int = 0) -> None:
    """Makes this worker process end when its parent is gone or asks it to, and at no other signal.

    Ctrl-C and SIGTERM often go to a whole group of processes, and the parent still needs what its
    workers read to finish a step and save. So a worker obeys only a SIGTERM of its own parent, such
    as ``Process.terminate`` sends. Where the system does not tell who sent a signal (macOS,
    Windows), SIGTERM does what it did before.
    PyTorch passes the number of the ``worker`` to a ``worker_init_fn``; it is not used.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigtimedwait"):
        # Held back in all threads, so that the one below gets it and learns its sender.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    elif hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "this is no worker process"
    # Processes of loky have no sentinel, but are always children of their parent. With the start
    # method "forkserver" a worker is a child of the server.
    has_sentinel = getattr(parent, "sentinel", None) is not None
    first_parent = os.getppid() if has_sentinel else parent.pid
    while os.getppid() == first_parent and (not has_sentinel or parent.is_alive()):
        if not hasattr(signal, "sigtimedwait"):
            time.sleep(INTERVAL)
        elif (
            sent := signal.sigtimedwait([signal.SIGTERM], INTERVAL)
        ) and sent.si_pid == parent.pid:
            break
    os._exit(0)  # whatever the main thread waits for
