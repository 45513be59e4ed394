"""The runs that a table can be made of."""

from collections import Counter
from collections.abc import Sequence

from experiments.running.jobs import Job, Unit
from experiments.running.perform import Workshop
from experiments.running.results import RunResult
from experiments.tables.aggregate import Runs
from stgcn_pyg.evaluation import PROTOCOLS
from stgcn_pyg.runs.about import clips_in_words
from stgcn_pyg.runs.embedding import ranking_task

NOTHING = "no run is finished"


def read_runs(jobs: Sequence[Job], shop: Workshop) -> Runs:
    """Those of the jobs that are finished."""
    finished = [job for job in jobs if shop.results.is_finished(job.key)]
    splits = {job.unit.split for job in finished}
    tasks = {split: ranking_task(shop.source.load(split)) for split in splits}
    runs: dict[str, dict[Unit, RunResult]] = {}
    for job in finished:
        result = shop.results.read(job.key, tasks[job.unit.split])
        runs.setdefault(job.row.name, {})[job.unit] = result
    return runs


def named_protocols(runs: Runs) -> list[str]:
    """The protocols under which runs were scored, the data set's usual one first."""
    known = {protocol.name for protocol in PROTOCOLS}
    scored = [run.results for units in runs.values() for run in units.values()]
    return list(dict.fromkeys(name for results in scored for name in results if name in known))


def clips_of(runs: Runs) -> str:
    """By which clips and embeddings runs were scored, in words."""
    names = ("data.test_clips", "model.num_frames", "model.embedding")
    configs = [
        run.about["config"]
        for units in runs.values()
        for run in units.values()
        if run.about.get("config")
    ]
    ways = {
        "; ".join(clips_in_words({name.partition(".")[2]: config[name] for name in names}))
        for config in configs
        if set(names) <= set(config)
    }
    if not ways:
        return "clips of which nothing is told"
    return ways.pop() if len(ways) == 1 else "clips that differ by row"


def made_on(runs: Runs) -> str:
    """The machines on which runs were made and how many on each, most first, and their torch.

    Another processor's last bits make another network, as another seed does.
    """
    machines = [run.about["machine"] for units in runs.values() for run in units.values()]
    devices = Counter(machine["device"] for machine in machines).most_common()
    versions = dict.fromkeys(str(machine["torch"]).partition("+")[0] for machine in machines)
    told = [device if len(devices) == 1 else f"{device} ({count})" for device, count in devices]
    return f"{', '.join(told)}; torch {', '.join(versions)}"
