"""How Lightning trains in several processes."""

from typing import Any

import torch

from stgcn_pyg.distributed import ProcessGroup, environment_of
from stgcn_pyg.runs.training.batch_norm import BatchNormSync


def lightning_accelerator(accelerator: str) -> str:
    """What Lightning is told, so that a run trains where it is evaluated: on CUDA, or on the CPU.

    By itself, Lightning's ``"auto"`` takes an Apple GPU first, on which nothing was tried.

    Args:
        accelerator: ``"auto"``, ``"cpu"`` or ``"gpu"``.

    Example:
        >>> lightning_accelerator("cpu")
        'cpu'
    """
    if accelerator != "auto":
        return accelerator
    return "cuda" if torch.cuda.is_available() else "cpu"


def process_options(group: ProcessGroup, accelerator: str, sync_batch_norm: bool) -> dict[str, Any]:
    """Arguments of Lightning's ``Trainer``, its ``plugins`` among them.

    Args:
        group: The processes.
        accelerator: ``"auto"``, ``"cpu"`` or ``"gpu"``.
        sync_batch_norm: Whether batch normalisation sees the batch of all processes.

    Raises:
        UserError: A machine has fewer GPUs than processes, or neither torchrun nor srun began them.
    """
    if group.world_size == 1:
        return {"devices": 1, "plugins": []}
    device = "cuda" if torch.cuda.is_available() and accelerator != "cpu" else "cpu"
    if device == "cuda":
        group.require_gpus()
    synced = [BatchNormSync(device)] if sync_batch_norm else []
    return {
        "devices": group.local_world_size,
        "num_nodes": group.num_nodes,
        "strategy": "ddp",
        "plugins": [environment_of(group), *synced],
    }
