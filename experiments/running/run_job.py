"""One run from beginning to end: `stgcn train` in a process of its own, embeddings, scores."""

import contextlib
import io
import json
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from filelock import FileLock
from tqdm import tqdm

from experiments.running.datasets import DataSource
from experiments.running.jobs import Job, settings_of
from experiments.running.results import ResultsFolder, write_bytes, write_json
from experiments.running.scores import score
from stgcn_pyg.data import TrackletDataModule
from stgcn_pyg.errors import RunError, UserError, last_line
from stgcn_pyg.runs.checkpoint import (
    KEY,
    checkpoint_path,
    load_checkpoint,
    previous_path,
    read_checkpoint,
    state_path,
    write_checkpoint,
)
from stgcn_pyg.runs.devices import tf32_allowed
from stgcn_pyg.runs.embedding import embed_tracklets, label_tracklets, ranking_task
from stgcn_pyg.runs.environment import describe_environment, describe_machine
from stgcn_pyg.runs.run import build_data
from stgcn_pyg.runs.run_folder import RUN_LOCK
from stgcn_pyg.runs.settings import RunSettings
from stgcn_pyg.runs.settings_files import as_yaml

POLL = 0.5  # seconds between two reports of a training's progress
# Linux sends a training SIGTERM when the process that began it ends: the training saves and ends.
ENDS_WITH_PARENT = (
    "import ctypes, os, sys\n"
    f"ctypes.CDLL(None).prctl(1, {int(signal.SIGTERM)})\n"  # PR_SET_PDEATHSIG
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
)


@dataclass(frozen=True)
class RunContext:
    """Where the runs of a table are made, and with what.

    Args:
        results: The results folder.
        work: Folder for checkpoints and embeddings, one for each kind of hardware.
        source: The data set.
        presets: The files of the preset.
        accelerator: ``"auto"``, ``"cpu"`` or ``"gpu"``, as for ``stgcn train``.
        device: The device that this stands for, ``"cpu"`` or ``"cuda"``.
        num_workers: Number of processes that read images; the preset's if None.
        pack: The data set's pack, to read frames from; None for its images.
    """

    results: ResultsFolder
    work: Path
    source: DataSource
    presets: list[Path]
    accelerator: str
    device: str
    num_workers: int | None = None
    pack: Path | None = None

    def run_folder(self, job: Job) -> Path:
        return self.work / job.key / "run"

    def embeddings(self, job: Job) -> Path:
        return self.work / job.key / "embeddings.npy"

    def log(self, job: Job) -> Path:
        return self.work / job.key / "log.txt"

    def has_weights(self, job: Job) -> bool:
        """Whether the weights and embeddings of a finished job lie in ``work``."""
        weights = checkpoint_path(self.run_folder(job))
        return weights.is_file() and self.embeddings(job).is_file()

    def has_what_it_needs(self, job: Job) -> bool:
        """Whether the weights or embeddings that a job is made of lie in ``work``."""
        if job.row.kind == "ensemble":
            return all(self.embeddings(other).is_file() for other in job.needs)
        return all(self.has_weights(other) for other in job.needs)

    def settings(self, job: Job) -> RunSettings:
        """The complete settings of a job."""
        changes = {**job.changes, "output": str(self.run_folder(job))}
        changes["accelerator"] = self.accelerator
        if self.num_workers is not None:
            changes["data.num_workers"] = self.num_workers
        if self.pack is not None:
            changes["pack"] = str(self.pack)
        return settings_of(self.source, self.presets, changes, job.unit)

    def data(self, job: Job) -> TrackletDataModule:
        return build_data(self.settings(job), self.source.load(job.unit.split))


