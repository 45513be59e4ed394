"""Experiments on the smallest rendered data set, whose networks all test files share."""

import json
import os
import subprocess
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import TextIOWrapper
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from several_processes import forked, status_of

from experiments.__main__ import run
from experiments.running.datasets import open_source
from experiments.running.jobs import Unit, jobs_of, preset_files
from experiments.running.results import ResultsFolder
from experiments.running.run_job import RunContext
from experiments.tables_1_to_4 import TABLE_3
from stgcn_pyg.cli import main
from stgcn_pyg.runs.embedding import ranking_task

NAME = "stgcn-synth-tiny"
WHERE = f"{NAME}-smoke-cpu"


def shared_place(tmp_path_factory):
    """A folder for results and work. With several test processes it is the same for all of them:
    each network is trained once, by whoever comes first, as with any two commands.
    """
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "experiments"


def arguments(place: Path, *more: str) -> list[str]:
    """The options of an experiment with results and work in a folder."""
    return [
        *("--dataset", NAME, "--preset", "smoke", "--accelerator", "cpu", "--num-workers", "0"),
        *("--results", str(place / "results"), "--work", str(place / "work"), *more),
    ]


def make(experiment, place: Path, *more: str) -> Path:
    """Runs an experiment and gives its results folder."""
    assert run(experiment, arguments(place, *more)) == 0
    return place / "results" / WHERE


def context_of(place: Path) -> RunContext:
    """Where :func:`make` has made its runs."""
    presets = preset_files("smoke", NAME, gpu=False)
    source = open_source(NAME, None, place / "work", split=0, workers=1)
    folder = results_of(place / "results" / WHERE)
    return RunContext(folder, place / "work" / WHERE, source, presets, "cpu", "cpu", 0)


def results_of(path: Path) -> ResultsFolder:
    """A results folder, whatever preset it is of."""
    stored = json.loads((path / "folder.json").read_text())
    settings = {k.removeprefix("preset's "): v for k, v in stored.items() if "preset's" in k}
    return ResultsFolder(path, NAME, "smoke", settings)


def jobs(context: RunContext, experiment=TABLE_3):
    """The jobs of an experiment by the name of their row."""
    found = jobs_of(experiment, None, context.source, context.presets, [Unit(0, 0)])
    return {job.row.name: job for job in found}


def read(context: RunContext, job):
    """What a finished run scored."""
    return context.results.read(job.key, ranking_task(context.source.load(job.unit.split)))


class ForkedCommand:
    """What the experiments begin as a process of its own, in one that imports nothing anew."""

    def __init__(self, command, stdout, stderr, start_new_session):
        arguments = command[command.index("stgcn_pyg.cli") + 1 :]

        def work():
            with TextIOWrapper(stdout) as log, redirect_stdout(log), redirect_stderr(log):
                return main(arguments)

        self.returncode = None
        self._pid = forked(work)

    def poll(self):
        return self.returncode

    def wait(self, timeout=None):
        if self.returncode is None:
            self.returncode = status_of(self._pid)


@contextmanager
def forked_trainings():
    """Lets the experiments train in forks, with the networks that tests have patched in."""
    popen = SimpleNamespace(Popen=ForkedCommand, TimeoutExpired=subprocess.TimeoutExpired)
    with patch("experiments.running.run_job.subprocess", popen):
        yield
