"""Commands in processes of their own that import nothing anew, yet end as the command itself does.

Run as a program, it forks a process for each request, which leaves by Python's usual exit: with the
handlers that wait for what is left of its worker processes. A fork of the tests' own process could
not, for pytest has such handlers too.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 60  # seconds that a command may take to end once it has a reason to
AT_ONCE = 6  # seconds that its processes may outlive it


class Job:
    """A command under way, the leader of a session in which all its processes are."""

    def __init__(self, server, pid, log):
        self.server, self.pid, self.log = server, pid, log

    def told(self):
        """The lines that it wrote, without its bars."""
        lines = self.log.read_text().replace("\r", "\n").splitlines()
        return [line for line in lines if line.startswith("stgcn ")]

    def processes(self):
        """Those of its session that are alive."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
            except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                continue
            if int(session) == self.pid and state != "Z":
                found.append(int(path.parent.name))
        return found

    def workers(self, count):
        """Its worker processes, as soon as there are so many."""
        while len(found := [pid for pid in self.processes() if self._works(pid)]) < count:
            assert self.pid in self.processes(), self.log.read_text()
            time.sleep(0.01)
        return found

    def _works(self, pid):
        return (
            pid != self.pid and b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        )

    def status(self):
        """Its exit status, or minus the signal that killed it.

        Fails if the command does not end, or leaves a process.
        """
        self.server.stdin.write(json.dumps({"wait": self.pid}) + "\n")
        self.server.stdin.flush()
        status = json.loads(self.server.stdout.readline())
        until = time.monotonic() + AT_ONCE
        while (left := self.processes()) and time.monotonic() < until:
            time.sleep(0.05)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert status is not None, f"it did not end: {self.log.read_text()}"
        assert not left, f"it left {len(left)} processes: {self.log.read_text()}"
        return status


@contextmanager
def serving(*options):
    """Gives a function that begins a command, or a script if it is one string.

    With the option ``--narrow`` the networks of all of them are those of :mod:`narrow`.
    """
    server = subprocess.Popen(
        [sys.executable, __file__, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def begin(command, log, start="fork"):
        request = {"command": command, "log": str(log), "start": start}
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        return Job(server, json.loads(server.stdout.readline()), log)

    try:
        yield begin
    finally:
        server.kill()
        server.communicate()


def _serve():
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            print(json.dumps(_wait(request["wait"])), flush=True)
        elif os.fork() == 0:
            return _run(**request)


def _wait(pid):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return None


def _run(command, log, start):
    import multiprocessing

    from stgcn_pyg.cli import main

    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # if the tests ignore it
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    print(os.getpid(), flush=True)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(file, 1)
    os.dup2(file, 2)
    multiprocessing.set_start_method(start)
    if isinstance(command, str):
        exec(command, {"__name__": "__main__"})
        return 0
    return main(command)


if __name__ == "__main__":
    import gc

    import stgcn_pyg.cli.check
    import stgcn_pyg.cli.evaluate
    import stgcn_pyg.cli.explain
    import stgcn_pyg.cli.extract
    import stgcn_pyg.cli.pack
    import stgcn_pyg.cli.train  # noqa: F401

    if "--narrow" in sys.argv:
        from narrow import narrow

        narrow().start()
    # What is imported here is shared with the processes that are forked. They need not look
    # through all of it for garbage as they end, which takes seconds.
    gc.collect()
    gc.freeze()
    sys.exit(_serve())
