"""Runs a network through torch.compile where that works, and uncompiled elsewhere."""

import warnings
from collections.abc import Callable
from textwrap import shorten
from typing import Literal

import torch
from torch import Tensor
from torch._functorch import config

from stgcn_pyg.errors import UserError
from stgcn_pyg.models import STGCN, STGCNOutput

Compile = Literal["auto", "on", "off"]


class CompiledForward:
    """Calls a network, whose weights keep their names.

    Args:
        compile: ``"auto"`` compiles on an NVIDIA or AMD GPU and, where that fails, warns and goes
            on without; ``"on"`` compiles anywhere; ``"off"`` nowhere.

    Attributes:
        compiled: Whether it runs compiled; False before the first call.

    Raises:
        UserError: The network cannot be compiled, and ``compile`` is ``"on"``.
    """

    def __init__(self, compile: Compile = "auto"):
        self.compile = compile
        self.compiled = False
        self._model: STGCN | None = None
        self._run: Callable[[Tensor], STGCNOutput] | None = None

    def __call__(self, model: STGCN, clips: Tensor) -> STGCNOutput:
        if self._run is None or self._model is not model:
            self._model, self._run, self.compiled = model, model, False
            if self.compiles_on(clips.device):
                # One graph or none: where it fails, it fails before it has changed anything.
                self._run = torch.compile(lambda clips: model(clips), fullgraph=True)
                self.compiled = True
        return self._run_compiled(model, clips) if self.compiled else self._run(clips)

    def compiles_on(self, device: torch.device) -> bool:
        """Whether compiling is to be tried on a device."""
        return self.compile == "on" or (self.compile == "auto" and device.type == "cuda")

    def _run_compiled(self, model: STGCN, clips: Tensor) -> STGCNOutput:
        """Runs, and compiles where this is the first batch of its shape."""
        assert self._run is not None
        try:
            with config.patch(force_non_lazy_backward_lowering=True):
                # The backward pass too: left for later, it would fail out of reach, in `backward`.
                return self._run(clips)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            output = model(clips)  # if the network itself is at fault, this says how
            self._run, self.compiled = model, False
            reason = _reason(error)
            if self.compile == "on":
                raise UserError(
                    f"--training.compile on: the network cannot be compiled here ({reason}): "
                    "mend that, or pass off"
                ) from error
            warnings.warn(
                f"the network cannot be compiled here ({reason}): it trains without, more slowly; "
                "--training.compile off leaves out the attempt",
                stacklevel=2,
            )
            return output


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return shorten(" ".join(lines[:2]), 200, placeholder=" ...")
