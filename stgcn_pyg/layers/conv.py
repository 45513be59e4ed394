"""Linear maps and one graph convolution over given edge weights: Equations 5 and 7."""

from typing import Any, Optional

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from stgcn_pyg.layers.checks import Float, Integer
from stgcn_pyg.layers.layout import Layout, layout_of_nodes


class PerFrameLinear(torch.nn.Module):
    r"""T linear maps without bias, one for each position of a frame in its video (Eq. 7).

    .. math::
        y_{i,p} = W_i\, x_{i,p}, \qquad i = 1 \dots T

    All T run as one batched product.

    Args:
        num_frames: The number T of frame positions.
        in_channels: The width of a node.
        out_channels: The width of the output.

    Attributes:
        weight: ``[T, out_channels, in_channels]``.

    Shapes:
        - ``x``: ``[V, in_channels]``; each frame is a graph, and a video is T graphs in order.
        - ``graph_size``: N if every frame has N nodes; V is then B * T * N.
        - ``ptr``: ``[B * T + 1]`` if frames have different numbers of nodes: graph g holds the
          nodes ``ptr[g]`` to ``ptr[g + 1] - 1``.
        - Output: ``[V, out_channels]``.

    Raises:
        ValueError: The graphs do not divide into videos of T frames, or neither ``graph_size``
            nor ``ptr`` is given.

    Example:
        >>> lin = PerFrameLinear(num_frames=8, in_channels=512, out_channels=256)
        >>> lin(torch.randn(2 * 8 * 4, 512), graph_size=4).shape
        torch.Size([64, 256])
    """

    def __init__(self, num_frames: int, in_channels: int, out_channels: int):
        super().__init__()
        self.num_frames = num_frames
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.weight = torch.nn.Parameter(torch.empty(num_frames, out_channels, in_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new weights for each map as `torch.nn.Linear` does."""
        for weight in self.weight:
            torch.nn.init.kaiming_uniform_(weight, a=5**0.5)

    def forward(
        self,
        x: Float[Tensor, "V C"],
        graph_size: int | None = None,
        ptr: Integer[Tensor, " _"] | None = None,
        layout: Layout | None = None,
    ) -> Float[Tensor, "V D"]:
        """Applies to each node the map of its frame's position."""
        if layout is None:
            layout = layout_of_nodes(x, self.in_channels, graph_size, ptr=ptr)
        return layout.transform_by_frame(x, self.weight)

    def extra_repr(self) -> str:
        return f"{self.num_frames}, {self.in_channels}, {self.out_channels}"


class AffinityConv(MessagePassing):
    r"""A graph convolution with given edge weights, from "Spatial-Temporal Graph Convolutional
    Network for Video-based Person Re-identification" (Yang et al., CVPR 2020), Eq. 5 and 7.

    .. math::
        X' = \hat A X W, \qquad x'_i = \sum_{j} \hat A_{ij}\, W^\top x_j

    Neither self-loops nor a normalisation are added to the given weights.

    Args:
        in_channels: The width of a node.
        out_channels: The width of the output.
        num_frames: If given, each of the T frame positions has its own weights, the
            :math:`W_i^k` of Eq. 7: each frame is then a graph, a video is T graphs in order, and
            ``graph_size``, ``batch`` or ``ptr`` is needed. Otherwise all graphs share one W.

    Attributes:
        lin: The linear map W, without bias; its weight is ``[out, in]``, or ``[T, out, in]``.

    Shapes:
        - ``x``, ``edge_index``, ``graph_size``, ``batch``, ``ptr``: see :class:`AffinityGCN`.
          If the last frames may have no nodes, pass ``ptr``: only it counts them.
        - ``edge_weight``: ``[E]``, or ``[G, N, N]`` in blocks if ``graph_size`` is given.
        - Output: ``[V, out_channels]``.

    Raises:
        ValueError: A shape or a type does not fit; the message names the argument.

    Example:
        >>> from stgcn_pyg.layers import AffinityConv, complete_edges
        >>> conv = AffinityConv(in_channels=16, out_channels=8)
        >>> x, edge_index = torch.randn(2 * 3, 16), complete_edges(num_graphs=2, graph_size=3)
        >>> conv(x, edge_index, torch.full((18,), 1 / 3)).shape
        torch.Size([6, 8])
        >>> conv(x, edge_index, torch.full((2, 3, 3), 1 / 3), graph_size=3).shape
        torch.Size([6, 8])
    """

    def __init__(self, in_channels: int, out_channels: int, num_frames: int | None = None):
        super().__init__(aggr="add")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.num_frames = num_frames
        self.lin: Any = (
            torch.nn.Linear(in_channels, out_channels, bias=False)
            if num_frames is None
            else PerFrameLinear(num_frames, in_channels, out_channels)
        )

    def reset_parameters(self) -> None:
        """Draws new weights for W."""
        self.lin.reset_parameters()

    def forward(
        self,
        x: Float[Tensor, "V C"],
        edge_index: Integer[Tensor, "2 E"],
        edge_weight: Float[Tensor, " E"] | Float[Tensor, "G N N"] | list[Tensor],
        graph_size: int | None = None,
        batch: Integer[Tensor, " V"] | None = None,
        ptr: Integer[Tensor, " _"] | None = None,
        layout: Layout | None = None,
    ) -> Float[Tensor, "V D"]:
        """One round of messages: each node gets the weighted sum over its neighbours.

        :class:`AffinityGCN` makes ``layout`` of the other arguments once for all its layers;
        ``edge_weight`` is then held as that layout holds it.
        """
        if layout is None:
            nodes = layout_of_nodes(x, self.in_channels, graph_size, batch, ptr)
            layout, edge_weight = nodes.with_edges(edge_index).given_weights(self, edge_weight)
        return layout.propagate(self, self.transform(x, layout=layout), edge_weight)

    def by_edge(self, h: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        """The weighted sums over any edges of the transformed nodes `[V, D]`."""
        return self.propagate(edge_index, h=h, edge_weight=edge_weight)

    def transform(
        self,
        x: Float[Tensor, "V _"],
        graph_size: int | None = None,
        ptr: Integer[Tensor, " _"] | None = None,
        layout: Layout | None = None,
    ) -> Float[Tensor, "V D"]:
        """X W alone, without neighbours: the fully connected layer of Table 4."""
        if self.num_frames is None:
            return self.lin(x)
        return self.lin(x, graph_size, ptr, layout)

    def message(self, h_j: Tensor, edge_weight: Tensor) -> Tensor:
        """What flows along an edge j -> i, `[E, out]`."""
        return edge_weight.unsqueeze(-1) * h_j

    def explain_message(self, inputs: Any, dim_size: Optional[int]) -> Any:
        """PyG's, applied to the edges of the explained graph but not to the identity behind them.

        :func:`renormalize_edges` appends the identity of Eq. 4. PyG's own method assumes that a
        layer also drops the self-loops that the graph already has.
        """
        num_edges = inputs.size(0) if self._edge_mask is None else self._edge_mask.size(0)
        explained = super().explain_message(inputs[:num_edges], dim_size)
        return torch.cat([explained, inputs[num_edges:]])

    def __repr__(self) -> str:
        frames = "" if self.num_frames is None else f", num_frames={self.num_frames}"
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels}{frames})"
