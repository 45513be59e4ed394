"""`stgcn train`: from tracklets on disk to a trained model and its CMC and mAP."""

import hashlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import lightning as L
import pandas as pd
from jsonargparse import Namespace
from jsonargparse.typing import NonNegativeInt, PositiveInt

from stgcn_pyg.cli.arguments import Parser, device_for, plain, write_json
from stgcn_pyg.cli.frames import (
    add_frame_arguments,
    needs_pictures,
    skipped_within,
    tell_skipped,
)
from stgcn_pyg.cli.scores import print_table, protocols, scores_as_json
from stgcn_pyg.cli.together import together
from stgcn_pyg.cli.trained_model import about_model
from stgcn_pyg.data import TrackletDataModule, TrackletDataset, load_dataset
from stgcn_pyg.data.load import NAMES
from stgcn_pyg.data.reading import require_good_frames
from stgcn_pyg.distributed import ProcessGroup
from stgcn_pyg.errors import UserError, last_line, signalled
from stgcn_pyg.evaluation import RankingResult
from stgcn_pyg.files import require_writable
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.baselines import colour_stripes
from stgcn_pyg.runs.checkpoint import begin_from
from stgcn_pyg.runs.embedding import average_clips, chance_scores, embed_tracklets, score
from stgcn_pyg.runs.environment import describe_environment
from stgcn_pyg.runs.run_folder import RunFolder
from stgcn_pyg.runs.training import STGCNTraining, checkpoint_path, fit, hold_out
from stgcn_pyg.runs.training.folder_lock import only_run_in
from stgcn_pyg.runs.training.tf32 import tf32_allowed
from stgcn_pyg.runs.training.validation import Validation

DESCRIPTION = """Trains STGCN on a data set and evaluates it; the same command again goes on.

Every setting is written to config.yaml in the run's folder, which --config takes in place of all
of them, the data set and its folder among them: so a run is repeated in a new folder.

Examples:
  stgcn train mars data/MARS --preset paper --output runs/mars
  stgcn train --config runs/mars/config.yaml --output runs/again"""


def parser() -> Parser:
    """Every setting of a run; those of a class come from its signature and docstring."""
    parser = Parser(prog="stgcn train", description=DESCRIPTION)
    parser.add_argument("dataset", type=str, help=f"its name: {', '.join(NAMES)}")
    parser.add_argument("root", type=Path, help="the folder that holds it, or the manifest")
    parser.add_argument("--preset", help="settings by name: paper, small or demo")
    parser.add_argument(
        "--config", action="config", help="settings from a YAML file, such as RUN/config.yaml"
    )
    parser.add_argument("--output", type=Path, default=Path("runs/stgcn"), help="the run's folder")
    parser.add_argument(
        "--split",
        type=NonNegativeInt,
        default=0,
        help="which split, from 0: of iLIDS-VID, PRID 2011 and WARD",
    )
    parser.add_argument("--seed", type=NonNegativeInt, default=0, help="of everything random")
    parser.add_argument("--epochs", type=PositiveInt, default=800, help="to train for")
    parser.add_argument(
        "--precision", type=Literal["32-true", "bf16-mixed"], default="32-true", help="of the step"
    )
    parser.add_argument(
        "--accelerator", type=Literal["auto", "cpu", "gpu"], default="auto", help="where to train"
    )
    parser.add_argument(
        "--tf32", type=bool, default=True, help="let float32 be TensorFloat-32 on a GPU"
    )
    parser.add_argument(
        "--look_every",
        type=PositiveInt,
        default=50,
        help="steps between looks at the losses, for which a GPU waits",
    )
    parser.add_argument(
        "--checkpoint_every", type=PositiveInt, default=1, help="epochs between checkpoints"
    )
    parser.add_argument(
        "--validation_share",
        type=float,
        default=0.0,
        help="of the training people, held out to choose the best epoch on; 0: the last counts",
    )
    parser.add_argument(
        "--validation_every", type=PositiveInt, default=10, help="epochs between looks at them"
    )
    parser.add_argument(
        "--sync_batch_norm",
        type=bool,
        default=True,
        help="with several processes: over the batch of all, as one process would",
    )
    parser.add_argument(
        "--weights_from",
        type=Path | None,
        default=None,
        help="a run's folder or checkpoint whose weights this run begins with, instead of "
        "--model.weights; of other people, with a new classifier",
    )
    add_frame_arguments(parser)
    parser.add_argument(
        "--baselines",
        type=bool,
        default=False,
        help="also score colour stripes and the untrained network",
    )
    parser.add_argument("--json", type=Path, default=None, help="write the scores here as well")
    parser.add_class_arguments(STGCN, "model", skip={"num_classes"})
    elsewhere = {"dataset", "num_frames", "seed", "pack", "on_bad_frame"}
    parser.add_class_arguments(TrackletDataModule, "data", skip=elsewhere)
    parser.add_class_arguments(STGCNTraining, "training", skip={"model", "config"})
    return parser


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    with together() as group:
        return _train(parser().parse_args(arguments), group)


