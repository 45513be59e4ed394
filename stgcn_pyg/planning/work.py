"""How many floating-point operations a training step takes."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


def flop_counter() -> FlopCounterMode:
    """Counts the products and additions of products and convolutions run inside.

    PyTorch's own counter multiplies the weight gradient of a grouped convolution by its groups
    (torch 2.14.1), which makes a MobileNetV2 seven times as heavy as it is.

    Example:
        >>> depthwise = torch.nn.Conv2d(8, 8, 3, groups=8, bias=False)
        >>> with flop_counter() as counter:
        ...     depthwise(torch.zeros(1, 8, 6, 6, requires_grad=True)).sum().backward()
        >>> counter.get_total_flops() == 3 * 2 * (8 * 4 * 4) * 9
        True
    """
    mapping = {torch.ops.aten.convolution_backward: _flop_of_convolution_backward}
    return FlopCounterMode(display=False, custom_mapping=mapping)


def _flop_of_convolution_backward(
    grad_shape: Sequence[int],
    x_shape: Sequence[int],
    weight_shape: Sequence[int],
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    output_mask: Sequence[bool],
    **_others: Any,
) -> int:
    """As much as the forward pass for each gradient, of the input and of the weight.

    ``weight_shape`` holds the channels of one group, so that groups need no further care.
    """
    places = x_shape if transposed else grad_shape
    forward = 2 * places[0] * prod(places[2:]) * prod(weight_shape)
    return forward * sum(map(bool, output_mask[:2]))
