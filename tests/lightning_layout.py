"""Checkpoints as older versions wrote them, which trained with Lightning."""

from collections import OrderedDict


def as_older_versions_wrote_it(content, steps):
    """The content of a checkpoint in Lightning's layout.

    Args:
        content: The content of a checkpoint of today.
        steps: The number of steps of an epoch.
    """
    epoch, batch = content["epoch"], content["batch"]
    begun = epoch + (batch > 0)
    total = {"ready": content["step"], "completed": content["step"]}
    current = {"ready": batch or steps, "completed": batch or steps}
    batches = {
        "total": total | {"started": content["step"], "processed": content["step"]},
        "current": current | {"started": batch or steps, "processed": batch or steps},
        "is_last_batch": batch == 0,
    }
    done = {"ready": begun, "completed": epoch - (batch == 0), "started": begun, "processed": epoch}
    callbacks = {"EpochLog": content["log"]}
    if content["validation"]:
        callbacks["Validation"] = {"scores": content["validation"]}
    return {
        "epoch": begun - 1,
        "global_step": content["step"],
        "pytorch-lightning_version": "2.6.6",
        "state_dict": OrderedDict(content["state_dict"]),
        "loops": {
            "fit_loop": {
                "state_dict": {},
                "epoch_loop.state_dict": {"_batches_that_stepped": content["step"]},
                "epoch_loop.batch_progress": batches,
                "epoch_progress": {"total": done, "current": done},
            },
        },
        "callbacks": callbacks,
        "optimizer_states": [content["optimizer"]],
        "lr_schedulers": [content["schedule"]],
        "stgcn_pyg": content["stgcn_pyg"],
    }
