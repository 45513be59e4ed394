"""TensorFloat-32 in the products and convolutions of float32 on an NVIDIA GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def tf32_allowed(allowed: bool) -> Iterator[None]:
    """Allows or forbids it for a while; on a machine without such a GPU nothing changes.

    Args:
        allowed: Whether factors may be rounded to 10 bits after the point, by 2 ** -11 of their
            size at most; they are still added up in float32.
    """
    if not torch.cuda.is_available():
        yield
        return
    products = torch.get_float32_matmul_precision()
    convolutions = torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions
