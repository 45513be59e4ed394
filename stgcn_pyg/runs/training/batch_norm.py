"""Batch normalisation over the batch of all processes."""

from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch.plugins import LayerSync
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """``BatchNorm2d`` with the mean and variance of all processes' batches, on any device.

    ``torch.nn.SyncBatchNorm`` does the same by kernels of its own, on GPUs alone, and makes the
    host wait for the GPU at each call.

    Shapes:
        - Input, output: ``[B, C, H, W]``; B may differ from process to process.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalises; in evaluation mode by the running statistics."""
        if not self.training:
            return super().forward(x)
        values = x if x.dtype == torch.float64 else x.float()
        # Summed in float64, as PyTorch's own kernel does on the CPU.
        number = values.new_tensor([x.numel() // x.size(1)], dtype=torch.float64)
        sums = _sum(torch.cat([values.sum((0, 2, 3), dtype=torch.float64), number]))
        mean, count = sums[:-1] / sums[-1], sums[-1].detach()
        centred = values - mean.to(values.dtype)[:, None, None]
        variance = _sum(centred.square().sum((0, 2, 3), dtype=torch.float64)) / count
        self._follow(mean, variance * count / (count - 1))
        scale = self.weight * (variance + self.eps).rsqrt().to(values.dtype)
        return torch.addcmul(self.bias[:, None, None], centred, scale[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.momentum is not None and self.num_batches_tracked is not None
        self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var), self.momentum)
        self.num_batches_tracked += 1


class BatchNormSync(LayerSync):
    """Exchanges a network's ``BatchNorm2d`` for synchronised ones while Lightning trains it.

    Parameters, buffers and their names stay, so that checkpoints and optimisers do not notice.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
    """

    def __init__(self, device: str):
        self.kind = SyncedBatchNorm2d if device == "cpu" else nn.SyncBatchNorm

    def apply(self, model: nn.Module) -> nn.Module:
        """To the synchronised ones."""
        return _exchanged(model, nn.BatchNorm2d, self.kind)

    def revert(self, model: nn.Module) -> nn.Module:
        """Back to ``BatchNorm2d``."""
        return _exchanged(model, self.kind, nn.BatchNorm2d)


def _exchanged(
    model: nn.Module, old: type[nn.modules.batchnorm._BatchNorm], new: type[Any]
) -> nn.Module:
    for name, child in model.named_children():
        if type(child) is not old:
            _exchanged(child, old, new)
            continue
        norm = new(child.num_features, child.eps, child.momentum).train(child.training)
        norm.weight, norm.bias = child.weight, child.bias
        for buffer in ("running_mean", "running_var", "num_batches_tracked"):
            setattr(norm, buffer, getattr(child, buffer))
        model.add_module(name, norm)
    return model


def _sum(values: Tensor) -> Tensor:
    return _Sum.apply(values)


class _Sum(torch.autograd.Function):
    """Over all processes, and so are its gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total