def run_job(job: Job, context: RunContext, show: Callable[[str], object]) -> str | None:
    """Trains or goes on, embeds, scores, and adds the scores to the results.

    The job's lock is held, and what it needs is there. ``show`` is called with the progress.

    Returns:
        Why it failed, in one line; None if it did not.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; a training was saved.
    """
    try:
        if job.row.kind == "ensemble":
            ranked = job.needs
            how = {"resumed": False, "seconds": {}, **_provenance(context.device)}
        else:
            ranked = (job,)
            how = _embed(job, context, show)
        dataset = context.source.load(job.unit.split)
        task = ranking_task(dataset)
        embeddings = [np.load(context.embeddings(each)) for each in ranked]
        results = score(task, label_tracklets(dataset), embeddings, context.source.root)
        about = {
            "kind": job.row.kind,
            "dataset": context.source.name,
            **job.unit._asdict(),
            "config": dict(job.config),
            "made_of": [other.key for other in job.needs],
            "identity": job.identity,
            "faults": dict(context.source.faults),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            **how,
        }
        context.results.write(job.key, about, task, results)
    except (UserError, RunError) as error:
        return last_line(error)
    except Exception as error:
        with context.log(job).open("a") as log:
            traceback.print_exc(file=log)
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return None


def _provenance(device: str) -> dict[str, Any]:
    return {"environment": describe_environment(device), "machine": describe_machine(device)}


def _embed(job: Job, context: RunContext, show: Callable[[str], object]) -> dict[str, Any]:
    """Writes the embeddings unless they are there; returns how they were made."""
    path, made = context.embeddings(job), context.embeddings(job).with_suffix(".json")
    if path.is_file():
        return json.loads(made.read_text())
    start = monotonic()
    run, resumed = context.run_folder(job), context.run_folder(job).exists()
    if job.needs:
        run = context.run_folder(job.needs[0])
    elif not made.is_file():
        _train(job, context, show)
    trained = monotonic()
    show("embedding")
    model, _ = load_checkpoint(run)
    settings = context.settings(job)
    model.embedding_kind = settings.model["embedding"]
    labels = label_tracklets(context.source.load(job.unit.split))
    with tf32_allowed(settings.tf32), tqdm(disable=True) as silent:
        found = embed_tracklets(model, context.data(job), labels, context.device, bar=silent)
    seconds = {"training": trained - start, "embedding": monotonic() - trained}
    if job.needs:
        del seconds["training"]
    how = {"resumed": resumed, "seconds": seconds, **_provenance(context.device)}
    content = io.BytesIO()
    np.save(content, found.numpy())
    write_json(made, how)
    write_bytes(path, content.getvalue())
    if not job.needs:
        _keep_weights_alone(run)
    return how


def _train(job: Job, context: RunContext, show: Callable[[str], object]) -> None:
    """`stgcn train` in a process of its own, which Ctrl-C and SIGTERM let save first."""
    run, log = context.run_folder(job), context.log(job)
    settings = log.with_name("settings.yaml")
    write_bytes(settings, as_yaml(context.settings(job).nested()).encode())
    if (run / RUN_LOCK).exists():
        show("waiting for another process to save")
        with FileLock(run / RUN_LOCK):
            pass
    command = ["-W", "ignore", "-m", "stgcn_pyg.cli", "train", "--config", str(settings)]
    if sys.platform == "linux":
        command = ["-c", ENDS_WITH_PARENT, *command]
    with log.open("ab") as output:
        output.write(f"{job} ({job.key})\n".encode())
        output.flush()
        # In a session of its own, so that Ctrl-C does not reach it twice.
        process = subprocess.Popen(
            [sys.executable, *command], stdout=output, stderr=output, start_new_session=True
        )
        try:
            while process.poll() is None:
                show(_epoch(run, job))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        raise RunError(f"killed by {name}, perhaps for want of memory")
    if process.returncode > 0:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise RunError(lines[-1].removeprefix("stgcn train: ").removeprefix("error: "))


def _epoch(run: Path, job: Job) -> str:
    try:
        with (run / "log" / "metrics.csv").open() as file:
            return f"epoch {sum(1 for _ in file) - 1} of {job.config['epochs']}"
    except OSError:
        return "starting"


def _keep_weights_alone(run: Path) -> None:
    """Drops from a finished run's checkpoint the two thirds that only further training needs."""
    path = checkpoint_path(run)
    content = read_checkpoint(path)
    write_checkpoint(path, {name: content[name] for name in (KEY, "state_dict", "epoch")})
    state = state_path(run, validated=True)
    for other in (state, previous_path(state), previous_path(path)):
        other.unlink(missing_ok=True)
