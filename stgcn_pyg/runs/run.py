"""A run from its settings: built, trained, evaluated, and written into its folder."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from stgcn_pyg.data import TrackletDataModule, TrackletDataset, load_dataset
from stgcn_pyg.distributed import ProcessGroup, init_distributed
from stgcn_pyg.errors import UserError, last_line
from stgcn_pyg.evaluation import RankingResult
from stgcn_pyg.models import STGCN, Backbone
from stgcn_pyg.runs.checkpoint import begin_from
from stgcn_pyg.runs.devices import device_for, tf32_allowed
from stgcn_pyg.runs.embedding import average_clips, chance_scores, embed_tracklets, score
from stgcn_pyg.runs.environment import describe_environment
from stgcn_pyg.runs.run_folder import RunFolder, only_run_in
from stgcn_pyg.runs.score_files import Scores, scores_as_json
from stgcn_pyg.runs.scoring import colour_stripes
from stgcn_pyg.runs.settings import RunSettings
from stgcn_pyg.runs.signals import signalled
from stgcn_pyg.runs.trained_model import about_model, skipped_within, tell_skipped
from stgcn_pyg.runs.training import STGCNTraining, checkpoint_path, fit, hold_out
from stgcn_pyg.runs.training.validation import Validation


@dataclass(frozen=True, eq=False)
class Run:
    """What the settings of a run describe.

    Attributes:
        settings: The settings.
        dataset: The data set, without the tracklets that are held out.
        held_out: Training tracklets that are held out to choose the best epoch on, or None.
        data: The batches of the data set.
        module: The network, its losses and its optimiser.
    """

    settings: RunSettings
    dataset: TrackletDataset
    held_out: pd.DataFrame | None
    data: TrackletDataModule
    module: STGCNTraining

    @property
    def model(self) -> STGCN:
        """The network."""
        return self.module.model

    def fit(self) -> Validation | None:
        """Trains into the run's folder, or continues there, as :func:`.fit` does."""
        options = self.settings.fit_options()
        output = self.settings.output
        return fit(self.module, self.data, output, validation=self.held_out, **options)


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """What a run scored.

    Attributes:
        scores: By row of the table (``chance``, ``trained``, and the baselines if they were asked
            for), by protocol, the data set's usual protocol first.
        about: What the scores are of, by the names of :mod:`stgcn_pyg.runs.about`.
        validation: The scores of the held-out identities by epoch, if there are any.
    """

    scores: Scores
    about: Mapping[str, Any]
    validation: Validation | None


def build(settings: RunSettings) -> Run:
    """Loads the data set of a run and builds its batches and its network, on the CPU.

    Nothing is written. The same settings give the same initial weights.

    Args:
        settings: The settings, as :func:`.load_settings` gives them.

    Raises:
        UserError: There is no such data set, or a setting does not fit it or the others.
    """
    require_fitting_network(settings)
    torch.manual_seed(settings.seed)
    dataset, held_out = load(settings)
    data = build_data(settings, dataset)
    return Run(settings, dataset, held_out, data, build_module(settings, data))


def train_run(settings: RunSettings) -> FinishedRun:
    """Trains and evaluates a run in its folder, or continues what is there: ``stgcn train``.

    Processes that torchrun or srun began share the work, and each of them returns the scores.

    Args:
        settings: The settings, as :func:`.load_settings` gives them.

    Returns:
        The scores, which ``metrics.json`` in the folder holds as well.

    Raises:
        UserError: A setting, the data set, or what is in the folder cannot be used. What can be
            found before the training is, and nothing is written then.
        RunError: The training cannot go on: a loss is not finite, a disk or a GPU's memory is full.
        SignalledError: Ctrl-C or SIGTERM ended it; the same call continues.
    """
    with init_distributed() as group:
        return _train_run(settings, group)


def _train_run(settings: RunSettings, group: ProcessGroup) -> FinishedRun:
    device = device_for(settings.accelerator, group)
    # Refuses another run's folder. Nothing is written before all checks that need no training.
    folder = RunFolder(settings) if group.is_first else None
    begun = group.from_first(folder is not None and folder.begun)
    require_fitting_network(settings, begun)
    torch.manual_seed(settings.seed)
    dataset, held_out = load(settings)
    data = build_data(settings, dataset)
    data.sampler.share(group.rank, group.world_size)
    if folder is not None:
        folder.require_tracklets(data, held_out)
    needed = pd.concat([dataset.train, held_out, dataset.test()])
    data.require_good_frames(needed, group.rank, group.world_size)
    run = Run(settings, dataset, held_out, data, build_module(settings, data, begun))
    scores: dict[str, Mapping[str, RankingResult]] = {"chance": chance_scores(dataset)}
    with only_run_in(settings.output, group), tf32_allowed(settings.tf32):
        if group.is_first:  # once more: another run may have begun and ended there meanwhile
            folder = RunFolder(settings)
            _describe(run)
        if settings.baselines:
            scores["colour stripes"] = _score_colour_stripes(run, group)
            scores["untrained"] = _score(run, device, "untrained", group)
        if folder is not None:  # the first process writes
            folder.write()
            folder.note_environment(describe_environment(device))
        validation = run.fit()
        with _training_is_kept(settings.output), skipped_within(data, group) as skipped:
            scores["trained"] = _score(run, device, "trained", group)
        tell_skipped(data, group)
        with checkpoint_path(settings.output).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        about = about_model(settings.output, digest, run.model, data, settings.split, len(skipped))
        if folder is not None:
            folder.write_metrics(scores_as_json(scores, about))
    return FinishedRun(scores, about, validation)


