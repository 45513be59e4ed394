"""Loops over batches that others read ahead, which end with the loop: processes or threads."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from torch.utils.data import DataLoader

from stgcn_pyg.data.workers import signals_held_back
from stgcn_pyg.errors import UserError

PATIENCE = 1.0  # seconds that the workers have to finish what they read
BY_ERROR = (
    "; or an error ended it, which then stands above, as where a script does not do its work under "
    '`if __name__ == "__main__":`, which processes that are spawned need'
)

AHEAD = 2  # batches that each thread may have read before they are asked for

Item = TypeVar("Item")
Batch = TypeVar("Batch")


@contextmanager
def reading(loader: DataLoader[Batch]) -> Iterator[Iterator[Batch]]:
    """Gives the batches of a loader and ends its worker processes with the block.

    They end whether the block ends by itself, by an error of theirs or of the block's, or by
    Ctrl-C. Otherwise they would live as long as the error that holds the loop's variables.

    Args:
        loader: The loader; its workers must not be persistent.

    Example:
        >>> loader = DataLoader([1, 2, 3], batch_size=None)
        >>> with reading(loader) as batches:
        ...     print(list(batches))
        [1, 2, 3]

    Raises:
        UserError: A worker was killed.
    """
    batches: Iterator[Batch] | None = None
    try:
        try:
            with signals_held_back():
                batches = iter(loader)
            yield batches
        finally:
            _end_workers(batches)
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):
            raise
        by_error = "" if "killed by signal" in str(error) else BY_ERROR
        raise UserError(
            "a process that reads images was killed, most likely for want of memory: pass fewer "
            f"--num-workers or smaller batches{by_error}"
        ) from error


@contextmanager
def reading_in_threads(
    read: Callable[[Item], Batch], items: Iterable[Item], threads: int
) -> Iterator[Iterator[Batch]]:
    """Gives what a function reads for each item, in their order; the threads end with the block.

    Args:
        read: The function; what it raises is raised where its batch is asked for.
        items: What it is given.
        threads: The number of threads that read ahead; 0 reads in this one.

    Example:
        >>> with reading_in_threads(abs, [-1, 2, -3], threads=2) as batches:
        ...     print(list(batches))
        [1, 2, 3]
    """
    if threads == 0:
        yield map(read, items)
        return
    pool = ThreadPoolExecutor(threads, "reading")
    try:
        yield _in_order(pool, read, items, AHEAD * threads)
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(
    pool: ThreadPoolExecutor, read: Callable[[Item], Batch], items: Iterable[Item], ahead: int
) -> Iterator[Batch]:
    waiting: deque[Future[Batch]] = deque()
    for item in items:
        waiting.append(pool.submit(read, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _end_workers(batches: object) -> None:
    # Not public, but there is no other way.
    end = getattr(batches, "_shutdown_workers", None)
    if end is None:  # this process reads alone
        return

    def terminate() -> None:
        for worker in getattr(batches, "_workers", []):
            worker.terminate()

    # PyTorch alone would wait 5 seconds for each that is in the middle of something.
    late = threading.Timer(PATIENCE, terminate)
    late.start()
    try:
        end()
    finally:
        late.cancel()
