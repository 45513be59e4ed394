"""Several processes share a folder of claims: each thing is done by one of them."""

import multiprocessing
import os
import socket
import subprocess
import sys

from experiments.running import claims
from experiments.running.claims import Claim, beating

NAMES = [f"run-{number}" for number in range(30)]


def take_all(folder, barrier, queue):
    barrier.wait()
    queue.put([name for name in NAMES if Claim(folder, name).take()])


def pid_of_a_dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def leave(folder, name, host, pid, age=0.0, number=1):
    path = folder / f"{name}.{number}"
    path.write_text(f"{host} {pid}\n")
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))
    return path


def test_of_several_processes_one_gets_each_claim(tmp_path):
    for name in NAMES[::2]:  # left by the dead, so that all want to succeed them at once
        leave(tmp_path, name, "elsewhere", 1, age=claims.STALE + 5)
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(4), context.Queue()
    processes = [
        context.Process(target=take_all, args=(tmp_path, barrier, queue)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    taken = [name for _ in processes for name in queue.get(timeout=60)]
    for process in processes:
        process.join()
    assert sorted(taken) == sorted(NAMES)


def test_a_claim_is_held_until_it_is_released(tmp_path):
    first, second = Claim(tmp_path, "run"), Claim(tmp_path, "run")
    assert first.take() and not second.take()
    assert second.holder() == f"process {os.getpid()} on {socket.gethostname()}"
    first.release()
    assert second.holder() is None and second.take()
    second.release()
    assert not list(tmp_path.iterdir())


def test_a_claim_of_a_dead_process_of_this_machine_is_free_at_once(tmp_path):
    leave(tmp_path, "run", socket.gethostname(), pid_of_a_dead_process())
    claim = Claim(tmp_path, "run")
    assert claim.holder() is None and claim.take()
    claim.release()
    assert not list(tmp_path.iterdir())


def test_a_claim_from_elsewhere_is_free_only_after_minutes_without_a_sign_of_life(tmp_path):
    leave(tmp_path, "fresh", "elsewhere", 1, age=claims.STALE - 5)
    leave(tmp_path, "stale", "elsewhere", 1, age=claims.STALE + 5)
    assert not Claim(tmp_path, "fresh").take()
    assert Claim(tmp_path, "stale").take()


def test_a_name_that_begins_like_another_is_another_claim(tmp_path):
    assert Claim(tmp_path, "run").take() and Claim(tmp_path, "run-2").take()


def test_who_was_taken_for_dead_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "BEAT", 0.01)
    slow, told = Claim(tmp_path, "run"), multiprocessing.Event()
    assert slow.take() and slow.beat()
    with beating(slow, lost=told.set):
        leave(tmp_path, "run", "elsewhere", 1, number=2)
        assert told.wait(10)
    assert not slow.path and not (tmp_path / "run.1").exists()
    assert Claim(tmp_path, "run").holder() == "process 1 on elsewhere"


def test_signs_of_life_keep_a_claim(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "BEAT", 0.01)
    claim = Claim(tmp_path, "run")
    assert claim.take()
    old = claim.path.stat().st_mtime - 2 * claims.STALE
    os.utime(claim.path, (old, old))
    with beating(claim):
        for _ in range(1000):
            if claim.path.stat().st_mtime > old:
                break
            multiprocessing.Event().wait(0.01)
        assert not Claim(tmp_path, "run").take()
