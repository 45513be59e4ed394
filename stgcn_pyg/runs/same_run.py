"""Whether a checkpoint is of the same run: what decides a run's outcome, and its comparison."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from stgcn_pyg.data import TrackletDataModule
from stgcn_pyg.data.dataset import Identity, difference, identify
from stgcn_pyg.errors import UserError
from stgcn_pyg.models import STGCN
from stgcn_pyg.models.options import plain_values, require_rebuilt
from stgcn_pyg.runs.checkpoint import description_of, weights_of
from stgcn_pyg.runs.settings import FitOptions
from stgcn_pyg.runs.settings_files import renamed_arguments

if TYPE_CHECKING:
    from stgcn_pyg.runs.training import STGCNTraining

OF_TRAINING = (
    *("margin", "learning_rate", "weight_decay", "decay_epochs", "decay_factor"),
    *("micro_batches", "label_smoothing", "centre_loss", "optimizer", "backbone_learning_rate"),
    *("layer_decay", "warmup_epochs", "decay", "frozen_layers", "frozen_batch_norm"),
)
OF_DATA = ("num_frames", "height", "width")
OF_BATCHES = ("identities_per_batch", "tracklets_per_identity", "seed")
OF_CLIPS = (
    *("flip", "shift", "zoom", "colour", "erase", "brightness", "contrast", "saturation"),
    "augment",
)
OF_FIT = ("precision", "sync_batch_norm", "tf32")


def deciding(
    module: "STGCNTraining",
    data: TrackletDataModule,
    validation: pd.DataFrame | None,
    options: FitOptions,
) -> dict[str, Any]:
    """What decides a run's outcome, beside the network itself, as :func:`.describe` takes it.

    These are the ``settings``, the ``tracklets`` with those that are held out for ``validation``,
    and the ``epochs``, of which a continued run may have more. How it is computed (on which device,
    compiled or not, in how many processes) does not belong to them.
    """
    sources = (
        (module, OF_TRAINING),
        (data, OF_DATA),
        (data.sampler, OF_BATCHES),
        (data.augmentation, OF_CLIPS),
        (data, ("train_frames", "stride") if data.train_frames == "strided" else ("train_frames",)),
        (options, OF_FIT),
    )
    settings = {name: getattr(source, name) for source, names in sources for name in names}
    if validation is not None:
        settings |= {"test_clips": data.test_clips, "validation_every": options.validation_every}
    if module.decay == "cosine":
        settings["epochs_of_decay"] = options.epochs
    tracklets = tracklets_of(data, validation)
    return {"settings": settings, "tracklets": tracklets, "epochs": options.epochs}


def tracklets_of(data: TrackletDataModule, validation: pd.DataFrame | None) -> Identity:
    """The digest of a run's tracklets, with those that are held out for validation."""
    tables = data.dataset.tables()
    if validation is not None:
        tables = tables | {"validation": validation}
    return identify(tables, data.dataset.frames)


def require_network(model: object) -> None:
    """Raises a UserError if a model is not an STGCN, but what another library made of one."""
    if not isinstance(model, STGCN):
        raise UserError(
            f"the network is a {type(model).__name__}, not an STGCN: train the STGCN itself, which "
            "the option `compile` compiles and torchrun spreads over processes"
        )


def require_readable(model: STGCN, config: dict[str, Any]) -> None:
    """Checks that :func:`.load_checkpoint` will be able to read a checkpoint of a model.

    Raises:
        UserError: The model was changed by hand, or the run's configuration holds values that
            cannot be read without running code.
    """
    require_network(model)
    require_rebuilt(model, lambda: STGCN(**model.options))
    for name, value in config.items():
        buffer = io.BytesIO()
        try:
            torch.save(plain_values(value), buffer)
            buffer.seek(0)
            torch.load(buffer, weights_only=True)
        except Exception as error:  # whatever a class of another library raises
            raise UserError(
                f"config: {name} is or holds a {type(value).__name__} that no checkpoint can hold: "
                "pass numbers, strings, and lists and dicts of them"
            ) from error


def require_same_run(
    path: str | Path,
    content: dict[str, Any],
    model: STGCN,
    identities: Sequence[int],
    run: Mapping[str, Any] | None = None,
) -> None:
    """Raises a UserError that names the difference if a checkpoint's content is of another run.

    What an older version did not write is not compared. ``identities`` are those of the classes,
    ``run`` is what :func:`deciding` gives.
    """
    description = description_of(path, content)
    run = plain_values(run or {})
    _require_equal(path, "model", description.get("model", {}), model.options)
    weights_of(path, content, model)
    require_same_tracklets(path, description, run.get("tracklets", {}), identities)
    require_no_fewer_epochs(path, description.get("epochs", 0), run.get("epochs"))
    there = renamed_arguments(description.get("settings", {}))
    _require_equal(path, "run", there, run.get("settings", {}))


def require_no_fewer_epochs(path: str | Path, there: int, here: int | None) -> None:
    """Raises a UserError if a run of fewer epochs than before is asked for."""
    if here is not None and here < there:
        raise UserError(
            f"{path}: holds a run of {there:,} epochs, more than {here:,}: ask for as many or "
            "more, or choose another folder"
        )


def _require_equal(
    path: str | Path, kind: str, there: dict[str, Any], here: dict[str, Any]
) -> None:
    for name, value in here.items():
        if there.get(name, value) != value:
            raise UserError(
                f"{path}: holds another {kind} ({name} is {there[name]} there, {value} here): "
                "choose another folder"
            )


def require_same_tracklets(
    path: str | Path, description: dict[str, Any], tracklets: Identity, identities: Sequence[int]
) -> None:
    """Raises a UserError if a checkpoint was trained on other tracklets, wherever they lie.

    A checkpoint of an older version may hold only the identities of the classes.
    """
    labels = description.get("people") or list(identities)
    if labels != list(identities):
        changed = sorted(set(labels) ^ set(identities))
        raise UserError(
            f"{path}: trained on other identities than the data set now has ({len(labels)} "
            f"there, {len(identities)} here; {changed[0]} is in one alone): put the data set back, "
            "or choose another folder"
        )
    changed_table = difference(description.get("tracklets", {}), tracklets)
    if changed_table is not None:
        raise UserError(
            f"{path}: trained on other tracklets than the data set now has ({changed_table}): put "
            "the data set back, or choose another folder"
        )