def load(settings: RunSettings) -> tuple[TrackletDataset, pd.DataFrame | None]:
    """The data set of a run, and the tracklets that are held out of its training."""
    verify = settings.pack is None and settings.on_bad_frame == "stop"
    dataset = load_dataset(settings.dataset, settings.root, settings.split, verify)
    dataset.require_labels()
    if not settings.validation_share:
        return dataset, None
    return hold_out(dataset, settings.validation_share, settings.seed)


def build_data(settings: RunSettings, dataset: TrackletDataset) -> TrackletDataModule:
    """The batches of a run."""
    return TrackletDataModule(
        dataset,
        num_frames=settings.model["num_frames"],
        pack=settings.pack,
        on_bad_frame=settings.on_bad_frame,
        seed=settings.seed,
        **settings.data,
    )


def build_module(
    settings: RunSettings, data: TrackletDataModule, begun: bool = False
) -> STGCNTraining:
    """The network of a run, with its losses and optimiser.

    Where a run has ``begun``, its initial weights are read only to score them as a baseline.

    Raises:
        UserError: A setting makes no sense, or there are no such weights to begin with.
    """
    chosen = _arguments_of_network(settings, begun)
    try:
        model = STGCN(data.num_classes, **chosen)
    except ValueError as error:
        raise UserError(f"--model: {error}") from error
    if settings.weights_from is not None and not (begun and not settings.baselines):
        print(begin_from(model, settings.weights_from, data.pids.tolist()))
    return STGCNTraining(model, **settings.training, config=settings.nested())


def require_fitting_network(settings: RunSettings, begun: bool = False) -> None:
    """Checks what can be known of a run's network without its data set, in a second or less.

    Raises:
        UserError: There is no such backbone, an option does not fit it, its weights cannot be read
            or are of another network, or the images are too small.
    """
    chosen = _arguments_of_network(settings, begun)
    height, width = settings.data["height"], settings.data["width"]
    names = ("last_stage", "image_size", "patch_stride")
    options = {name: chosen[name] for name in names}
    with torch.device("meta"):  # where weights take no memory and a forward pass no time
        backbone = Backbone(chosen["backbone"], chosen["weights"], **options)
        rows, columns = backbone.map_size(height, width)
    patches = max(chosen["temporal_patches"], chosen["spatial_patches"])
    if rows < patches:
        raise UserError(
            f"--data.height {height} gives feature maps of {rows} x {columns}, too few rows for "
            f"{patches} patches: pass at least {-(-height // rows) * patches}, or fewer patches"
        )


def _arguments_of_network(settings: RunSettings, begun: bool) -> dict[str, Any]:
    """The arguments of :class:`.STGCN`; where the training has begun, without initial weights."""
    chosen = dict(settings.model)
    if (begun and not settings.baselines) or settings.weights_from is not None:
        chosen["weights"] = None
    if chosen["image_size"] is None and chosen["backbone"].startswith("timm/"):
        chosen["image_size"] = (settings.data["height"], settings.data["width"])
    return chosen


def _score(run: Run, device: str, title: str, group: ProcessGroup) -> dict[str, RankingResult]:
    tracklets = run.dataset.test()
    title = f"embedding, {title}"
    embeddings = embed_tracklets(run.model, run.data, tracklets, device, title, group=group)
    return score(run.dataset, tracklets, embeddings)


def _score_colour_stripes(run: Run, group: ProcessGroup) -> dict[str, RankingResult]:
    tracklets = run.dataset.test()
    loader = run.data.clip_dataloader(tracklets, group.rank, group.world_size)
    stripes = average_clips(
        lambda batch: colour_stripes(batch.clips),
        loader,
        len(tracklets),
        "colour stripes",
        group=group,
    )
    return score(run.dataset, tracklets, stripes)


@contextmanager
def _training_is_kept(output: Path) -> Iterator[None]:
    """Adds to an error of the evaluation that the training before it is kept."""
    kept = f"the training is done and kept in {checkpoint_path(output)}: the same command goes on"
    try:
        yield
    except UserError as error:
        raise UserError(
            f"{last_line(error)}; {kept} with the evaluation once that is mended, or at once with "
            "--on-bad-frame skip, which skips bad images"
        ) from error
    except KeyboardInterrupt as interrupt:
        raise signalled(interrupt, f"interrupted; {kept} with the evaluation") from interrupt


def _describe(run: Run) -> None:
    settings, dataset, model = run.settings, run.dataset, run.model
    parameters = sum(p.numel() for p in model.parameters())
    print(
        f"{dataset.name} at {dataset.root}: {len(dataset.train):,} tracklets of "
        f"{run.data.num_classes:,} identities to train on, {len(dataset.query):,} queries, "
        f"{len(dataset.gallery):,} in the gallery\n"
        f"STGCN: {settings.model['backbone']} from "
        f"{settings.weights_from or settings.model['weights'] or 'random'} weights, "
        f"{' + '.join(model.branches)}, {parameters / 1e6:.1f} million parameters\n"
        f"{settings.epochs:,} epochs of {len(run.data.sampler):,} steps, seed {settings.seed}; "
        f"checkpoint: {checkpoint_path(settings.output)}"
    )
