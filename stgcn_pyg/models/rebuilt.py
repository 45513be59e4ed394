"""Whether a network is the one that its options build."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from stgcn_pyg.errors import UserError

# Attributes that change how a module computes or trains, not what it computes at test.
FREE = {"training", "momentum", "inplace", "recompute", "channels_last"}


def require_rebuilt(model: nn.Module, build: Callable[[], nn.Module]) -> None:
    """Looks whether a network that is built anew takes a network's weights and computes the same.

    It does not where a layer was replaced, added, removed, wrapped or compiled by hand. The new
    network is built on PyTorch's device "meta", where weights take no memory and no time.

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


def _difference_of_weights(model: nn.Module, built: nn.Module) -> str | None:
    here, there = (
        {name: (tuple(value.shape), value.dtype) for name, value in network.state_dict().items()}
        for network in (model, built)
    )
    for name in here | there:
        if name not in here or name not in there:
            return f"{name} is a weight of one of them alone"
        if here[name] != there[name]:
            (shape, dtype), (expected, expected_dtype) = here[name], there[name]
            return f"{name} is {shape} of {dtype}, not {expected} of {expected_dtype}"
    return None


def _difference_of_modules(model: nn.Module, built: nn.Module) -> str | None:
    here, there = dict(model.named_modules()), dict(built.named_modules())
    for name in here | there:
        shown = name or "the network"
        if name not in here or name not in there:
            return f"{shown} is a part of one of them alone"
        module, expected = here[name], there[name]
        if _forward(module) is not _forward(expected):
            return f"{shown} is a {type(module).__name__}, not a {type(expected).__name__}"
        for key, value in _settings(expected).items():
            if getattr(module, key, None) != value:
                return f"{shown} has {key} {getattr(module, key, None)}, not {value}"
    return None


def _forward(module: nn.Module) -> object:
    """What computes a module's output."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return nn.BatchNorm2d.forward  # at test synchronised ones compute the same
    return vars(module).get("forward", type(module).forward)


def _settings(module: nn.Module) -> dict[str, Any]:
    plain = (bool, int, float, str, tuple, type(None))
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and name not in FREE and isinstance(value, plain)
    }
