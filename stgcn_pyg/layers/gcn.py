"""The whole stack of a branch: affinity, convolutions, norms and shortcuts (Eq. 2-7)."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Integer
from torch import Tensor

from stgcn_pyg.layers.affinity import Affinity, CosineAffinity, SoftmaxAffinity, SquaredAffinity
from stgcn_pyg.layers.checks import check_nodes, checked_edges, optional_size
from stgcn_pyg.layers.conv import AffinityConv
from stgcn_pyg.layers.equal_blocks import blocks_to_edges
from stgcn_pyg.layers.functional import renormalize_edges, renormalize_shares
from stgcn_pyg.layers.ragged_blocks import RaggedWeights, ragged_blocks
from stgcn_pyg.layers.routes import graph_ptr, runs_in_blocks

AFFINITIES = {"squared": SquaredAffinity, "softmax": SoftmaxAffinity, "cosine": CosineAffinity}
AffinityName = Literal["squared", "softmax", "cosine"]


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
        affinity: ``"squared"`` as in the paper, or to compare with it ``"softmax"`` or
            ``"cosine"``.

    Shapes:
        - ``x``: ``[V, in_channels]``; ``edge_index``: ``[2, E]``, row 0 holds j, row 1 holds i.
        - ``graph_size``: N, the promise that the batch is G complete graphs of N nodes, in order.
        - ``batch`` ``[V]``, sorted, or ``ptr`` ``[G + 1]``: which nodes are a graph, as a PyG
          ``Batch`` has them. Complete graphs then run in blocks, whatever their sizes; all other
          graphs run edge by edge.
        - Output: ``[V, out_channels]``; with ``return_affinity``, a pair of that and of A (Eq. 3):
          ``[G, N, N]`` where ``graph_size`` is given, ``[E]`` in the order of the edges elsewhere.

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
        self.convs = torch.nn.ModuleList(
            AffinityConv(c_in, c_out, num_frames) for c_in, c_out in pairwise(widths)
        )
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(width) for width in widths[1:])

    def reset_parameters(self) -> None:
        """Draws all weights anew."""
        for module in self.modules():
            if isinstance(module, Affinity | AffinityConv | torch.nn.LayerNorm):
                module.reset_parameters()

    def forward(
        self,
        x: Float[Tensor, "V C"],
        edge_index: Integer[Tensor, "2 E"],
        graph_size: int | None = None,
        batch: Integer[Tensor, " V"] | None = None,
        ptr: Integer[Tensor, " _"] | None = None,
        return_affinity: bool = False,
    ) -> Float[Tensor, "V D"] | tuple[Float[Tensor, "V D"], Float[Tensor, "..."]]:
        """Runs the stack on the nodes of a batch of graphs."""
        graph_size = optional_size(graph_size)
        check_nodes(x, self.in_channels, graph_size)
        ptr = graph_ptr(x.size(0), graph_size, batch, ptr)
        if self.affinity is None:
            if return_affinity:
                raise ValueError('return_affinity needs propagation="gcn": "fc" has no affinity')
            return self._stack(x, lambda conv, x: conv.transform(x, graph_size, ptr))
        edge_index = checked_edges(edge_index, x.size(0), graph_size)
        blocks = ragged_blocks(ptr, edge_index)
        a = self.affinity(x, edge_index, graph_size, ptr=ptr if blocks is None else blocks)
        edges = edge_index
        if (graph_size is None and blocks is None) or not all(map(runs_in_blocks, self.convs)):
            # The identity of Eq. 4 is edges of its own, whoever looks at the messages.
            edges, weight = renormalize_edges(edge_index, _by_edge(a, edge_index), x.size(0))
            if graph_size is not None:
                ptr = torch.arange(0, x.size(0) + 1, graph_size, device=x.device)
                graph_size = None
        else:
            weight = renormalize_shares(a) if blocks is None else a.renormalized()
        out = self._stack(x, lambda conv, x: conv(x, edges, weight, graph_size, ptr=ptr))
        if return_affinity:
            return out, a if blocks is None else a.to_edges()
        return out

    def _stack(self, x: Tensor, convolve: Callable[[Any, Tensor], Tensor]) -> Tensor:
        for m, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True), start=1):
            # Not in place, so that a hook on the norm keeps what it saw.
            h = F.leaky_relu(norm(convolve(conv, x)), negative_slope=0.1)
            x = h + x if self.shortcut and m >= 2 and h.shape == x.shape else h
        return x


def _by_edge(a: Tensor | RaggedWeights, edge_index: Tensor) -> Tensor:
    if isinstance(a, RaggedWeights):
        return a.to_edges()
    return blocks_to_edges(a, edge_index) if a.dim() == 3 else a
