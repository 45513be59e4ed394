"""Trains into a folder, and continues there after an interruption."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from stgcn_pyg.data import TrackletDataModule
from stgcn_pyg.distributed import init_distributed, is_lost
from stgcn_pyg.errors import RunError, UserError
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.checkpoint import checkpoint_path, is_begun, state_path
from stgcn_pyg.runs.devices import device_for, tf32_allowed
from stgcn_pyg.runs.run_folder import only_run_in
from stgcn_pyg.runs.same_run import deciding, require_readable
from stgcn_pyg.runs.settings import FitOptions
from stgcn_pyg.runs.signals import NotedSignals, SignalledError
from stgcn_pyg.runs.training.loop import TrainingLoop
from stgcn_pyg.runs.training.module import STGCNTraining
from stgcn_pyg.runs.training.validation import Validation


def train(model: STGCN, data: TrackletDataModule, output: str | Path, **settings: Any) -> STGCN:
    """Trains a network: :class:`STGCNTraining` by :func:`fit`.

    Args:
        model: Network, which is trained in place.
        data: The batches.
        output: Folder of the run.
        **settings: Arguments of :class:`STGCNTraining` and of :func:`fit`, by name, such as
            ``epochs``.

    Returns:
        The same network, in evaluation mode.

    Raises:
        UserError, RunError, SignalledError: As :func:`fit`.

    Example:
        >>> train(model, data, "runs/one", epochs=2, margin="soft")  # doctest: +SKIP
    """
    of_module = {k: v for k, v in settings.items() if k in signature(STGCNTraining).parameters}
    of_fit = {k: v for k, v in settings.items() if k not in of_module}
    fit(STGCNTraining(model, **of_module), data, output, **of_fit)
    return model.eval()


def fit(
    module: STGCNTraining,
    data: TrackletDataModule,
    output: str | Path,
    *,
    validation: pd.DataFrame | None = None,
    **options: Any,
) -> Validation | None:
    """Trains, or continues from the checkpoint in the folder.

    On the CPU a run that was interrupted, in whatever way, ends with the same weights to the last
    bit as one that was not. At Ctrl-C and SIGTERM it finishes the step, saves and ends; a second
    signal ends it at once. In a thread other than the main one, as in some services, signals are
    not handled.

    Processes that torchrun or srun began share each batch and end with the same weights as one
    process, up to rounding. The first of them writes; all must see the folder.

    Args:
        module: The model and its optimisation.
        data: The batches.
        output: Folder that receives ``checkpoint.ckpt``, ``checkpoint.previous.ckpt``, ``log/`` and
            ``tensorboard/``.
        validation: Tracklets of identities that are held out of ``data`` (:func:`hold_out`). The
            epoch that ranks them best is the one that counts: ``checkpoint.ckpt`` and the module
            have its weights in the end, and the run is continued from ``training.ckpt``. Without
            them, the last epoch counts.
        **options: Arguments of :class:`.FitOptions`, by name: ``epochs=800``,
            ``precision="32-true"``, ``accelerator="auto"``, ``checkpoint_every=1`` and others.

    Returns:
        The scores of the held-out identities, if there are any.

    Raises:
        UserError: An option is wrong; the folder holds a run with other settings, tracklets or
            another network, or another process is at work there; what is there cannot be read or
            resumed; the network was changed by hand, so that its checkpoints could not be read
            back, is frozen altogether, or has fewer classes than there are identities; or an image
            is bad. Only the last is found after something was written.
        RunError: A loss, gradient or weight is not finite, the disk or the GPU's memory is full, or
            another process is lost.
        SignalledError: Ctrl-C or SIGTERM ended it.
    """
    chosen = FitOptions(**options)
    output, validated = Path(output), validation is not None
    require_readable(module.model, module.config)
    _require_trainable(module.model, data)
    _require_state(output, validated)
    module.run = deciding(module, data, validation, chosen)
    path, best = state_path(output, validated), None
    with (
        init_distributed() as group,
        only_run_in(output, group),
        NotedSignals(second_acts=group.world_size == 1) as signals,
        tf32_allowed(chosen.tf32),
    ):
        if validation is not None:
            every, kept = chosen.validation_every, checkpoint_path(output)
            best = Validation(data, validation, every, kept, group)
        device = torch.device(device_for(chosen.accelerator, group))
        try:
            with _errors_in_a_line(path, signals):
                TrainingLoop(module, data, path, device, group, signals, best, chosen).run()
        finally:
            module.cpu()
            module.model.backbone.channels_last = True  # as wherever it is read back
        if best is not None:
            best.take_best(module.model)
    return best


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
    meant = model.backbone.frozen_norms
    frozen = sum(not module.training for module in model.modules() if module not in meant)
    if frozen:
        warnings.warn(f"{frozen} modules of the network are in evaluation mode", stacklevel=3)


def _require_state(output: Path, validated: bool) -> None:
    """Refuses to write over the state of a run with held-out identities, or without, if this one
    is not such a run."""
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
