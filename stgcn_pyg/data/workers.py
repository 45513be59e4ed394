"""`map` over worker processes."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from loky import ProcessPoolExecutor

from stgcn_pyg.data.worker_signals import end_with_the_parent, signals_held_back
from stgcn_pyg.errors import UserError

AHEAD = 4  # items a worker has in its queue: no worker waits, and memory does not grow
IDLE = 60  # seconds without work after which a worker ends

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_workers(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Generator[Result, None, None]:
    """Applies a function to items in processes, a few ahead of the result that is asked for.

    Whoever stops asking, for an error or Ctrl-C, ends the processes with it.

    Args:
        function: Of a module, or a `partial` of one: each process imports it.
        items: What it is applied to.
        workers: Processes; 1 works in this one.

    Yields:
        The results, in the order of the items.

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
        pool.shutdown(kill_workers=bool(waiting))
