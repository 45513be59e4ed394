"""One job from beginning to end: its embeddings, what they score, and the small files of both."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pandas as pd

from experiments.running.datasets import Source
from experiments.running.distance_ranking import rank_by_distances
from experiments.running.ensemble import sum_of_distances
from experiments.running.jobs import Job
from experiments.running.look_alikes import groups_of, score_smaller_groups
from experiments.running.provenance import provenance
from experiments.running.results import ResultsFolder, write_bytes, write_json
from experiments.running.settings import settings_of_run
from experiments.running.training import embed, keep_weights_alone, train_and_embed
from experiments.variants import Ensemble, Retested
from stgcn_pyg.distributed import device_for
from stgcn_pyg.evaluation import RankingResult
from stgcn_pyg.runs.checkpoint import checkpoint_path, load_checkpoint
from stgcn_pyg.runs.embedding import label_tracklets, ranking_task
from stgcn_pyg.runs.run import build_data, load
from stgcn_pyg.runs.scoring import RankingTask, score_features
from stgcn_pyg.runs.settings import RunSettings


@dataclass(frozen=True)
class Workshop:
    """Where the jobs of a table are done, and with what.

    Attributes:
        results: The folder of the small files.
        work: That of checkpoints and embeddings, of the same kind of hardware.
        source: The data set.
        presets: The preset's files.
        accelerator: As for ``stgcn train``.
        num_workers: Processes that read pictures; the preset's if not given.
        pack: The data set's pack, to read frames from.
    """

    results: ResultsFolder
    work: Path
    source: Source
    presets: list[Path]
    accelerator: str
    num_workers: int | None = None
    pack: Path | None = None

    def run_folder(self, job: Job) -> Path:
        """What ``stgcn train`` would call the run's folder."""
        return self.work / job.key / "run"

    def embeddings(self, job: Job) -> Path:
        """The file of the test tracklets' embeddings."""
        return self.work / job.key / "embeddings.npy"

    def log(self, job: Job) -> Path:
        """What a job prints."""
        return self.work / job.key / "log.txt"

    def has_what_it_needs(self, job: Job) -> bool:
        """Whether what a job is made of lies in ``work``."""
        if isinstance(job.row, Retested):
            return all(self._is_trained(other) for other in job.needs)
        return all(self.embeddings(other).is_file() for other in job.needs)

    def _is_trained(self, job: Job) -> bool:
        return checkpoint_path(self.run_folder(job)).is_file() and self.embeddings(job).is_file()

    @property
    def device(self) -> str:
        """``"cpu"`` or ``"cuda"``."""
        return device_for(self.accelerator)

    def options(self, job: Job) -> RunSettings:
        """Those of ``stgcn train``."""
        changes: dict[str, Any] = dict(job.changes)
        changes |= {"output": str(self.run_folder(job)), "accelerator": self.accelerator}
        if self.num_workers is not None:
            changes["data.num_workers"] = self.num_workers
        if self.pack is not None:
            changes["pack"] = str(self.pack)
        return settings_of_run(
            self.source.loader, self.source.root, self.presets, changes, *job.unit
        )


def perform(job: Job, shop: Workshop) -> None:
    """Does a job and writes its small files.

    Raises:
        UserError, RunError, SignalledError: As ``stgcn train``.
    """
    how: dict[str, Any] = {"resumed": False, "seconds": {}, **provenance(shop.device)}
    if not isinstance(job.row, Ensemble):
        how = _embed(job, shop)
    dataset = shop.source.load(job.unit.split)
    task = ranking_task(dataset)
    embeddings = [np.load(shop.embeddings(other)) for other in _ranked_by(job)]
    results = score(task, label_tracklets(dataset), embeddings, shop.source.root)
    about = {
        "kind": type(job.row).__name__.lower(),
        "dataset": shop.source.name,
        "split": job.unit.split,
        "seed": job.unit.seed,
        "config": dict(job.config),
        "made_of": [other.key for other in job.needs],
        "identity": job.identity,
        "faults": dict(shop.source.faults),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        **how,
    }
    shop.results.write(job.key, about, task, results)


def score(
    task: RankingTask, labels: pd.DataFrame, embeddings: Sequence[np.ndarray], root: Path
) -> dict[str, RankingResult]:
    """What embeddings score under every protocol, and with fewer look-alikes where these are known.

    Args:
        task: The labels of queries and gallery.
        labels: ``label_tracklets`` of the same data set, N rows.
        embeddings: ``[N, D]`` of one model, or of each that ranks together with others.
        root: The data set's folder.
    """
    sides = [labels[side].to_numpy() for side in ("is_query", "is_gallery")]
    features = [(each[sides[0]], each[sides[1]]) for each in embeddings]
    groups = groups_of(root, task)
    results: dict[str, RankingResult] = {}
    if len(features) == 1:
        results = score_features(task, *features[0])
    if len(features) > 1 or groups is not None:
        distances = sum_of_distances(features)
        results = results or rank_by_distances(task, distances)
        if groups is not None:
            results |= score_smaller_groups(task, groups, distances)
    return results


def _ranked_by(job: Job) -> tuple[Job, ...]:
    """The jobs whose embeddings are ranked."""
    return job.needs if isinstance(job.row, Ensemble) else (job,)


def _embed(job: Job, shop: Workshop) -> dict[str, Any]:
    """Writes the embeddings if they are not there, and tells how they came about."""
    path, told = shop.embeddings(job), shop.embeddings(job).with_suffix(".json")
    if path.is_file():
        return json.loads(told.read_text())
    resumed = shop.run_folder(job).exists()
    if isinstance(job.row, Retested):
        embeddings, seconds = _embed_again(job, shop)
    else:
        embeddings, seconds = train_and_embed(shop.options(job), shop.run_folder(job))
    how = {"resumed": resumed, "seconds": seconds, **provenance(shop.device)}
    buffer = io.BytesIO()
    np.save(buffer, embeddings)
    write_json(told, how)
    write_bytes(path, buffer.getvalue())
    if not isinstance(job.row, Retested):
        keep_weights_alone(shop.run_folder(job))
    return how


def _embed_again(job: Job, shop: Workshop) -> tuple[np.ndarray, dict[str, float]]:
    start = monotonic()
    options = shop.options(job)
    model, _ = load_checkpoint(shop.run_folder(job.needs[0]))
    model.embedding_kind = options.model["embedding"]
    data = build_data(options, load(options)[0])
    embeddings = embed(model, data, options.accelerator)
    return embeddings, {"embedding": monotonic() - start}
