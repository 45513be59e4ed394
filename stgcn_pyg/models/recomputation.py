"""Activations that are computed again in the backward pass, instead of being kept for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Output = TypeVar("Output")


def recomputed(run: Callable[[Tensor], Output], module: nn.Module, x: Tensor) -> Output:
    """``run(x)``, of which only ``x`` is kept until the backward pass.

    There it runs a second time, with the random numbers and the autocast of the first. Running
    statistics follow the first time alone.

    Args:
        run: What computes.
        module: Whose batch norms it runs through.
        x: Its input.

    Example:
        >>> norm = nn.BatchNorm1d(2)
        >>> recomputed(norm, norm, torch.ones(3, 2, requires_grad=True)).sum().backward()
        >>> norm.num_batches_tracked.item(), norm.running_mean
        (1, tensor([0.1000, 0.1000]))
    """
    if torch.compiler.is_compiling():
        # A compiled graph changes a buffer once, however often it computes what goes into it.
        return checkpoint(run, x, use_reentrant=False)
    contexts = (nullcontext(), statistics_kept(module))
    return checkpoint(run, x, use_reentrant=False, context_fn=lambda: contexts)


@contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Puts back the running statistics of a module's batch norms in the end."""
    kept = [
        (norm, name, buffer)
        for norm in module.modules()
        if isinstance(norm, nn.modules.batchnorm._BatchNorm)
        for name, buffer in norm.named_buffers(recurse=False)
    ]
    # Copies are changed instead, for autograd minds what is written into a tensor that it saved.
    for norm, name, buffer in kept:
        setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for norm, name, buffer in kept:
            setattr(norm, name, buffer)