def _train(options: Namespace, group: ProcessGroup) -> int:
    config, defaults = settings(options), settings(parser().get_defaults())
    device = device_for(options.accelerator, group)
    require_writable("--json", options.json)
    _quieten()

    # Refuses another run's folder. Nothing is written before the last refusal that can be foreseen.
    folder = RunFolder(options.output, config, defaults) if group.is_first else None
    L.seed_everything(options.seed, verbose=False)
    dataset, held_out = load(options)
    data = build_data(options, dataset)
    data.sampler.share(group.rank, group.world_size)
    if folder is not None:
        folder.require_tracklets(data, held_out)
    needed = pd.concat([dataset.train, held_out, dataset.test()])
    require_good_frames(data, needed, group.rank, group.world_size)
    begun = group.from_first(folder is not None and folder.begun)
    module = build_module(options, data, config, begun)
    scores: dict[str, Mapping[str, RankingResult]] = {"chance": chance_scores(data.dataset)}
    with only_run_in(options.output, group), tf32_allowed(options.tf32):
        if group.is_first:  # once more: another run may have begun and ended there meanwhile
            folder = RunFolder(options.output, config, defaults)
        _describe(data, module.model, options)
        if options.baselines:
            scores["colour stripes"] = _colour_stripes(data, group)
            scores["untrained"] = _score(module.model, data, device, "untrained", group)
        if folder is not None:  # the first process writes
            folder.write()
            folder.note_environment(describe_environment(device))
        validation = fit_network(options, module, data, held_out)
        with _training_is_kept(options.output), skipped_within(data) as skipped:
            scores["trained"] = _score(module.model, data, device, "trained", group)
        passed_over = len(set().union(*group.gather(skipped)))
        tell_skipped(data, group)
        if folder is None:
            return 0
        about = _about(options, module.model, data, passed_over)
        folder.write_metrics(scores_as_json(scores, about))
    if options.json is not None:
        write_json(options.json, scores_as_json(scores, about))
    if validation is not None:
        print(f"the best of {options.epochs:,} epochs by the people held out: {validation.best}")
    usual, *others = protocols(scores)
    print_table(scores, usual, about)
    print(f"\nwritten to {options.output}: {folder.contents()}")
    if others:
        print(f"metrics.json and `stgcn evaluate {options.output}` also have {', '.join(others)}")
    return 0


def settings(options: Namespace) -> dict[str, Any]:
    """Everything that a run's outcome may depend on, as plain values."""
    return {k: v for k, v in plain(options).items() if k not in ("config", "preset", "json")}


def load(options: Namespace) -> tuple[TrackletDataset, pd.DataFrame | None]:
    """The data set, and the tracklets that are held out of its training."""
    verify = needs_pictures(options.pack, options.on_bad_frame)
    dataset = load_dataset(options.dataset, options.root, options.split, verify)
    if not options.validation_share:
        return dataset, None
    return hold_out(dataset, options.validation_share, options.seed)


def build_data(options: Namespace, dataset: TrackletDataset | None = None) -> TrackletDataModule:
    """The batches of a data set, which is loaded if it is not given."""
    return TrackletDataModule(
        load(options)[0] if dataset is None else dataset,
        options.model.num_frames,
        pack=options.pack,
        on_bad_frame=options.on_bad_frame,
        seed=options.seed,
        **options.data.as_dict(),
    )


