"""The batch of all processes, so that each computes the loss of the whole."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


def gather_batch(
    features: Mapping[str, Tensor], logits: Tensor, labels: Tensor
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """The arguments of the loss from all processes, the rows of each after those of the one before.

    The loss of them is, on every process, that of one process with the whole batch. Its gradient
    goes to each process's own rows alone, times the number of processes R, since
    ``DistributedDataParallel`` divides by R what it sums up over them.

    Args:
        features: The feature of each branch by name, ``[n, D]`` each; n is that of every process.
        logits: ``[n, num_classes]``.
        labels: ``[n]``.

    Returns:
        The same with R * n rows; as they are where one process trains.
    """
    if not dist.is_available() or not dist.is_initialized():
        return dict(features), logits, labels
    gathered = {name: gather_rows(feature) for name, feature in features.items()}
    return gathered, gather_rows(logits), gather_rows(labels)


def gather_rows(values: Tensor) -> Tensor:
    """``[n, ...]`` of each process to ``[R * n, ...]``, with gradients."""
    return _GatheredRows.apply(values)


class _GatheredRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.chunk(dist.get_world_size())[dist.get_rank()] * dist.get_world_size()
