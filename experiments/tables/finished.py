"""The finished runs of a table, and what all of them have in common."""

from collections import Counter
from collections.abc import Sequence

from experiments.running.jobs import Job, Unit
from experiments.running.results import RunResult
from experiments.running.run_job import RunContext
from experiments.tables.aggregate import Runs
from stgcn_pyg.evaluation import PROTOCOLS
from stgcn_pyg.runs.about import clips_in_words
from stgcn_pyg.runs.embedding import ranking_task

NOTHING = "no run is finished"
CLIPS = {
    "test_clips": "data.test_clips",
    "num_frames": "model.num_frames",
    "embedding": "model.embedding",
}


def read_runs(jobs: Sequence[Job], context: RunContext) -> Runs:
    """What those of the jobs scored that are finished."""
    finished = [job for job in jobs if context.results.is_finished(job.key)]
    splits = {job.unit.split for job in finished}
    tasks = {split: ranking_task(context.source.load(split)) for split in splits}
    runs: dict[str, dict[Unit, RunResult]] = {}
    for job in finished:
        result = context.results.read(job.key, tasks[job.unit.split])
        runs.setdefault(job.row.name, {})[job.unit] = result
    return runs


def named_protocols(runs: Runs) -> list[str]:
    """The protocols under which runs were scored, the data set's usual one first."""
    known = {protocol.name for protocol in PROTOCOLS}
    scored = (name for units in runs.values() for run in units.values() for name in run.results)
    return list(dict.fromkeys(name for name in scored if name in known))


def clips_of(runs: Runs) -> str:
    """By which clips and embeddings runs were scored, in words."""
    configs = [run.about.get("config") or {} for units in runs.values() for run in units.values()]
    ways = {
        "; ".join(clips_in_words({name: config[setting] for name, setting in CLIPS.items()}))
        for config in configs
        if set(CLIPS.values()) <= set(config)
    }
    if not ways:
        return "clips of which nothing is told"
    return ways.pop() if len(ways) == 1 else "clips that differ by row"


def made_on(runs: Runs) -> str:
    """The machines on which runs were made, with their number of runs, most first; and their torch.

    Other processors round otherwise, and so train other networks, as other seeds do.
    """
    machines = [run.about["machine"] for units in runs.values() for run in units.values()]
    devices = Counter(machine["device"] for machine in machines).most_common()
    versions = dict.fromkeys(str(machine["torch"]).partition("+")[0] for machine in machines)
    names = [device if len(devices) == 1 else f"{device} ({count})" for device, count in devices]
    return f"{', '.join(names)}; torch {', '.join(versions)}"
