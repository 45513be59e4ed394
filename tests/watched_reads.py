"""What makes a host wait for a GPU, seen on a CPU as well."""

import traceback
from contextlib import contextmanager

from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# Values of a tensor that are read on the host, or decide about shapes there, whatever asks for it.
READING_KERNELS = {
    "_local_scalar_dense",
    "is_nonzero",
    "equal",
    "nonzero",
    "masked_select",
    "unique_consecutive",
    "_unique2",
}
# The same by their names in Python, for on a CPU some of them get by without a kernel; and the
# making of tensors from values of the host, which are copied from memory that is not pinned.
CALLS = {"item", "tolist", "numpy", "cpu", "__array__", "__bool__", "__float__", "__int__"}
CALLS |= {"__index__", "tensor", "as_tensor", "asarray", "new_tensor", "from_numpy"}


class Reads:
    """The reads so far, each with the lines of the package that led to it."""

    def __init__(self):
        self.found = []

    def add(self, name):
        lines = [
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
            for frame in traceback.extract_stack()
            if "stgcn_pyg" in frame.filename
        ]
        self.found.append(" < ".join([name, *reversed(lines[-3:])]))


class _Kernels(TorchDispatchMode):
    def __init__(self, reads):
        super().__init__()
        self.reads = reads

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        name = function.__name__.partition(".")[0]
        masks = function.__name__ == "index.Tensor" and any(
            index is not None and not index.dtype.is_signed and index.dim()
            for index in arguments[1]
        )
        if name in READING_KERNELS or masks:
            self.reads.add(name)
        return function(*arguments, **(options or {}))


class _Calls(TorchFunctionMode):
    def __init__(self, reads):
        super().__init__()
        self.reads = reads

    def __torch_function__(self, function, types, arguments=(), options=None):
        if getattr(function, "__name__", None) in CALLS:
            self.reads.add(function.__name__)
        return function(*arguments, **(options or {}))


@contextmanager
def watched_reads():
    """Gives the reads of what runs meanwhile in this thread."""
    reads = Reads()
    with _Calls(reads), _Kernels(reads):
        yield reads
