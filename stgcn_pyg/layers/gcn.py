"""The whole stack of a branch: affinity, convolutions, norms and shortcuts (Eq. 2-7)."""

from itertools import pairwise
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from stgcn_pyg.layers.affinity import SquaredAffinity
from stgcn_pyg.layers.checks import check_nodes
from stgcn_pyg.layers.conv import AffinityConv
from stgcn_pyg.layers.functional import renormalize, renormalize_edges


class AffinityGCN(torch.nn.Module):
    r"""A stack of graph convolutions over a learned affinity, from "Spatial-Temporal Graph
    Convolutional Network for Video-based Person Re-identification" (Yang et al., CVPR 2020),
    sections 3.2 to 3.4.

    .. math::
        H^m &= \operatorname{LeakyReLU}_{0.1}\big(\operatorname{LayerNorm}(\hat A X^{m-1} W^m)\big)

        X^1 &= H^1, \qquad X^m = H^m + X^{m-1} \quad (m \ge 2)

    :math:`\hat A` comes from the input :math:`X^0` (Eq. 2-4) and serves every layer. LayerNorm
    runs over the channels of each node. The shortcut (Eq. 6) is taken where the widths agree.

    Args:
        in_channels: The width of a node.
        hidden_channels: The width that each layer gives.
        num_layers: The number M (or K) of layers, at least 1.
        propagation: ``"gcn"``, or ``"fc"`` for the fully connected layers of Table 4, which
            leave out :math:`\hat A` (and so need no affinity).
        num_frames: Where given, each of the T frame positions has its own W (Eq. 7).
        out_channels: The width of the last layer; ``hidden_channels`` if not given.
        shortcut: Whether layers from the second on add their input (Eq. 6).

    Shapes:
        - ``x``: ``[V, in_channels]``; ``edge_index``: ``[2, E]``, row 0 holds j, row 1 holds i.
        - ``graph_size``: N, the promise that the batch is G complete graphs of N nodes, in order.
        - Output: ``[V, out_channels]``.

    Raises:
        ValueError: A shape or an option does not fit; the message names the argument.

    Example:
        >>> from stgcn_pyg.layers import AffinityGCN, temporal_graphs
        >>> gcn = AffinityGCN(in_channels=64, hidden_channels=32, num_layers=3)
        >>> batch = temporal_graphs(torch.randn(2 * 8, 4, 64), num_frames=8)
        >>> gcn(batch.x, batch.edge_index, graph_size=8 * 4).shape
        torch.Size([64, 32])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        num_layers: int,
        propagation: Literal["gcn", "fc"] = "gcn",
        num_frames: int | None = None,
        out_channels: int | None = None,
        shortcut: bool = True,
    ):
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"num_layers must be at least 1, got {num_layers}")
        if propagation not in ("gcn", "fc"):
            raise ValueError(f'propagation must be "gcn" or "fc", got {propagation!r}')
        last = hidden_channels if out_channels is None else out_channels
        widths = [in_channels] + [hidden_channels] * (num_layers - 1) + [last]
        self.in_channels = in_channels
        self.out_channels = last
        self.propagation = propagation
        self.shortcut = shortcut
        self.affinity = SquaredAffinity(in_channels) if propagation == "gcn" else None
        self.convs = torch.nn.ModuleList(
            AffinityConv(c_in, c_out, num_frames) for c_in, c_out in pairwise(widths)
        )
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(width) for width in widths[1:])

    def reset_parameters(self) -> None:
        """Draws all weights anew."""
        for module in self.modules():
            if isinstance(module, SquaredAffinity | AffinityConv | torch.nn.LayerNorm):
                module.reset_parameters()

    def forward(self, x: Tensor, edge_index: Tensor, graph_size: int | None = None) -> Tensor:
        """Runs the stack on the nodes of a batch of graphs."""
        check_nodes(x, self.in_channels, graph_size)
        edge_weight = None
        if self.affinity is not None:
            edge_weight = self.affinity(x, edge_index, graph_size)
            if graph_size is None:
                edge_index, edge_weight = renormalize_edges(edge_index, edge_weight, x.size(0))
            else:
                edge_weight = renormalize(edge_weight)
        for m, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True), start=1):
            if edge_weight is None:
                h = cast(AffinityConv, conv).transform(x, graph_size)
            else:
                h = conv(x, edge_index, edge_weight, graph_size)
            h = F.leaky_relu(norm(h), negative_slope=0.1)
            x = h + x if self.shortcut and m >= 2 and h.shape == x.shape else h
        return x
