"""All jobs of a table, one by one: what is finished is left, what was cut short goes on."""

import sys
import time
from collections.abc import Callable, Sequence

from tqdm import tqdm

from experiments.running.claims import Claim
from experiments.running.job_process import LOST, TAKEN, failure, start
from experiments.running.jobs import Job
from experiments.running.perform import Workshop
from stgcn_pyg.errors import SignalledError
from stgcn_pyg.progress import bar_options
from stgcn_pyg.runs.training.signals import NotedSignals

POLL = 1.0  # seconds between two looks at a job


class Runner:
    """Does the jobs that are not done, beside whoever else works in the same folders.

    Args:
        jobs: In the order in which they are begun, once what they need is there.
        shop: Where.
        after_each: Is called whenever a job is finished.

    Attributes:
        failed: Why, by job.
        left: Why a job that did not fail cannot be done here, by job.
    """

    def __init__(self, jobs: Sequence[Job], shop: Workshop, after_each: Callable[[], object]):
        self.jobs = jobs
        self.shop = shop
        self.after_each = after_each
        self.failed: dict[Job, str] = {}
        self.left: dict[Job, str] = {}

    def run(self) -> None:
        """Returns once every job is finished, here or elsewhere, or cannot be.

        Raises:
            SignalledError: Ctrl-C or SIGTERM; the job at work was saved.
        """
        with (
            NotedSignals() as signals,
            tqdm(total=len(self.jobs), desc="runs", unit="run", **bar_options()) as bar,
        ):
            while pending := self._pending():
                bar.update(len(self.jobs) - len(pending) - bar.n)
                job = self._next(pending)
                if job is None:
                    bar.set_postfix_str("waiting for others", refresh=sys.stderr.isatty())
                    time.sleep(POLL)
                else:
                    self._do(job, signals, bar)
                if signals.number is not None:
                    raise SignalledError(
                        signals.number, "stopped; the same command goes on from here"
                    )
            bar.update(len(self.jobs) - bar.n)

    def _pending(self) -> list[Job]:
        over = self.failed.keys() | self.left.keys()
        return [job for job in self.jobs if job not in over and not self._is_finished(job)]

    def _is_finished(self, job: Job) -> bool:
        return self.shop.results.is_finished(job.key)

    def _next(self, pending: list[Job]) -> Job | None:
        """The first that nobody has and whose parts are there; None if there is none for now."""
        for job in pending:
            if any(part in self.failed or part in self.left for part in job.needs):
                self.left[job] = "a run that it is made of did not finish"
            elif not all(self._is_finished(part) for part in job.needs):
                continue
            elif not self.shop.has_what_it_needs(job):
                self.left[job] = (
                    f"needs what {'; '.join(map(str, job.needs))} left in "
                    f"{self.shop.work}: run it where they were trained"
                )
            elif Claim(self.shop.results.claims, job.key).holder() is None:
                return job
        return None

    def _do(self, job: Job, signals: NotedSignals, bar: tqdm) -> None:
        process = start(job, self.shop)
        told = False
        while process.is_alive():
            process.join(POLL)
            bar.set_postfix_str(f"{job}{self._epoch(job)}", refresh=sys.stderr.isatty())
            if signals.number is not None and not told:
                process.terminate()  # it saves first
                told = True
        if self._is_finished(job):
            self.after_each()
        elif process.exitcode not in (TAKEN, LOST) and not told:
            self.failed[job] = failure(self.shop.log(job), process.exitcode)

    def _epoch(self, job: Job) -> str:
        try:
            with (self.shop.run_folder(job) / "log" / "metrics.csv").open() as file:
                return f", epoch {sum(1 for _ in file) - 1} of {job.config['epochs']}"
        except (OSError, KeyError):
            return ""
