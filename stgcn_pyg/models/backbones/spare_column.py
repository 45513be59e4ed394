"""Convolutions that are right in bfloat16 on a CPU where what they give is one column wide."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad


def give_spare_columns(network: nn.Module) -> None:
    """Lets the convolutions of a network compute a column more where they would be wrong, in place.

    With the stride s > 1 and an output one column wide, PyTorch's convolutions in bfloat16 on
    processors with AVX-512 are wrong: the gradient of the weights, with AMX the output too, is off
    by any amount or not finite, and differs from call to call (PyTorch 2.14.1;
    findings/torch-bfloat16-one-column-convolutions.sh). So s columns of zeros are added on the
    right, and the second column of the output is cut off: the first is the same sum of products.
    All else is computed as it was.

    Args:
        network: Network whose :class:`torch.nn.Conv2d`, and subclasses with a ``forward(x)``, are
            changed. Their parameters and options stay.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(16, 32, 3, stride=2, padding=1))
        >>> give_spare_columns(network)
        >>> x = torch.randn(1, 16, 9, 2)
        >>> with torch.autocast("cpu", torch.bfloat16):
        ...     found = network(x)
        >>> (found - network(x)).abs().max() < 0.1
        tensor(True)
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and not isinstance(module, _WithSpareColumn):
            kind: Any = type(module)
            module.__class__ = _with_spare_column(kind)


def always_give_spare_columns(network: nn.Module) -> None:
    """Lets the convolutions compute a column more in any precision, in place.

    For a model that OpenVINO runs: on processors with AMX its version 2026.4.1 is as wrong, in
    bfloat16 and in int8.
    """
    for module in network.modules():
        if isinstance(module, _WithSpareColumn):
            module.always = True


def own_class(convolution: nn.Conv2d) -> type:
    """The class of a convolution before :func:`give_spare_columns`."""
    kind = type(convolution)
    return kind.__bases__[1] if issubclass(kind, _WithSpareColumn) else kind


class _WithSpareColumn:
    """Comes before a convolution's own class."""

    always = False

    def forward(self: Any, x: Tensor) -> Tensor:
        own = super().forward  # type: ignore[misc]
        found = own(x)
        low = self.always or _in_bfloat16_on_a_cpu(x)
        # Computed to see its width, which each class of convolutions finds in its own way.
        if low and found.size(-1) == 1 < self.stride[1] and self.padding_mode == "zeros":
            return own(pad(x, (0, self.stride[1])))[..., :-1]
        return found

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        # By the convolution's own class, which other processes find by its name.
        reduced: Any = super().__reduce_ex__(protocol)
        return _made_again, (own_class(self),), *reduced[2:]


def _made_again(kind: Any) -> nn.Conv2d:
    changed = _with_spare_column(kind)
    return changed.__new__(changed)


@cache
def _with_spare_column(kind: type[nn.Conv2d]) -> type[nn.Conv2d]:
    return type(kind.__name__, (_WithSpareColumn, kind), {})


def _in_bfloat16_on_a_cpu(x: Tensor) -> bool:
    if x.device.type != "cpu":
        return False
    cast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return cast or x.dtype == torch.bfloat16
