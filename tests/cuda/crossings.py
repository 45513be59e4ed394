"""What crosses between host and device, seen on a fake GPU."""

import traceback

import torch

from stgcn_pyg.planning.fake_cuda import RealHost

# Kernels whose output's values, or whose shape, the host reads from the device.
READING = {"_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "bincount"}
READING |= {"unique_consecutive", "_unique", "_unique2", "unique_dim"}
READING |= {"allclose", "histc"}
COPIES = {"_to_copy", "copy_"}
MASKED = {"index", "index_put", "index_put_", "_index_put_impl_"}


class Crossings(RealHost):
    """Notes what makes the host wait for the device; the host's own tensors are real.

    A value that is read is 0, so that a loop goes on behind a look that is meant.

    Attributes:
        found: What waits: values that are read, tensors copied from one to the other, operations on
            tensors of both. Each with the lines of the package that led to it.
        queued: Copies to the device that do not wait, from pinned memory.
    """

    def __init__(self):
        super().__init__()
        self.found: list[str] = []
        self.queued: list[str] = []

    def see(self, name, tensors, args, kwargs):
        copies = name in COPIES
        # A tensor of the host without dimensions is passed to a kernel as a number.
        kinds = {tensor.device.type for tensor in tensors if tensor.dim() or copies}
        on_device = any(tensor.device.type == "cuda" for tensor in tensors)
        if copies:
            goal = torch.device(kwargs.get("device") or args[0].device).type
            waits = goal == "cpu" or not (kwargs.get("non_blocking") or args[2:] == (True,))
            if kinds | {goal} == {"cpu", "cuda"}:
                self._note(self.found if waits else self.queued, name)
        elif on_device and ("cpu" in kinds or is_read(name, args, kwargs)):
            self._note(self.found, name)
        if on_device and name == "_local_scalar_dense":
            kind = args[0].dtype
            return False if kind == torch.bool else 0.0 if kind.is_floating_point else 0
        return NotImplemented

    def _note(self, notes, name):
        lines = [
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
            for frame in traceback.extract_stack()
            if "/stgcn_pyg/" in frame.filename and "fake_cuda" not in frame.filename
        ]
        notes.append(" < ".join([name, *reversed(lines[-3:])]))


def is_read(name, args, kwargs):
    """Whether the host reads values of the device, be it to know the shape of the output."""
    if name in MASKED:
        masks = any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
        # A single number is filled in where the mask is, without counting.
        return masks and (name == "index" or args[2].numel() > 1)
    if name == "repeat_interleave":
        return kwargs.get("output_size") is None
    return name in READING
