"""The whole stack of a branch: affinity, convolutions, norms and residuals (Eq. 2-7)."""

from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from stgcn_pyg.layers.affinity import CosineAffinity, SoftmaxAffinity, SquaredAffinity
from stgcn_pyg.layers.checks import Float, Integer
from stgcn_pyg.layers.conv import AffinityConv
from stgcn_pyg.layers.layout import layout_of_nodes

AFFINITIES = {"squared": SquaredAffinity, "softmax": SoftmaxAffinity, "cosine": CosineAffinity}
AffinityName = Literal["squared", "softmax", "cosine"]
Propagation = Literal["gcn", "fc"]


class AffinityGCN(torch.nn.Module):
    r"""A stack of graph convolutions over a learned affinity, from "Spatial-Temporal Graph
    Convolutional Network for Video-based Person Re-identification" (Yang et al., CVPR 2020),
    sections 3.2 to 3.4.

    .. math::
        H^m &= \operatorname{LeakyReLU}_{0.1}\big(\operatorname{LayerNorm}(\hat A X^{m-1} W^m)\big)

        X^1 &= H^1, \qquad X^m = H^m + X^{m-1} \quad (m \ge 2)

    :math:`\hat A` comes from the input :math:`X^0` (Eq. 2-4) and is shared by all layers. LayerNorm
    runs over the channels of each node. The residual (Eq. 6) is added if the widths agree.

    Args:
        in_channels: The width of a node.
        hidden_channels: The width of the output of each layer.
        num_layers: The number M (or K) of layers, at least 1.
        propagation: ``"gcn"``, or ``"fc"`` for the fully connected layers of Table 4, which
            leave out :math:`\hat A` (and so need no affinity).
        num_frames: If given, each of the T frame positions has its own W (Eq. 7).
        out_channels: The width of the last layer; ``hidden_channels`` if not given.
        shortcut: Whether layers from the second on add their input, the residual of Eq. 6.
        affinity: ``"squared"`` as in the paper, ``"softmax"`` or ``"cosine"``.

    Shapes:
        - ``x``: ``[V, in_channels]``; ``edge_index``: ``[2, E]``, row 0 holds j, row 1 holds i.
        - ``graph_size``: N, if the batch is G complete graphs of N nodes each, in order. They then
          run in blocks: one matrix product for each graph.
        - ``batch`` ``[V]``, sorted, or ``ptr`` ``[G + 1]``: which nodes belong to which graph, as
          in a PyG ``Batch``. Complete graphs of any sizes then run in blocks, other graphs edge by
          edge.
        - Output: ``[V, out_channels]``; with ``return_affinity``, a pair of that and of A (Eq. 3):
          ``[G, N, N]`` if ``graph_size`` is given, otherwise ``[E]`` in the order of the edges.

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
        propagation: Propagation = "gcn",
        num_frames: int | None = None,
        out_channels: int | None = None,
        shortcut: bool = True,
        affinity: AffinityName = "squared",
    ):
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"num_layers must be at least 1, got {num_layers}")
        if propagation not in ("gcn", "fc"):
            raise ValueError(f'propagation must be "gcn" or "fc", got {propagation!r}')
        if affinity not in AFFINITIES:
            raise ValueError(f"affinity must be one of {tuple(AFFINITIES)}, got {affinity!r}")
        last = hidden_channels if out_channels is None else out_channels
        widths = [in_channels] + [hidden_channels] * (num_layers - 1) + [last]
        self.in_channels = in_channels
        self.out_channels = last
        self.propagation = propagation
        self.shortcut = shortcut
        self.affinity = AFFINITIES[affinity](in_channels) if propagation == "gcn" else None
        self.convs: Any = torch.nn.ModuleList(
            AffinityConv(c_in, c_out, num_frames) for c_in, c_out in pairwise(widths)
        )
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(width) for width in widths[1:])

    def reset_parameters(self) -> None:
        """Draws new weights for all layers."""
        affinity = [] if self.affinity is None else [self.affinity]
        for module in (*affinity, *self.convs, *self.norms):
            module.reset_parameters()

    def forward(
        self,
        x: Float[Tensor, "V C"],
        edge_index: Integer[Tensor, "2 _"],
        graph_size: int | None = None,
        batch: Integer[Tensor, " V"] | None = None,
        ptr: Integer[Tensor, " _"] | None = None,
        return_affinity: bool = False,
    ) -> Float[Tensor, "V D"] | tuple[Float[Tensor, "V D"], Float[Tensor, "..."]]:
        """Runs the stack on the nodes of a batch of graphs."""
        layout = layout_of_nodes(x, self.in_channels, graph_size, batch, ptr)
        a = weights = None
        if self.affinity is not None:
            of_affinity = layout.with_edges(edge_index)
            a = self.affinity(x, of_affinity.edge_index, layout=of_affinity)
            layout, weights = of_affinity.renormalize(a, self.convs)
        elif return_affinity:
            raise ValueError('return_affinity needs propagation="gcn": "fc" has no affinity')
        for m, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True), start=1):
            if weights is None:
                h = conv.transform(x, layout=layout)
            else:
                h = conv(x, layout.edge_index, weights, layout=layout)
            # Not in place, so that a hook on the norm keeps its output.
            h = F.leaky_relu(norm(h), negative_slope=0.1)
            x = h + x if self.shortcut and m >= 2 and h.shape == x.shape else h
        return (x, of_affinity.public_weights(a)) if return_affinity else x
