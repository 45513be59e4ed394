"""What a command would do, and for how long."""

import json
from collections.abc import Sequence
from statistics import mean

from experiments.running.claims import Claim
from experiments.running.jobs import Job
from experiments.running.perform import Workshop
from experiments.running.results import ResultsFolder


def plan_in_words(jobs: Sequence[Job], shop: Workshop) -> str:
    """A line a job, and the time that those to do should take."""
    states = {job: _state(job, shop) for job in jobs}
    lines = [f"{job.key}  {state:<12} {job}" for job, state in states.items()]
    to_train = sum(not job.needs and not shop.results.is_finished(job.key) for job in states)
    return "\n".join([*lines, "", _time(to_train, shop.results)])


def _state(job: Job, shop: Workshop) -> str:
    if shop.results.is_finished(job.key):
        return "finished"
    holder = Claim(shop.results.claims, job.key).holder()
    if holder is not None:
        return f"at work: {holder}"
    if job.needs:
        return "made of others"
    return "begun" if shop.run_folder(job).is_dir() else "to do"


def _time(to_train: int, results: ResultsFolder) -> str:
    seconds = seconds_a_run(results)
    if not to_train:
        return "nothing to train"
    if seconds is None:
        return (
            f"{to_train} runs to train; no time to tell from: no run is finished in {results.path}"
        )
    return (
        f"{to_train} runs to train, about {to_train * seconds / 3600:.1f} hours for one process: "
        f"those that are finished took {seconds / 60:.1f} minutes each"
    )


def seconds_a_run(results: ResultsFolder) -> float | None:
    """The mean time of the trained runs that are finished, but for those that were cut short."""
    told = [json.loads(file.read_text()) for file in results.path.glob("runs/*/run.json")]
    times = [
        sum(about["seconds"].values())
        for about in told
        if about["kind"] == "variant" and not about["resumed"]
    ]
    return mean(times) if times else None
