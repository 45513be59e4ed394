"""TensorFloat-32 in the products and convolutions of float32 on an NVIDIA GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def tf32_allowed(allowed: bool) -> Iterator[None]:
    """Allows or forbids TensorFloat-32 for a while, and puts back what was set before.

    Whatever trains or embeds on a GPU belongs inside, so that a network is evaluated by the
    arithmetic that was asked for. On a machine without such a GPU nothing changes.

    The caller's settings may have been made by ``torch.set_float32_matmul_precision``, by
    ``torch.backends.cuda.matmul.allow_tf32`` or by ``fp32_precision``, which PyTorch now advises.

    Args:
        allowed: Whether factors may be rounded to 10 bits after the point, by 2 ** -11 of their
            size at most; they are still added up in float32.
    """
    if not torch.cuda.is_available():
        yield
        return
    backends = _backends()
    precisions = [backend.fp32_precision for backend in backends]
    try:
        products = torch.get_float32_matmul_precision()
    except RuntimeError:  # the caller used the newer way alone, and the older has its default
        products = "highest"
    # The older way sets the newer one as well; after the reverse, reading the older raises.
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    for backend in backends[2:]:
        # Not `cudnn.allow_tf32`: false, it means "as torch.backends.fp32_precision says".
        backend.fp32_precision = "tf32" if allowed else "ieee"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        for backend, precision in zip(backends, precisions, strict=True):
            backend.fp32_precision = "none"  # what stands above it decides
            if backend.fp32_precision != precision:
                backend.fp32_precision = precision


def _backends() -> tuple[Any, ...]:
    every: Any = torch.backends
    return (every.cuda.matmul, every.mkldnn.matmul, every.cudnn.conv, every.cudnn.rnn)