def build_module(
    options: Namespace, data: TrackletDataModule, config: dict[str, Any], begun: bool = False
) -> STGCNTraining:
    """The network and its optimisation.

    Args:
        options: Those of the command.
        data: The batches.
        config: The settings, to be kept in the checkpoints.
        begun: Whether a checkpoint is there to go on from. What the run began with is then read
            only to score it as a baseline, and may be gone otherwise.

    Raises:
        UserError: An option makes no sense, or there are no such weights to begin with.
    """
    resumed = begun and not options.baselines
    chosen = options.model.as_dict()
    if resumed or options.weights_from is not None:
        chosen["weights"] = None
    try:
        model = STGCN(data.num_classes, **chosen)
    except ValueError as error:
        raise UserError(f"--model: {error}") from error
    rows = -(-data.height // 16)  # of the feature maps
    patches = max(options.model.temporal_patches, options.model.spatial_patches)
    if rows < patches:
        raise UserError(
            f"--data.height {data.height} gives feature maps of {rows} rows, too few for "
            f"{patches} patches: pass at least {16 * patches}"
        )
    if options.weights_from is not None and not resumed:
        print(begin_from(model, options.weights_from, data.pids.tolist()))
    return STGCNTraining(model, **options.training.as_dict(), config=config)


def fit_network(
    options: Namespace,
    module: STGCNTraining,
    data: TrackletDataModule,
    held_out: pd.DataFrame | None,
) -> Validation | None:
    """Trains into the run's folder, or goes on there."""
    return fit(
        module,
        data,
        options.output,
        epochs=options.epochs,
        precision=options.precision,
        accelerator=options.accelerator,
        checkpoint_every=options.checkpoint_every,
        validation=held_out,
        validation_every=options.validation_every,
        sync_batch_norm=options.sync_batch_norm,
        tf32=options.tf32,
        look_every=options.look_every,
    )


def _score(
    model: STGCN, data: TrackletDataModule, device: str, title: str, group: ProcessGroup
) -> dict[str, RankingResult]:
    tracklets = data.dataset.test()
    title = f"embedding, {title}"
    embeddings = embed_tracklets(model, data, tracklets, device, title, group=group)
    return score(data.dataset, tracklets, embeddings)


def _about(
    options: Namespace, model: STGCN, data: TrackletDataModule, passed_over: int
) -> dict[str, Any]:
    with checkpoint_path(options.output).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return about_model(options.output, digest, model, data, options.split, passed_over)


@contextmanager
def _training_is_kept(output: Path) -> Iterator[None]:
    """Says of what ends the evaluation that the training before it is not lost."""
    kept = f"the training is done and kept in {checkpoint_path(output)}: the same command goes on"
    try:
        yield
    except UserError as error:
        raise UserError(
            f"{last_line(error)}; {kept} with the evaluation once that is mended, or at once with "
            "--on-bad-frame skip, which passes over bad pictures"
        ) from error
    except KeyboardInterrupt as interrupt:
        raise signalled(interrupt, f"interrupted; {kept} with the evaluation") from interrupt


def _colour_stripes(data: TrackletDataModule, group: ProcessGroup) -> dict[str, RankingResult]:
    tracklets = data.dataset.test()
    stripes = average_clips(
        lambda batch: colour_stripes(batch.clips),
        data.clip_dataloader(tracklets, group.rank, group.world_size),
        len(tracklets),
        "colour stripes",
        group=group,
    )
    return score(data.dataset, tracklets, stripes)


def _describe(data: TrackletDataModule, model: STGCN, options: Namespace) -> None:
    dataset = data.dataset
    parameters = sum(p.numel() for p in model.parameters())
    print(
        f"{dataset.name} at {dataset.root}: {len(dataset.train):,} tracklets of "
        f"{data.num_classes:,} people to train on, {len(dataset.query):,} queries, "
        f"{len(dataset.gallery):,} in the gallery\n"
        f"STGCN: {options.model.backbone} from "
        f"{options.weights_from or options.model.weights or 'random'} weights, "
        f"{' + '.join(model.branches)}, {parameters / 1e6:.1f} million parameters\n"
        f"{options.epochs:,} epochs of {len(data.sampler):,} steps, seed {options.seed}; "
        f"checkpoint: {checkpoint_path(options.output)}"
    )


def _quieten() -> None:
    """Lightning's advice is for those who write training code, not for those who run it."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
