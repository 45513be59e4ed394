"""The runs that a table can be made of."""

from collections.abc import Sequence

from experiments.running.jobs import Job, Unit
from experiments.running.results import ResultsFolder, RunResult
from experiments.tables.aggregate import Runs
from stgcn_pyg.evaluation import PROTOCOLS

NOTHING = "no run is finished"


def read_runs(jobs: Sequence[Job], results: ResultsFolder) -> Runs:
    """Those of the jobs that are finished."""
    runs: dict[str, dict[Unit, RunResult]] = {}
    for job in jobs:
        if results.is_finished(job.key):
            runs.setdefault(job.row.name, {})[job.unit] = results.read(job.key)
    return runs


def named_protocols(runs: Runs) -> list[str]:
    """The protocols under which runs were scored, the data set's usual one first."""
    known = {protocol.name for protocol in PROTOCOLS}
    scored = [run.results for units in runs.values() for run in units.values()]
    return list(dict.fromkeys(name for results in scored for name in results if name in known))
