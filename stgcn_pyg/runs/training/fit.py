"""Training into a folder, and on from where it was cut short."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import lightning as L
import pandas as pd
import torch

from stgcn_pyg.data import TrackletDataModule
from stgcn_pyg.data.reading import told_if_a_worker_is_killed
from stgcn_pyg.distributed import init_distributed, is_lost
from stgcn_pyg.errors import RunError, SignalledError, UserError, require_known
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.checkpoint import require_readable
from stgcn_pyg.runs.checkpoint_files import checkpoint_path, is_begun, state_path
from stgcn_pyg.runs.settings import Accelerator, Precision
from stgcn_pyg.runs.training.argument_checks import whole_number
from stgcn_pyg.runs.training.bar import TrainingBar
from stgcn_pyg.runs.training.checkpoints import CheckpointFiles, Checkpoints
from stgcn_pyg.runs.training.compiled_forward import Compile
from stgcn_pyg.runs.training.epoch_log import EpochLog
from stgcn_pyg.runs.training.finite import FiniteSteps
from stgcn_pyg.runs.training.folder_lock import only_run_in
from stgcn_pyg.runs.training.module import STGCNTraining
from stgcn_pyg.runs.training.processes import lightning_accelerator, process_options
from stgcn_pyg.runs.training.run_settings import deciding
from stgcn_pyg.runs.training.signals import NotedSignals
from stgcn_pyg.runs.training.tf32 import tf32_allowed
from stgcn_pyg.runs.training.validation import Validation


def train(
    model: STGCN,
    data: TrackletDataModule,
    output: str | Path,
    *,
    epochs: int = 800,
    margin: float | Literal["soft"] = 0.3,
    learning_rate: float = 3e-4,
    weight_decay: float = 5e-4,
    decay_epochs: int = 200,
    decay_factor: float = 0.1,
    precision: Precision = "32-true",
    accelerator: Accelerator = "auto",
    checkpoint_every: int = 1,
    validation: pd.DataFrame | None = None,
    validation_every: int = 10,
    sync_batch_norm: bool = True,
    compile: Compile = "auto",
    channels_last: bool = True,
    fused: bool = True,
    micro_batches: int = 1,
    recompute: bool = False,
    tf32: bool = True,
    look_every: int = 50,
) -> STGCN:
    """Trains a network from Python: :class:`STGCNTraining` by :func:`fit`.

    Args:
        model: The network; it is trained in place.
        data: The batches.
        output: The folder of the run.
        epochs: To train for in all.
        margin, learning_rate, weight_decay, decay_epochs, decay_factor: Of
            :class:`STGCNTraining`.
        precision, accelerator, checkpoint_every, validation, validation_every, sync_batch_norm: Of
            :func:`fit`.
        compile, channels_last, fused, micro_batches, recompute: Of :class:`STGCNTraining`.
        tf32, look_every: Of :func:`fit`.

    Returns:
        The same network, in evaluation mode.

    Raises:
        UserError, RunError, SignalledError: As :func:`fit`.
    """
    module = STGCNTraining(
        model,
        margin=margin,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        decay_epochs=decay_epochs,
        decay_factor=decay_factor,
        compile=compile,
        channels_last=channels_last,
        fused=fused,
        micro_batches=micro_batches,
        recompute=recompute,
    )
    fit(
        module,
        data,
        Path(output),
        epochs=epochs,
        precision=precision,
        accelerator=accelerator,
        checkpoint_every=checkpoint_every,
        validation=validation,
        validation_every=validation_every,
        sync_batch_norm=sync_batch_norm,
        tf32=tf32,
        look_every=look_every,
    )
    return model.eval()


def fit(
    module: STGCNTraining,
    data: TrackletDataModule,
    output: Path,
    *,
    epochs: int,
    precision: Precision = "32-true",
    accelerator: Accelerator = "auto",
    checkpoint_every: int = 1,
    validation: pd.DataFrame | None = None,
    validation_every: int = 10,
    sync_batch_norm: bool = True,
    tf32: bool = True,
    look_every: int = 50,
) -> Validation | None:
    """Trains, or goes on where the folder's checkpoint ends.

    On the CPU a run that was cut short, in whatever way, ends with the same weights to the last
    bit as one that was not. At Ctrl-C and SIGTERM it finishes the step, saves and leaves; a second
    signal ends it at once. In a kernel or a service that is no main thread, signals are left alone.

    Processes that torchrun or srun began share each batch and end with the same weights as one
    process, to rounding. The first of them writes; all must see the folder.

    Args:
        module: The model and its optimisation.
        data: Its batches.
        output: The folder that receives ``checkpoint.ckpt``, ``checkpoint.previous.ckpt``,
            ``log/`` and ``tensorboard/``.
        epochs: To train for in all.
        precision: ``"32-true"``, or ``"bf16-mixed"`` for bfloat16 where it is safe.
        accelerator: ``"auto"`` takes a CUDA GPU where there is one, else the CPU.
        checkpoint_every: Epochs between checkpoints; one is always written at the end.
        validation: Tracklets of people who are held out of ``data`` (:func:`hold_out`). The epoch
            that ranks them best is the one that counts: ``checkpoint.ckpt`` and the module have its
            weights in the end, and ``training.ckpt`` is what the run goes on from. Without, the
            last epoch counts.
        validation_every: Epochs between two looks at them.
        sync_batch_norm: Whether batch normalisation sees the batch of all processes, as one process
            would, or each its own part, which is faster.
        tf32: Whether float32 may be TensorFloat-32 in a GPU's products and convolutions.
        look_every: Steps between two looks at their losses and gradients, for which a GPU waits.

    Returns:
        The scores of the held-out people, if there are any.

    Raises:
        UserError: A number of epochs or steps is below 1, or a word is unknown; the folder holds a
            run with other settings, tracklets or another network, or is another process's at the
            moment; what is there cannot be read or gone on from; the network was changed by hand,
            so that its checkpoints could not be read back, is frozen altogether, or has fewer
            classes than there are people; or a picture is bad. Only the last is found after
            something was written.
        RunError: A loss, gradient or weight is not finite, the disk is full, or the GPU's memory,
            or another process is lost.
        SignalledError: Ctrl-C or SIGTERM ended it.
    """
    require_known(precision=(precision, Precision), accelerator=(accelerator, Accelerator))
    output, epochs = Path(output), whole_number("epochs", epochs)
    checkpoint_every = whole_number("checkpoint_every", checkpoint_every)
    validation_every = whole_number("validation_every", validation_every)
    look_every = whole_number("look_every", look_every)
    require_readable(module.model, module.config)
    _require_trainable(module.model)
    _require_classes(module.model, data)
    _require_state(output, validation is not None)
    module.run = deciding(
        module,
        data,
        validation,
        precision=precision,
        sync_batch_norm=sync_batch_norm,
        tf32=tf32,
        **({} if validation is None else {"validation_every": validation_every}),
    )
    module.run["epochs"] = epochs
    last = state_path(output, validation is not None)
    chosen = None
    sampler = data.sampler
    finite = FiniteSteps(sampler, data.dataset.train, last, look_every)
    with (
        init_distributed() as group,
        only_run_in(output, group),
        NotedSignals(second_acts=group.world_size == 1) as signals,
        warnings.catch_warnings(),
        tf32_allowed(tf32),
    ):
        # Said of a loader that begins in mid-epoch; ours does so at the right place.
        warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended")
        if validation is not None:
            best = checkpoint_path(output)
            chosen = Validation(data, validation, validation_every, best, group)
        options = process_options(group, accelerator, sync_batch_norm)
        trainer = L.Trainer(
            max_epochs=epochs,
            accelerator=lightning_accelerator(accelerator),
            precision=precision,
            default_root_dir=output,
            logger=False,
            callbacks=[
                TrainingBar(),
                finite,
                *([] if chosen is None else [chosen]),
                EpochLog(output, chosen, look_every),
                Checkpoints(last, checkpoint_every, data, signals, group, finite, chosen),
            ],
            enable_model_summary=False,
            use_distributed_sampler=False,
            **options | {"plugins": [CheckpointFiles(group), *options["plugins"]]},
        )
        there = group.from_first(is_begun(output, validation is not None))
        try:
            with told_if_a_worker_is_killed(), _told_in_a_line(last, signals):
                trainer.fit(module, data, ckpt_path=str(last) if there else None, weights_only=True)
        finally:
            data.sampler = sampler
            module.model.backbone.channels_last = True  # as wherever it is read back
        if chosen is not None:
            chosen.take_best(module)
    return chosen


def _require_trainable(model: STGCN) -> None:
    if not any(weight.requires_grad for weight in model.parameters()):
        raise UserError(
            "every weight of the network is frozen, so there is nothing to train: set "
            "requires_grad of those that are to learn"
        )


def _require_classes(model: STGCN, data: TrackletDataModule) -> None:
    classes = model.options["num_classes"]
    if data.num_classes > classes:
        raise UserError(
            f"the network has {classes:,} classes, the data set {data.num_classes:,} people to "
            f"train on: build the network with num_classes={data.num_classes}"
        )


def _require_state(output: Path, validated: bool) -> None:
    """Looks whether what is in a folder can be gone on from, where the best epoch is chosen or not.

    Raises:
        UserError: It cannot; what is there would be written over.
    """
    state, other = (state_path(output, validated=is_chosen) for is_chosen in (True, False))
    begun = is_begun(output, validated=True)
    if validated and other.exists() and not begun:
        raise UserError(
            f"{other}: is there without {state.name}, so that it is of a run without people held "
            "out, or was copied here: train as that run did, or choose another folder"
        )
    if begun and not validated:
        raise UserError(
            f"{state}: is of a run whose best epoch is chosen on people who are held out: hold "
            "out the same, or choose another folder"
        )


@contextmanager
def _told_in_a_line(checkpoint: Path, signals: NotedSignals) -> Iterator[None]:
    """Gives the errors that a user can do something about a name and a line."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise RunError(_out_of_memory(checkpoint)) from error
    except (UserError, RunError, SignalledError):
        raise
    except BaseException as error:
        if signals.number is None or is_lost(error):
            raise
        # A second signal, or what the first one did to something else.
        raise SignalledError(
            signals.number,
            "interrupted at once; the same command goes on from the checkpoint in "
            f"{checkpoint.parent}",
        ) from error


def _out_of_memory(checkpoint: Path) -> str:
    return (
        "the GPU has too little memory for this batch: lower --data.people_per_batch or "
        "--data.tracklets_per_person, --data.height and --data.width, or --model.num_frames, or "
        "pass --precision bf16-mixed, --training.micro_batches 2 (or more) or "
        f"--training.recompute true; the last good checkpoint is {checkpoint}"
    )
