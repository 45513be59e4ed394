"""An experiment from beginning to end."""

import sys
from argparse import Namespace
from importlib import import_module

from experiments.running.claims import Claim
from experiments.running.datasets import open_source
from experiments.running.estimate import plan_in_words
from experiments.running.jobs import Unit, deciding, jobs_of
from experiments.running.perform import Workshop
from experiments.running.provenance import hardware_name
from experiments.running.results import ResultsFolder
from experiments.running.runner import Runner
from experiments.running.settings import preset_files, settings_of_run
from experiments.variants import Experiment
from stgcn_pyg.distributed import device_for
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.settings import default_settings

OF_ONE_SPLIT = ("mars", "dukemtmc-videoreid", "manifest")


def conduct(experiment: Experiment, options: Namespace) -> int:
    """Runs what is not finished, and writes and prints the tables.

    Args:
        experiment: The table.
        options: Those of ``experiments.command``.

    Returns:
        The exit status: 1 if runs failed, else 0.

    Raises:
        UserError, RunError, SignalledError: In one line each.
    """
    experiment.choose(options.variants)  # refuses unknown ones before anything begins
    device = device_for(options.accelerator)
    presets = preset_files(options.preset, options.dataset, gpu=device != "cpu")
    units = _units(options)
    work = options.work.resolve()
    workers = 2 if options.num_workers is None else max(1, options.num_workers)
    source = open_source(
        options.dataset, options.root, work, units[0].split, workers, options.allow_faults
    )
    jobs = jobs_of(experiment, options.variants, source, presets, units)
    settings = settings_of_run(source.loader, source.root, presets, {}, 0, 0)
    folder = f"{source.name}-{options.preset}-{hardware_name(device)}"
    results = ResultsFolder(
        options.results / folder,
        source.name,
        options.preset,
        deciding(settings.flat()),
        deciding(default_settings()),
    )
    shop = Workshop(
        results,
        work / folder,
        source,
        presets,
        options.accelerator,
        options.num_workers,
        options.pack,
    )
    if options.dry_run:
        print(plan_in_words(jobs, shop))
        return 0

    def report() -> str:
        module = import_module(f"experiments.tables.{experiment.report}")
        with Claim(results.claims, "tables").waited_for():
            return module.write_report(experiment, jobs, shop)

    runner = Runner(jobs, shop, after_each=report)
    runner.run()
    print(report())
    for job, why in runner.left.items():
        print(f"left out: {job}: {why}")
    for job, why in runner.failed.items():
        print(f"failed: {job}: {why} ({shop.log(job)})", file=sys.stderr)
    return 1 if runner.failed else 0


def _units(options: Namespace) -> list[Unit]:
    """Splits and seeds, each pair once."""
    for name in ("seeds", "splits"):
        if min(getattr(options, name)) < 0:
            raise UserError(f"--{name}: pass 0 or more")
    if options.splits != [0] and options.dataset in OF_ONE_SPLIT:
        raise UserError(f"--splits: {options.dataset} has one split of its own; leave it out")
    pairs = [Unit(split, seed) for seed in options.seeds for split in options.splits]
    return list(dict.fromkeys(pairs))
