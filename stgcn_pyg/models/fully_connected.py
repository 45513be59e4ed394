"""The fully connected layers that Table 4 compares graph convolutions with."""

from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from stgcn_pyg.layers.checks import whole_number
from stgcn_pyg.layers.gcn import leaky_relu
from stgcn_pyg.layers.linear import PerFrameLinear, linear


class FullyConnected(nn.Module):
    r"""A stack of fully connected layers over patches: TFCN and SFCN of Table 4.

    .. math::
        X^1 = \sigma(X^0 W^1), \qquad X^m = \sigma(X^{m-1} W^m) + X^{m-1} \quad (m \ge 2)

    It is :class:`~stgcn_pyg.layers.AffinityGCN` without :math:`\hat A`, so no patch learns of
    another; :math:`\sigma` is LayerNorm, then LeakyReLU. The parameters have the same names.

    Args:
        in_channels: The width of a patch.
        hidden_channels: The width of the output of each layer.
        num_layers: The number of layers.
        out_channels: The width of the last layer; ``hidden_channels`` if not given.
        num_frames: If given, each of the T frame positions has its own W (Eq. 7).
        residual: Whether layers from the second on add their input.

    Shapes:
        - Input: patches ``[V, in_channels]``, and the number N of patches of each graph.
        - Output: ``[V, out_channels]``.

    Example:
        >>> import torch
        >>> layers = FullyConnected(64, 32, num_layers=3)
        >>> layers(torch.randn(2 * 8, 64), graph_size=8).shape
        torch.Size([16, 32])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        num_layers: int,
        out_channels: int | None = None,
        *,
        num_frames: int | None = None,
        residual: bool = True,
    ):
        super().__init__()
        num_layers = whole_number("num_layers", num_layers, at_least=1)
        last = hidden_channels if out_channels is None else out_channels
        widths = [in_channels] + [hidden_channels] * (num_layers - 1) + [last]
        self.residual = residual
        self.convs: Any = nn.ModuleList(
            nn.ModuleDict({"lin": linear(*width, num_frames)}) for width in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in widths[1:])

    def forward(self, x: Tensor, graph_size: int) -> Tensor:
        """Runs the stack on the patches of a batch of graphs."""
        for m, (layer, norm) in enumerate(zip(self.convs, self.norms, strict=True), start=1):
            lin = layer["lin"]
            h = lin(x, graph_size) if isinstance(lin, PerFrameLinear) else lin(x)
            h = leaky_relu(norm(h))
            x = h + x if self.residual and m >= 2 and h.shape == x.shape else h
        return x
