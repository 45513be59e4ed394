"""Who does what: so that several processes and machines share a folder and do nothing twice."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

STALE = 300.0  # seconds without a sign of life after which a claim is free
BEAT = 20.0


class Claim:
    """A file that only one process can make, and that tells by its time that the process lives.

    A claim whose holder is dead is succeeded, not removed: who makes the file with the next number
    has it, and only one can. A dead holder is known at once on its own machine, elsewhere after
    ``STALE`` seconds.

    Args:
        folder: For such files, shared by all.
        name: What is claimed.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> first, second = Claim(folder, "run"), Claim(folder, "run")
        >>> first.take(), second.take()
        (True, False)
        >>> first.release()
        >>> second.take()
        True
    """

    def __init__(self, folder: Path, name: str):
        self.folder = folder
        self.name = name
        self.path: Path | None = None

    def holder(self) -> str | None:
        """Who has it, in words; None if nobody does."""
        number = self._last()
        return self._live_holder(number) if number else None

    def take(self) -> bool:
        """Takes it if it is free; whether it did."""
        self.folder.mkdir(parents=True, exist_ok=True)
        last = self._last()
        if last and self._live_holder(last):
            return False
        path = self._path(last + 1)
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{socket.gethostname()} {os.getpid()}\n")
        if last and (not self._path(last).exists() or self._live_holder(last)):
            path.unlink()  # someone else succeeded the dead holder, and was done, in between
            return False
        self.path = path
        return True

    def beat(self) -> bool:
        """Gives a sign of life; False if someone else has taken over."""
        assert self.path is not None
        try:
            os.utime(self.path)
        except FileNotFoundError:
            return False
        return self._path(self._last()) == self.path

    def release(self) -> None:
        """Frees it, if it is held; also of what dead holders left."""
        if self.path is None:
            return
        for number in range(1, self._number(self.path) + 1):
            self._path(number).unlink(missing_ok=True)
        self.path = None

    @contextmanager
    def waited_for(self, every: float = 0.5) -> Iterator[None]:
        """Waits until it is free, and holds it for the block."""
        while not self.take():
            time.sleep(every)
        with beating(self):
            yield

    def _path(self, number: int) -> Path:
        return self.folder / f"{self.name}.{number}"

    def _number(self, path: Path) -> int:
        return int(path.name.rpartition(".")[2])

    def _last(self) -> int:
        """The highest number there is; 0 if there is none."""
        return max((self._number(path) for path in self.folder.glob(f"{self.name}.*")), default=0)

    def _live_holder(self, number: int) -> str | None:
        path = self._path(number)
        try:
            host, _, pid = path.read_text().strip().partition(" ")
            age = self._now() - path.stat().st_mtime
        except FileNotFoundError:
            return None
        if age > STALE:
            return None
        if host == socket.gethostname() and pid and not _is_alive(int(pid)):
            return None
        return f"process {pid} on {host}"

    def _now(self) -> float:
        """The time by the clock of the disk, which need not be this machine's."""
        probe = self.folder / f".now-{socket.gethostname()}-{os.getpid()}"
        probe.touch()
        try:
            return probe.stat().st_mtime
        finally:
            probe.unlink()


@contextmanager
def beating(claim: Claim, lost: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Gives signs of life during a block, and frees the claim after it.

    Args:
        claim: One that is held.
        lost: Is called, in a thread, if someone else takes over.
    """
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(BEAT):
            if not claim.beat():
                lost()
                return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        claim.release()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
