"""Other ways to run a forward pass: in evaluation mode for a while, or with recomputation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Output = TypeVar("Output")


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Puts a module into evaluation mode, and restores the mode of each of its parts at the end.

    Example:
        >>> model = nn.Sequential(nn.BatchNorm1d(2).eval(), nn.Linear(2, 1))
        >>> with evaluating(model):
        ...     [part.training for part in model.modules()]
        [False, False, False]
        >>> [part.training for part in model.modules()]
        [True, False, True]
    """
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def recomputed(run: Callable[[Tensor], Output], module: nn.Module, x: Tensor) -> Output:
    """``run(x)``, of which only ``x`` is kept until the backward pass (activation checkpointing).

    The backward pass runs it a second time, with the same random numbers and autocast. The running
    statistics of the batch norms in ``module`` follow the first run only.

    Example:
        >>> norm = nn.BatchNorm1d(2)
        >>> recomputed(norm, norm, torch.ones(3, 2, requires_grad=True)).sum().backward()
        >>> norm.num_batches_tracked.item(), norm.running_mean
        (1, tensor([0.1000, 0.1000]))
    """
    if torch.compiler.is_compiling():
        # A compiled graph changes a buffer once, however often it computes what goes into it.
        return checkpoint(run, x, use_reentrant=False)
    contexts = (nullcontext(), _statistics_kept(module))
    return checkpoint(run, x, use_reentrant=False, context_fn=lambda: contexts)


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Restores the running statistics of a module's batch norms at the end of the block."""
    kept = [
        (norm, name, buffer)
        for norm in module.modules()
        if isinstance(norm, nn.modules.batchnorm._BatchNorm)
        for name, buffer in norm.named_buffers(recurse=False)
    ]
    # Copies are changed instead, for autograd refuses a saved tensor that was written to.
    for norm, name, buffer in kept:
        setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for norm, name, buffer in kept:
            setattr(norm, name, buffer)
