"""What decides how a run ends."""

from typing import Any

import pandas as pd

from stgcn_pyg.data import TrackletDataModule
from stgcn_pyg.data.dataset import Identity, identify
from stgcn_pyg.runs.training.module import STGCNTraining

OF_BATCHES = ("people_per_batch", "tracklets_per_person", "seed")
OF_CLIPS = ("flip", "shift", "zoom", "colour", "erase", "brightness", "contrast", "saturation")


def deciding(
    module: STGCNTraining,
    data: TrackletDataModule,
    validation: pd.DataFrame | None,
    **others: Any,
) -> dict[str, Any]:
    """The settings and the tracklets that decide a run's outcome, beside the network itself.

    How it is computed (on which device, compiled or not, in how many processes) does not belong to
    them, nor does how many epochs it lasts: more of them are the same run, going on.

    Args:
        module: The losses and the optimisation.
        data: The batches.
        validation: The tracklets that are held out, if there are any.
        **others: Further settings, by name.

    Returns:
        ``settings`` and ``tracklets``, as :func:`stgcn_pyg.runs.checkpoint.describe` takes them.
    """
    settings: dict[str, Any] = {
        name: getattr(module, name)
        for name in (
            *("margin", "learning_rate", "weight_decay", "decay_epochs", "decay_factor"),
            "micro_batches",
        )
    }
    settings |= {name: getattr(data, name) for name in ("num_frames", "height", "width")}
    settings |= {name: getattr(data.sampler, name) for name in OF_BATCHES}
    settings |= {name: getattr(data.augmentation, name) for name in (*OF_CLIPS, "augment")}
    settings["train_frames"] = data.train_frames
    if data.train_frames == "strided":
        settings["stride"] = data.stride
    if validation is not None:
        settings["test_clips"] = data.test_clips
    return {"settings": settings | others, "tracklets": tracklets_of(data, validation)}


def tracklets_of(data: TrackletDataModule, validation: pd.DataFrame | None) -> Identity:
    """What tells the tracklets of a run from others.

    Args:
        data: The batches of its data set.
        validation: The tracklets that are held out, if there are any.
    """
    tables = data.dataset.tables()
    if validation is not None:
        tables = tables | {"validation": validation}
    return identify(tables, data.dataset.frames)
