"""The options of a network: as plain values, and whether they build the network again."""

import inspect
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import nn

from stgcn_pyg.errors import UserError

# Attributes that change how a module computes or trains, not what it computes at test.
FREE = {"training", "momentum", "inplace", "activation_checkpointing", "channels_last"}
# Methods that initialise weights or describe a module, but compute nothing.
FREE_METHODS = {"reset_parameters", "extra_repr"}


def plain_values(value: Any) -> Any:
    """The same value in Python's own types, as a checkpoint can hold it without code.

    NumPy's numbers and arrays become numbers and lists, paths become strings, and subclasses of
    numbers, strings and containers become their base class. Other values, such as tensors, are
    returned unchanged.

    Example:
        >>> plain_values({"rates": np.logspace(-4, -3, 2), "seed": np.int64(3)})
        {'rates': [0.0001, 0.001], 'seed': 3}
    """
    if isinstance(value, OrderedDict):  # of weights, as PyTorch gives them
        return OrderedDict((plain_values(k), plain_values(v)) for k, v in value.items())
    if isinstance(value, Mapping):
        return {plain_values(k): plain_values(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return (list if isinstance(value, list) else tuple)(plain_values(v) for v in value)
    if isinstance(value, np.ndarray):
        return plain_values(value.tolist())
    if isinstance(value, float | np.floating):
        return float(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return str.__str__(value)  # of a member of an enumeration, too
    return str(value) if isinstance(value, PurePath) else value


def require_rebuilt(model: nn.Module, build: Callable[[], nn.Module]) -> None:
    """Checks that a newly built network takes a network's weights and computes the same.

    It does not if a layer was replaced, added, removed, wrapped or compiled by hand, or if a
    subclass computes in another way: the UserError names the first difference. Forward hooks may
    change what a module returns, so a warning names them. The new network is built on PyTorch's
    device "meta", where weights take no memory and no time.

    Example:
        >>> def build():
        ...     return nn.Sequential(nn.Linear(4, 3), nn.ReLU())
        >>> model = build()
        >>> require_rebuilt(model, build)
        >>> model[1] = nn.GELU()
        >>> require_rebuilt(model, build)
        Traceback (most recent call last):
        ...
        stgcn_pyg.errors.UserError: the network is not the one that its options build (1 is ...
    """
    with torch.device("meta"):
        built = build()
    difference = _difference(model, built)
    if difference is not None:
        raise UserError(
            f"the network is not the one that its options build ({difference}), so what is saved "
            "of it could not be read back: build it by its options, or train and save it in a "
            "loop of your own"
        )
    for name, module in model.named_modules():
        if _count_hooks(module) > _count_hooks(built.get_submodule(name)):
            warnings.warn(
                f"{name or 'the network'} has forward hooks, which are not saved: if they change "
                "what it gives, the network that is read back computes something else",
                stacklevel=2,
            )
            return


def _difference(model: nn.Module, built: nn.Module) -> str | None:
    """The first difference between a network and the one that its options build, in words."""
    weights, expected = (
        {name: _form(value) for name, value in network.state_dict().items()}
        for network in (model, built)
    )
    here, there = dict(model.named_modules()), dict(built.named_modules())
    for kind, found, wanted in (("weight", weights, expected), ("part", here, there)):
        for name in sorted(found.keys() ^ wanted.keys()):
            return f"only one of them has the {kind} {name}"
    for name, form in weights.items():
        if form != expected[name]:
            return f"{name} is {form}, not {expected[name]}"
    for name, module in there.items():
        shown, changed = name or "the network", here[name]
        for method in _methods(module):
            if _method(changed, method) is not _method(module, method):
                kinds = f"{type(changed).__name__}, not a {type(module).__name__}"
                return f"{shown} is a {kinds}, or has another method {method}"
        for key, value in vars(module).items():
            plain = isinstance(value, bool | int | float | str | tuple | None)
            other = getattr(changed, key, None)
            if plain and not key.startswith("_") and key not in FREE and other != value:
                return f"{shown} has {key} {other}, not {value}"
    return None


def _form(weight: object) -> str:
    if isinstance(weight, torch.Tensor):
        return f"{tuple(weight.shape)} of {weight.dtype}"
    return f"a {type(weight).__name__}"  # as in quantised layers


def _methods(module: nn.Module) -> set[str]:
    """Names of the methods and properties that compute a module's output."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return {"forward"}
    classes = type(module).__mro__
    return {"forward"} | {
        name
        for cls in classes[: classes.index(nn.Module)]
        for name, value in vars(cls).items()
        if isinstance(value, FunctionType | property | staticmethod | classmethod)
        and not name.startswith("__")
        and name not in FREE_METHODS
    }


def _method(module: nn.Module, name: str) -> object:
    if name == "forward" and isinstance(module, nn.modules.batchnorm._BatchNorm):
        return nn.BatchNorm2d.forward  # synchronised ones compute the same at test
    own = vars(module).get(name)
    return inspect.getattr_static(type(module), name, None) if own is None else own


def _count_hooks(module: nn.Module) -> int:
    return len(module._forward_hooks) + len(module._forward_pre_hooks)
