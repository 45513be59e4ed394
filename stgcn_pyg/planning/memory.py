"""How much memory a training step takes on a GPU, counted on fake tensors."""

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

BLOCK = 512  # bytes, by whose multiples PyTorch gives out a GPU's memory


@dataclass(frozen=True)
class StepMemory:
    """Bytes that a training step holds on its device at its peak.

    Attributes:
        weights: Parameters and buffers of the network.
        optimizer: The state of the optimiser.
        batch: The clips and labels that are the input of the network.
        activations: All that comes on top at the peak: what the forward pass keeps for the
            backward pass, and gradients.
    """

    weights: int
    optimizer: int
    batch: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.optimizer + self.batch + self.activations


class LiveMemory(TorchDispatchMode):
    """Counts the bytes of the tensors made inside for as long as they live, and their peak.

    Tensors that share their memory, as views do, count once. Tensors on other devices, and those
    made before, do not count. What a kernel takes and gives back while it runs is not seen.
    """

    def __init__(self, device: str = "cuda"):
        super().__init__()
        self.device = device
        self.live = self.peak = 0
        self._seen: dict[int, Any] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        known = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        of_inputs = {leaf.untyped_storage()._cdata for leaf in known}
        out = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and leaf.device.type == self.device:
                storage = leaf.untyped_storage()
                if storage._cdata not in of_inputs:
                    self._add(storage)
        return out

    def add_present(self, tensors: Iterable[Tensor | None]) -> None:
        """Counts tensors that were made before, for as long as they live."""
        for tensor in tensors:
            if tensor is not None:
                self._add(tensor.untyped_storage())

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._seen:
            return
        size = _in_blocks(storage.nbytes())
        self.live += size
        self.peak = max(self.peak, self.live)
        self._seen[key] = weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._seen.pop(key, None)
        self.live -= size


def bytes_of(tensor: Tensor) -> int:
    """Bytes that a tensor takes of a GPU's memory."""
    return _in_blocks(tensor.untyped_storage().nbytes())


def _in_blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
