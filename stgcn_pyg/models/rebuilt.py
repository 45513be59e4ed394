"""Whether a network is the one that its options build."""

import inspect
import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import nn

from stgcn_pyg.errors import UserError

# Attributes that change how a module computes or trains, not what it computes at test.
FREE = {"training", "momentum", "inplace", "recompute", "channels_last"}
# Methods that begin weights or describe a module, but compute nothing.
FREE_METHODS = {"reset_parameters", "extra_repr"}


def require_rebuilt(model: nn.Module, build: Callable[[], nn.Module]) -> None:
    """Looks whether a network that is built anew takes a network's weights and computes the same.

    It does not where a layer was replaced, added, removed, wrapped or compiled by hand, or where a
    subclass computes in another way. Forward hooks may only look at a module or may change what it
    gives, so they are told by a warning. The new network is built on PyTorch's device "meta", where
    weights take no memory and no time.

    Args:
        model: The network.
        build: Builds it anew.

    Raises:
        UserError: It would not; the message names the first difference.

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
    difference = _difference_of_weights(model, built) or _difference_of_modules(model, built)
    if difference is not None:
        raise UserError(
            f"the network is not the one that its options build ({difference}), so what is saved "
            "of it could not be read back: build it by its options, or train and save it in a "
            "loop of your own"
        )
    _tell_of_hooks(model, built)


def _difference_of_weights(model: nn.Module, built: nn.Module) -> str | None:
    here, there = (
        {name: _form(value) for name, value in network.state_dict().items()}
        for network in (model, built)
    )
    for name in here | there:
        if name not in here or name not in there:
            return f"{name} is a weight of one of them alone"
        if here[name] != there[name]:
            return f"{name} is {here[name]}, not {there[name]}"
    return None


def _form(weight: object) -> str:
    if isinstance(weight, torch.Tensor):
        return f"{tuple(weight.shape)} of {weight.dtype}"
    return f"a {type(weight).__name__}"  # as of quantised layers


def _difference_of_modules(model: nn.Module, built: nn.Module) -> str | None:
    here, there = dict(model.named_modules()), dict(built.named_modules())
    for name in here | there:
        shown = name or "the network"
        if name not in here or name not in there:
            return f"{shown} is a part of one of them alone"
        module, expected = here[name], there[name]
        methods = _methods(expected)
        other = [method for method, code in methods.items() if _method(module, method) is not code]
        if other:
            return (
                f"{shown} is a {type(module).__name__}, not a {type(expected).__name__}, or has "
                f"another method {other[0]}"
            )
        for key, value in _settings(expected).items():
            if getattr(module, key, None) != value:
                return f"{shown} has {key} {getattr(module, key, None)}, not {value}"
    return None


def _methods(module: nn.Module) -> dict[str, object]:
    """What computes a module's output: the methods and properties of its classes, by name."""
    classes = type(module).__mro__
    names = {
        name
        for cls in classes[: classes.index(nn.Module)]
        for name, value in vars(cls).items()
        if isinstance(value, FunctionType | property | staticmethod | classmethod)
        and not name.startswith("__")
        and name not in FREE_METHODS
    }
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        names = {"forward"}
    return {name: _method(module, name) for name in names | {"forward"}}


def _method(module: nn.Module, name: str) -> object:
    if name == "forward" and isinstance(module, nn.modules.batchnorm._BatchNorm):
        return nn.BatchNorm2d.forward  # at test synchronised ones compute the same
    own = vars(module).get(name)
    return inspect.getattr_static(type(module), name, None) if own is None else own


def _settings(module: nn.Module) -> dict[str, Any]:
    plain = (bool, int, float, str, tuple, type(None))
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and name not in FREE and isinstance(value, plain)
    }


def _tell_of_hooks(model: nn.Module, built: nn.Module) -> None:
    there = dict(built.named_modules())
    hooked = [
        name or "the network"
        for name, module in model.named_modules()
        if _hooks(module) > _hooks(there[name])
    ]
    if hooked:
        warnings.warn(
            f"{hooked[0]} has forward hooks, which are not saved: if they change what it gives, "
            "the network that is read back computes something else",
            stacklevel=3,
        )


def _hooks(module: nn.Module) -> int:
    return len(module._forward_hooks) + len(module._forward_pre_hooks)
