"""Trains into a folder, and goes on there after an interruption."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from stgcn_pyg.data import TrackletDataModule
from stgcn_pyg.devices import device_for, tf32_allowed
from stgcn_pyg.distributed import init_distributed, is_lost
from stgcn_pyg.errors import RunError, UserError, require_known
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.checkpoint import (
    checkpoint_path,
    is_begun,
    state_path,
)
from stgcn_pyg.runs.same_run import deciding, require_readable
from stgcn_pyg.runs.settings import Accelerator, Precision
from stgcn_pyg.runs.training.folder_lock import only_run_in
from stgcn_pyg.runs.training.loop import TrainingLoop
from stgcn_pyg.runs.training.module import STGCNTraining, whole_number
from stgcn_pyg.runs.training.validation import Validation
from stgcn_pyg.signals import NotedSignals, SignalledError


def train(
    model: STGCN,
    data: TrackletDataModule,
    output: str | Path,
    *,
    epochs: int = 800,
    **settings: Any,
) -> STGCN:
    """Trains a network: :class:`STGCNTraining` by :func:`fit`.

    Args:
        model: Network, which is trained in place.
        data: The batches.
        output: Folder of the run.
        epochs: Number of epochs to train for in all.
        **settings: Arguments of :class:`STGCNTraining` and of :func:`fit`, by name.

    Returns:
        The same network, in evaluation mode.

    Raises:
        UserError, RunError, SignalledError: As :func:`fit`.

    Example:
        >>> train(model, data, "runs/one", epochs=2, margin="soft")  # doctest: +SKIP
    """
    of_module = {k: v for k, v in settings.items() if k in signature(STGCNTraining).parameters}
    of_fit = {k: v for k, v in settings.items() if k not in of_module}
    fit(STGCNTraining(model, **of_module), data, output, epochs=epochs, **of_fit)
    return model.eval()


def fit(
    module: STGCNTraining,
    data: TrackletDataModule,
    output: str | Path,
    *,
    epochs: int,
    precision: Precision = "32-true",
    accelerator: Accelerator = "auto",
    checkpoint_every: int = 1,
    validation: pd.DataFrame | None = None,
    validation_every: int = 10,
    sync_batch_norm: bool = True,
    tf32: bool = True,
    finite_check_every: int = 50,
) -> Validation | None:
    """Trains, or goes on where the checkpoint of the folder ends.

    On the CPU a run that was interrupted, in whatever way, ends with the same weights to the last
    bit as one that was not. At Ctrl-C and SIGTERM it finishes the step, saves and ends; a second
    signal ends it at once. In a thread other than the main one, as in some services, signals are
    left alone.

    Processes that torchrun or srun began share each batch and end with the same weights as one
    process, up to rounding. The first of them writes; all must see the folder.

    Args:
        module: The model and its optimisation.
        data: The batches.
        output: Folder that receives ``checkpoint.ckpt``, ``checkpoint.previous.ckpt``, ``log/`` and
            ``tensorboard/``.
        epochs: Number of epochs to train for in all.
        precision: ``"32-true"``, or ``"bf16-mixed"`` for bfloat16 where it is safe.
        accelerator: ``"auto"`` takes a CUDA GPU where there is one, else the CPU.
        checkpoint_every: Number of epochs between checkpoints; one is always written at the end.
        validation: Tracklets of identities that are held out of ``data`` (:func:`hold_out`). The
            epoch that ranks them best is the one that counts: ``checkpoint.ckpt`` and the module
            have its weights in the end, and the run goes on from ``training.ckpt``. Without them,
            the last epoch counts.
        validation_every: Number of epochs between two evaluations of the held-out tracklets.
        sync_batch_norm: Whether batch norm sees the batch of all processes, as one process would,
            or each its own part, which is faster.
        tf32: Whether float32 may be TensorFloat-32 in a GPU's products and convolutions.
        finite_check_every: Number of steps between two checks whether losses and gradients are
            finite, for which a GPU waits.

    Returns:
        The scores of the held-out identities, if there are any.

    Raises:
        UserError: A number of epochs or steps is below 1, or a word is unknown; the folder holds a
            run with other settings, tracklets or another network, or another process is at work
            there; what is there cannot be read or resumed; the network was changed by hand, so that
            its checkpoints could not be read back, is frozen altogether, or has fewer classes than
            there are identities; or an image is bad. Only the last is found after something was
            written.
        RunError: A loss, gradient or weight is not finite, the disk or the GPU's memory is full, or
            another process is lost.
        SignalledError: Ctrl-C or SIGTERM ended it.
    """
    require_known(precision=(precision, Precision), accelerator=(accelerator, Accelerator))
    output, validated = Path(output), validation is not None
    epochs = whole_number("epochs", epochs)
    checkpoint_every = whole_number("checkpoint_every", checkpoint_every)
    validation_every = whole_number("validation_every", validation_every)
    finite_check_every = whole_number("finite_check_every", finite_check_every)
    require_readable(module.model, module.config)
    _require_trainable(module.model, data)
    _require_state(output, validated)
    others: dict[str, Any] = {
        "precision": precision,
        "sync_batch_norm": sync_batch_norm,
        "tf32": tf32,
    }
    if validated:
        others["validation_every"] = validation_every
    module.run = deciding(module, data, validation, **others) | {"epochs": epochs}
    chosen = None
    path = state_path(output, validated)
    with (
        init_distributed() as group,
        only_run_in(output, group),
        NotedSignals(second_acts=group.world_size == 1) as signals,
        tf32_allowed(tf32),
    ):
        if validation is not None:
            best = checkpoint_path(output)
            chosen = Validation(data, validation, validation_every, best, group)
        device = torch.device(device_for(accelerator, group))
        try:
            with _errors_in_a_line(path, signals):
                loop = TrainingLoop(
                    module, data, path, device, group, signals, chosen, finite_check_every
                )
                loop.run(epochs, checkpoint_every, precision, sync_batch_norm)
        finally:
            module.cpu()
            module.model.backbone.channels_last = True  # as wherever it is read back
        if chosen is not None:
            chosen.take_best(module.model)
    return chosen


def _require_trainable(model: STGCN, data: TrackletDataModule) -> None:
    if not any(weight.requires_grad for weight in model.parameters()):
        raise UserError(
            "every weight of the network is frozen, so there is nothing to train: set "
            "requires_grad of those that are to learn"
        )
    classes = model.options["num_classes"]
    if data.num_classes > classes:
        raise UserError(
            f"the network has {classes:,} classes, the data set {data.num_classes:,} "
            f"identities to train on: build the network with num_classes={data.num_classes}"
        )
    frozen = sum(not module.training for module in model.modules())
    if frozen:
        warnings.warn(f"{frozen} modules of the network are in evaluation mode", stacklevel=3)


def _require_state(output: Path, validated: bool) -> None:
    """Checks that a folder's state was made with held-out identities, or without, as the run is.

    Raises:
        UserError: It was not; what is there would be written over.
    """
    state, other = (state_path(output, validated=is_chosen) for is_chosen in (True, False))
    begun = is_begun(output, validated=True)
    if validated and other.exists() and not begun:
        raise UserError(
            f"{other}: is there without {state.name}, so that it is of a run without held-out "
            "identities, or was copied here: train as that run did, or choose another folder"
        )
    if begun and not validated:
        raise UserError(
            f"{state}: is of a run whose best epoch is chosen on held-out identities: hold "
            "out the same, or choose another folder"
        )


@contextmanager
def _errors_in_a_line(checkpoint: Path, signals: NotedSignals) -> Iterator[None]:
    """Turns the errors that a user can do something about into one line."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise RunError(
            "the GPU has too little memory for this batch: lower --data.identities-per-batch or "
            "--data.tracklets-per-identity, --data.height and --data.width, or --model.num-frames, "
            "or pass --precision bf16-mixed, --training.micro-batches 2 (or more) or "
            f"--training.activation-checkpointing true; the last good checkpoint is {checkpoint}"
        ) from error
    except (UserError, RunError, SignalledError):
        raise
    except BaseException as error:
        if signals.number is None or is_lost(error):
            raise
        # A second signal, or what the first one did to another library.
        raise SignalledError(
            signals.number,
            "interrupted at once; the same command goes on from the checkpoint in "
            f"{checkpoint.parent}",
        ) from error
