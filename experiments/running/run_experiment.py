"""An experiment from beginning to end: its runs one by one, then its tables."""

import re
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from importlib import import_module
from statistics import mean

import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from experiments.experiment import Experiment
from experiments.running.datasets import open_source
from experiments.running.jobs import Job, Unit, deciding, jobs_of, preset_files, settings_of
from experiments.running.results import ResultsFolder
from experiments.running.run_job import RunContext, run_job
from stgcn_pyg.errors import UserError, whole_number
from stgcn_pyg.progress import bar_options
from stgcn_pyg.runs.devices import device_for
from stgcn_pyg.runs.settings import MAX_SEED, default_settings

OF_ONE_SPLIT = ("mars", "dukemtmc-videoreid", "manifest")
POLL = 1.0  # seconds until it is checked again whether other processes have finished their runs


def run_experiment(experiment: Experiment, options: Namespace) -> int:
    """Makes the runs that are not finished, and writes and prints the tables.

    Returns:
        The exit status: 1 if a run failed, else 0.

    Raises:
        UserError, RunError: It could not begin or go on.
        KeyboardInterrupt: Ctrl-C or SIGTERM; a training was saved.
    """
    experiment.choose(options.variants)  # refuses unknown names before anything begins
    device = device_for(options.accelerator)
    presets = preset_files(options.preset, options.dataset, gpu=device != "cpu")
    units = _units(options)
    work = options.work.resolve()
    workers = 2 if options.num_workers is None else max(1, options.num_workers)
    source = open_source(
        options.dataset, options.root, work, units[0].split, workers, options.allow_faults
    )
    jobs = jobs_of(experiment, options.variants, source, presets, units)
    folder = f"{source.name}-{options.preset}-{_hardware(device)}"
    results = ResultsFolder(
        options.results / folder,
        source.name,
        options.preset,
        deciding(settings_of(source, presets, {}, Unit(0, 0)).flat()),
        deciding(default_settings()),
        read_only=options.dry_run,
    )
    context = RunContext(
        results,
        work / folder,
        source,
        presets,
        options.accelerator,
        device,
        options.num_workers,
        options.pack,
    )
    if options.dry_run:
        print(plan_in_words(jobs, context))
        return 0

    def report() -> str:
        module, _, function = experiment.report.partition(".")
        write = getattr(import_module(f"experiments.tables.{module}"), function)
        with results.lock("tables"):
            return write(experiment, jobs, context)

    failed, left = run_jobs(jobs, context, after_each=report)
    print(report())
    for job, why in left.items():
        print(f"left out: {job}: {why}")
    for job, why in failed.items():
        print(f"failed: {job}: {why} ({context.log(job)})", file=sys.stderr)
    return 1 if failed else 0


def run_jobs(
    jobs: Sequence[Job], context: RunContext, after_each: Callable[[], object]
) -> tuple[dict[Job, str], dict[Job, str]]:
    """Makes the runs that are not finished, in order; other processes may work in the same folders.

    ``after_each`` is called when a run is finished.

    Returns:
        Why runs failed, and why others cannot be made here, by job.
    """
    results = context.results
    failed: dict[Job, str] = {}
    left: dict[Job, str] = {}
    finished = sum(results.is_finished(job.key) for job in jobs)  # no part of the time to come
    style = bar_options() | {"initial": finished, "desc": "runs", "unit": "run"}
    with tqdm(total=len(jobs), **style) as bar:

        def show(words: str) -> None:
            bar.set_postfix_str(words, refresh=sys.stderr.isatty())

        while pending := [
            job for job in jobs if job not in failed | left and not results.is_finished(job.key)
        ]:
            bar.update(len(jobs) - len(pending) - bar.n)
            for job in pending:
                if any(part in failed | left for part in job.needs):
                    left[job] = "a run that it is made of did not finish"
                elif not all(results.is_finished(part.key) for part in job.needs):
                    continue
                elif not context.has_what_it_needs(job):
                    left[job] = (
                        f"needs the weights or embeddings of {'; '.join(map(str, job.needs))} in "
                        f"{context.work}: run it where they were trained"
                    )
                elif (lock := _taken(results.lock(job.key))) is None:
                    continue
                else:
                    with lock:
                        if not results.is_finished(job.key):
                            why = run_job(
                                job, context, lambda words, job=job: show(f"{job}, {words}")
                            )
                            failed |= {job: why} if why else {}
                    if job not in failed:
                        after_each()
                break
            else:
                show("waiting for others")
                time.sleep(POLL)
        bar.update(len(jobs) - bar.n)
    return failed, left


def plan_in_words(jobs: Sequence[Job], context: RunContext) -> str:
    """A line a run with its state, and how long those to train should take."""
    results = context.results
    lines = [f"{job.key}  {_state(job, context):<12} {job}" for job in jobs]
    to_train = sum(not job.needs and not results.is_finished(job.key) for job in jobs)
    times = [
        sum(about["seconds"].values())
        for about in results.finished().values()
        if about["kind"] == "variant" and not about["resumed"]
    ]
    time_needed = f"{to_train} runs to train" if to_train else "nothing to train"
    if to_train and times:
        time_needed += (
            f", about {to_train * mean(times) / 3600:.1f} hours for one process: those that are "
            f"finished took {mean(times) / 60:.1f} minutes each"
        )
    elif to_train:
        time_needed += f"; how long they take is not known: no run is finished in {results.path}"
    return "\n".join([*lines, "", time_needed])


def _state(job: Job, context: RunContext) -> str:
    if context.results.is_finished(job.key):
        return "finished"
    if context.results.is_locked(job.key):
        return "at work"
    if job.needs:
        return "made of others"
    return "begun" if context.run_folder(job).is_dir() else "to do"


def _taken(lock: FileLock) -> FileLock | None:
    """The lock, held; None if another process holds it."""
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock


def _hardware(device: str) -> str:
    """``cpu``, or the name of the GPU, as in the name of the results folder."""
    if device == "cpu":
        return "cpu"
    return re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name().lower()).strip("-")


def _units(options: Namespace) -> list[Unit]:
    for number in options.seeds:
        whole_number("--seeds", number, least=0, most=MAX_SEED)
    for number in options.splits:
        whole_number("--splits", number, least=0)
    if options.num_workers is not None:
        whole_number("--num-workers", options.num_workers, least=0)
    if options.splits != [0] and options.dataset in OF_ONE_SPLIT:
        raise UserError(f"--splits: {options.dataset} has one split of its own; leave it out")
    pairs = [Unit(split, seed) for seed in options.seeds for split in options.splits]
    return list(dict.fromkeys(pairs))
