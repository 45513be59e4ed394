"""Where a network is trained and embeds, and by which arithmetic."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from stgcn_pyg.distributed import ALONE, ProcessGroup
from stgcn_pyg.errors import UserError, require_known
from stgcn_pyg.runs.settings import Accelerator


def device_for(accelerator: Accelerator, group: ProcessGroup = ALONE) -> str:
    """The torch device of an accelerator: ``"cpu"``, or ``"cuda"`` for this process's own GPU.

    Args:
        accelerator: ``"cpu"``, ``"gpu"``, or ``"auto"``: a CUDA GPU where there is one, else the
            CPU; Apple's GPUs are not used.
        group: The processes that compute together.

    Raises:
        UserError: A GPU is asked for and there is none, or fewer than processes; or the word is
            unknown.
    """
    require_known(accelerator=(accelerator, Accelerator))
    available = torch.cuda.is_available()
    if accelerator == "gpu" and not available:
        raise UserError("--accelerator gpu: PyTorch sees no GPU here; pass cpu or auto")
    if not available or accelerator == "cpu":
        return "cpu"
    group.require_gpus()
    return "cuda"


@contextmanager
def tf32_allowed(allowed: bool) -> Iterator[None]:
    """Allows or forbids TensorFloat-32 on an NVIDIA GPU for a while, then restores the settings.

    Whatever trains or embeds on a GPU belongs inside, so that a network is evaluated by the
    arithmetic that was asked for. On a machine without such a GPU nothing changes.

    The caller's settings may have been made by ``torch.set_float32_matmul_precision``, by
    ``torch.backends.cuda.matmul.allow_tf32`` or by ``fp32_precision``, which PyTorch now advises.

    Args:
        allowed: Whether factors of float32 products and convolutions may be rounded to 10 bits
            after the point, by 2 ** -11 of their size at most; they are still added up in float32.
    """
    if not torch.cuda.is_available():
        yield
        return
    every: Any = torch.backends
    convolutions = (every.cudnn.conv, every.cudnn.rnn)
    backends = (every.cuda.matmul, every.mkldnn.matmul, *convolutions)
    precisions = [backend.fp32_precision for backend in backends]
    try:
        products = torch.get_float32_matmul_precision()
    except RuntimeError:  # the caller used the newer way alone, and the older has its default
        products = "highest"
    # The older way sets the newer one as well; after the reverse, reading the older raises.
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    for backend in convolutions:
        # Not `cudnn.allow_tf32`: false, it means "as torch.backends.fp32_precision says".
        backend.fp32_precision = "tf32" if allowed else "ieee"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        for backend, precision in zip(backends, precisions, strict=True):
            backend.fp32_precision = "none"  # the setting above it in PyTorch's hierarchy decides
            if backend.fp32_precision != precision:
                backend.fp32_precision = precision
