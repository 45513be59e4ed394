"""Imports of torchvision and PyTorch Geometric that leave PyTorch's compiler until it is used.

Both import ``torch._dynamo``, of which a command uses nothing unless it compiles, and which takes
longer than all other imports of a command together.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any

COMPILER, UTILS = "torch._dynamo", "torch._dynamo.utils"


@contextmanager
def compiler_deferred() -> Iterator[None]:
    """Lets a block import libraries without the compiler, unless it has been imported before.

    A stand-in takes its place. It has what torchvision takes from the compiler when it is imported;
    whatever else is asked for imports the compiler itself, as everything does behind the block.

    Example:
        >>> with compiler_deferred():
        ...     import torch_geometric
        >>> import torch
        >>> torch.compile(torch.sin, backend="eager")(torch.zeros(1))  # imports it
        tensor([0.])
    """
    stand_ins = {name: _StandIn(name) for name in (COMPILER, UTILS)}
    vars(stand_ins[COMPILER])["disable"] = _disable
    vars(stand_ins[UTILS])["is_compile_supported"] = _is_compile_supported
    if COMPILER not in sys.modules:
        sys.modules |= stand_ins
    try:
        yield
    finally:
        _remove_stand_ins()


class _StandIn(ModuleType):
    """A module that imports the one whose place it takes when it is asked for what it has not."""

    def __getattr__(self, name: str) -> Any:
        is_import = (self.__name__, name) == (COMPILER, "__path__")  # of another of its modules
        if name.startswith("__") and not is_import:  # `inspect` asks every module for its file
            raise AttributeError(name)
        _remove_stand_ins()
        return getattr(import_module(self.__name__), name)


def _remove_stand_ins() -> None:
    for name in (COMPILER, UTILS):
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]


def _disable(function: Callable, *how: Any, **options: Any) -> Callable:
    @wraps(function)
    def disabled(*arguments: Any, **named: Any) -> Any:
        own = import_module(COMPILER).disable(function, *how, **options)
        return own(*arguments, **named)

    return disabled


def _is_compile_supported(device: Any) -> Any:
    return import_module(UTILS).is_compile_supported(device)
