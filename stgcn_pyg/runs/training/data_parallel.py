"""Several processes train as one: batch norm and losses over the batch of all processes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.parallel import DistributedDataParallel

from stgcn_pyg.distributed import ProcessGroup


@contextmanager
def data_parallel(
    module: nn.Module,
    group: ProcessGroup,
    device: torch.device,
    sync_batch_norm: bool,
    compiled: bool = False,
) -> Iterator[nn.Module]:
    """Gives a module whose gradients are the mean over the processes; a single one has its own.

    With ``sync_batch_norm`` batch norm sees the batch of all processes until the block ends. On a
    GPU that is ``torch.nn.SyncBatchNorm``, which takes the least memory but makes the host wait and
    cannot be compiled; ``compiled`` takes :class:`SyncedBatchNorm` there too.
    """
    if group.world_size == 1:
        yield module
        return
    kind = SyncedBatchNorm if compiled or device.type == "cpu" else nn.SyncBatchNorm
    exchanged = _synchronise(module, kind) if sync_batch_norm else []
    try:
        yield DistributedDataParallel(
            module, [torch.cuda.current_device()] if device.type == "cuda" else None
        )
    finally:
        for parent, name, own in exchanged:
            parent.add_module(name, own)


def _synchronise(
    module: nn.Module, kind: type[nn.modules.batchnorm._BatchNorm]
) -> list[tuple[nn.Module, str, nn.Module]]:
    """Puts synchronised batch norms, with the same parameters and buffers, in place of a module's.

    Returns:
        The parent, name and own module of each.
    """
    exchanged: list[tuple[nn.Module, str, nn.Module]] = []
    for name, child in module.named_children():
        if not isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            exchanged += _synchronise(child, kind)
            continue
        norm: nn.Module = kind(child.num_features, child.eps, child.momentum).train(child.training)
        for value in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            setattr(norm, value, getattr(child, value))
        if hasattr(child, "act"):  # timm's batch norms hold the activation that follows
            norm.drop, norm.act = child.drop, child.act
            norm.register_forward_hook(lambda norm, _, y: norm.act(norm.drop(y)))
        module.add_module(name, norm)
        exchanged.append((module, name, child))
    return exchanged


class SyncedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm with mean and variance of the batches of all processes, on any device.

    ``torch.nn.SyncBatchNorm`` does this on GPUs alone, and there asks on the host which processes
    have an empty batch.

    Shapes:
        - Input, output: ``[B, C]`` or ``[B, C, H, W]``; B may differ from process to process.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions behind the channels is taken."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalises; in evaluation mode by the running statistics."""
        if not self.training:
            return super().forward(x)
        values = x if x.dtype == torch.float64 else x.float()
        others = (0, *range(2, x.dim()))
        by_channel = (-1, *(1 for _ in others[1:]))
        # Summed in float64, as PyTorch's own kernel does on the CPU.
        number = values.new_full((1,), x.numel() // x.size(1), dtype=torch.float64)
        sums = _Sum.apply(torch.cat([values.sum(others, dtype=torch.float64), number]))
        mean, count = sums[:-1] / sums[-1], sums[-1].detach()
        centred = values - mean.to(values.dtype).view(by_channel)
        variance = _Sum.apply(centred.square().sum(others, dtype=torch.float64)) / count
        self._update_statistics(mean, variance * count / (count - 1))
        scale = self.weight * (variance + self.eps).rsqrt().to(values.dtype)
        return torch.addcmul(self.bias.view(by_channel), centred, scale.view(by_channel)).to(
            x.dtype
        )

    @torch.no_grad()
    def _update_statistics(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.momentum is not None and self.num_batches_tracked is not None
        self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var), self.momentum)
        self.num_batches_tracked += 1


class _Sum(torch.autograd.Function):
    """The sum over all processes; gradients are summed, too."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradient)


def gather_batch(
    features: Mapping[str, Tensor], logits: Tensor, labels: Tensor
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Features and logits ``[n, ...]`` and labels ``[n]`` to those of all R processes, R * n rows.

    Their loss is, on every process, that of one process with the whole batch. Its gradient goes to
    each process's own rows alone, times R, because ``DistributedDataParallel`` divides the sum
    over the processes by R.
    """
    if not dist.is_available() or not dist.is_initialized():
        return dict(features), logits, labels
    gathered = {name: _GatheredRows.apply(feature) for name, feature in features.items()}
    return gathered, _GatheredRows.apply(logits), _GatheredRows.apply(labels)


class _GatheredRows(torch.autograd.Function):
    """``[n, ...]`` of each process to ``[R * n, ...]``."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.chunk(dist.get_world_size())[dist.get_rank()] * dist.get_world_size()
