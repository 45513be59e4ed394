"""`map_in_workers`: order, laziness, errors, and processes that are killed or no longer wanted."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from stgcn_pyg.data.workers import AHEAD, map_in_workers, signals_held_back
from stgcn_pyg.errors import UserError


def workers_of(pid):
    """The processes that work for one."""
    # Whichever thread has started them.
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(child) for task in tasks for child in task.read_text().split()]
    return [child for child in found if b"LokyProcess" in command_of(child)]


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:  # it has ended
        return b""


def first_worker_of(pid):
    """As soon as there is one."""
    for _ in range(30_000):
        if found := workers_of(pid):
            return found[0]
        time.sleep(0.001)
    raise AssertionError("no worker has started")


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_the_order_of_the_items(workers):
    assert list(map_in_workers(str, range(50), workers)) == [str(item) for item in range(50)]
    assert not workers_of(os.getpid())


def test_it_takes_a_few_items_ahead_of_what_is_asked_for():
    taken = []
    items = (taken.append(item) or item for item in range(1000))
    with closing(map_in_workers(abs, items, 2)) as results:
        for asked in range(1, 20):
            next(results)
            assert len(taken) == 2 * AHEAD - 1 + asked


def test_an_error_is_that_of_the_function_and_ends_the_workers():
    results = map_in_workers(int, ["1", "two", "3"], 2)
    assert next(results) == 1
    with pytest.raises(ValueError, match="'two'"):
        next(results)
    assert not workers_of(os.getpid())


def test_whoever_stops_asking_does_not_wait_for_what_is_under_way():
    results = map_in_workers(time.sleep, [0, 60, 60, 60], 2)
    next(results)
    start = time.perf_counter()
    results.close()
    assert time.perf_counter() - start < 10
    assert not workers_of(os.getpid())


@pytest.mark.timeout(60)
@pytest.mark.parametrize("seconds", [0, 0.002, 0.01, 0.05, 0.2, 2])
def test_a_worker_killed_at_whatever_moment_is_an_error(seconds):
    def kill():
        worker = first_worker_of(os.getpid())
        time.sleep(seconds)
        os.kill(worker, signal.SIGKILL)

    before = threading.enumerate()
    killer = threading.Thread(target=kill)
    killer.start()
    # Whoever is not killed would sleep for longer than the test may take.
    with pytest.raises(UserError, match="a worker process was killed"):
        list(map_in_workers(time.sleep, [600] * 8, 2))
    killer.join()
    assert not workers_of(os.getpid())
    assert not set(threading.enumerate()) - set(before)


def test_ctrl_c_is_not_for_the_workers():
    results = map_in_workers(time.sleep, [0, 2], 2)
    next(results)
    for worker in workers_of(os.getpid()):
        wait_until_it_ignores_ctrl_c(worker)
        os.kill(worker, signal.SIGINT)
    assert list(results) == [None]


def wait_until_it_ignores_ctrl_c(worker):
    for _ in range(600):
        (ignored,) = re.findall(r"SigIgn:\s+(\w+)", Path(f"/proc/{worker}/status").read_text())
        if int(ignored, 16) >> (signal.SIGINT - 1) & 1:
            return
        time.sleep(0.05)
    raise AssertionError("it does not ignore Ctrl-C")


def test_ctrl_c_waits_until_workers_have_started_whichever_thread_gets_it():
    end, passed = threading.Event(), False
    other = threading.Thread(target=end.wait)
    other.start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), signals_held_back():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)
            passed = True
        assert passed
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
        end.set()
        other.join()


@pytest.mark.timeout(60)
def test_ctrl_c_ends_everything(tmp_path):
    script = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # if the tests ignore it
        "from pathlib import Path\n"
        "from stgcn_pyg.data.workers import map_in_workers\n"
        "def work(path):\n"
        "    Path(path).touch()\n"
        "    time.sleep(600)\n"
        "list(map_in_workers(work, sys.argv[1:], 2))\n"
    )
    at_work = [tmp_path / "one", tmp_path / "two"]
    command = [sys.executable, "-c", script, *map(str, at_work)]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        while not all(path.exists() for path in at_work):
            time.sleep(0.05)
        started = workers_of(run.pid)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to all of them
        _, errors = run.communicate(timeout=30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
    assert errors.count("Traceback") == 1 and errors.endswith("KeyboardInterrupt\n")
    assert len(started) == 2 and not any(map(command_of, started))
