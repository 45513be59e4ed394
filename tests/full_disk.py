"""What a full disk does, without filling one."""

import resource
import signal
from contextlib import contextmanager


@contextmanager
def largest_file(size):
    """No file may grow beyond so many bytes: as on a full disk, the write itself fails."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # which else ends the process
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
