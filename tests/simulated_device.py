"""A device with values, seen apart from the host: what crosses between the two is noted.

Its tensors say that they are on "meta", where autograd needs no driver, and hold
their values in a tensor on the CPU.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

READING = {"_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "item"}
READING |= {"unique_consecutive", "_unique2", "repeat_interleave"}


class OnDevice(torch.Tensor):
    """A tensor of the simulated device."""

    @staticmethod
    def __new__(cls, values):
        return torch.Tensor._make_wrapper_subclass(
            cls, values.shape, values.stride(), dtype=values.dtype, device="meta"
        )

    def __init__(self, values):
        self.values = values

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return run(function, args, kwargs or {}, [])

    __torch_function__ = torch._C._disabled_torch_function_impl


def run(function, args, kwargs, crossings):
    tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, torch.Tensor)]
    there = [isinstance(tensor, OnDevice) for tensor in tensors]
    name = function.overloadpacket.__name__
    to_device = str(kwargs.get("device", "")).startswith("meta")
    to_host = str(kwargs.get("device", "")).startswith("cpu")
    if any(there):
        masks = name == "index" and any(
            isinstance(index, OnDevice) and index.dtype == torch.bool for index in args[1]
        )
        sized = name == "repeat_interleave" and kwargs.get("output_size") is not None
        if (name in READING and not sized) or masks or to_host:
            crossings.append(name)
        if name not in ("_to_copy", "copy_") and any(
            not here and tensor.dim() for here, tensor in zip(there, tensors, strict=True)
        ):
            crossings.append(f"{name} of tensors on two devices")
    if to_device:
        kwargs = {**kwargs, "device": "cpu"}
    unwrapped = tree_map(lambda a: a.values if isinstance(a, OnDevice) else a, (args, kwargs))
    out = function(*unwrapped[0], **unwrapped[1])
    if not to_device and (to_host or not any(there)):
        return out
    written = [a for a in args if isinstance(a, OnDevice)] if name.endswith("_") else []
    if written:
        return args[0]
    return tree_map(lambda t: OnDevice(t) if isinstance(t, torch.Tensor) else t, out)


class Device(TorchDispatchMode):
    """Inside, `device="meta"` is the simulated device, and `crossings` notes what waits for it."""

    def __init__(self):
        super().__init__()
        self.crossings = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return run(function, args, kwargs or {}, self.crossings)


def moved(module):
    """The module, with its parameters on the device."""
    for child in module.modules():
        for name, parameter in child.named_parameters(recurse=False):
            setattr(child, name, torch.nn.Parameter(OnDevice(parameter.detach())))
    return module
