"""One graph convolution over given edge weights: Equations 5 and 7."""

from typing import Any, Optional

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from stgcn_pyg.layers.checks import Float, Integer, whole_number
from stgcn_pyg.layers.functional import widen
from stgcn_pyg.layers.layout import Layout
from stgcn_pyg.layers.linear import input_width, linear
from stgcn_pyg.layers.routes import layout_of


class AffinityConv(MessagePassing):
    r"""A graph convolution with given edge weights, from "Spatial-Temporal Graph Convolutional
    Network for Video-based Person Re-identification" (Yang et al., CVPR 2020), Eq. 5 and 7.

    .. math::
        X' = \hat A X W + b, \qquad x'_i = \sum_{j} \hat A_{ij}\, W^\top x_j + b

    Neither self-loops nor a normalisation are added to the given weights. With H heads, each head
    has its own weights :math:`\hat A^h` and gives an H-th of the output channels.

    Args:
        in_channels: The width of a node; -1 to take it from the first batch.
        out_channels: The width of the output.
        num_frames: If given, each of the T frame positions has its own W, the
            :math:`W_i^k` of Eq. 7: each frame is then a graph, a video is T graphs in order, and
            ``graph_size``, ``batch`` or ``ptr`` is needed. Otherwise all graphs share one W.
        heads: The number H of heads, a divisor of ``out_channels``.
        bias: Whether a learned b is added to the output; the paper has none.

    Attributes:
        lin: The linear map W, without bias; its weight is ``[out, in]``, or ``[T, out, in]``.
        bias: The b of each output channel, ``[out]``, or None.

    Shapes:
        - ``x``, ``edge_index``, ``graph_size``, ``batch``, ``ptr``: see :class:`AffinityGCN`.
          If the last frames may have no nodes, pass ``ptr`` or ``batch_size``.
        - ``edge_weight``: ``[E]``, or ``[G, N, N]`` in blocks if ``graph_size`` is given; with
          heads also ``[E, H]`` or ``[G, H, N, N]``.
        - Output: ``[V, out_channels]``.

    Raises:
        ValueError: A shape or a type does not fit; the message names the argument.

    Example:
        >>> from stgcn_pyg.layers import AffinityConv, complete_edges
        >>> conv = AffinityConv(in_channels=16, out_channels=8)
        >>> x, edge_index = torch.randn(2 * 3, 16), complete_edges(num_graphs=2, graph_size=3)
        >>> conv(x, edge_index, torch.full((18,), 1 / 3)).shape
        torch.Size([6, 8])
        >>> conv(x, None, torch.full((2, 3, 3), 1 / 3), graph_size=3).shape
        torch.Size([6, 8])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_frames: int | None = None,
        *,
        heads: int = 1,
        bias: bool = False,
    ):
        super().__init__(aggr="add")
        in_channels = whole_number("in_channels", in_channels, at_least=-1)
        self.out_channels = whole_number("out_channels", out_channels, at_least=0)
        self.num_frames = num_frames
        self.heads = whole_number("heads", heads, at_least=1)
        if self.out_channels % self.heads:
            raise ValueError(f"out_channels={out_channels} is no multiple of heads={heads}")
        self.lin: Any = linear(in_channels, self.out_channels, num_frames)
        self.bias = torch.nn.Parameter(torch.zeros(self.out_channels)) if bias else None

    @property
    def in_channels(self) -> int:
        """The width of a node; -1 before the first batch if it was not given."""
        return input_width(self.lin)

    def reset_parameters(self) -> None:
        """Draws new weights for W, and sets the bias to zero."""
        self.lin.reset_parameters()
        if self.bias is not None:
            torch.nn.init.zeros_(self.bias)

    def forward(
        self,
        x: Float[Tensor, "V C"],
        edge_index: Integer[Tensor, "2 E"] | None = None,
        edge_weight: Any = None,
        *,
        graph_size: int | None = None,
        batch: Integer[Tensor, " V"] | None = None,
        ptr: Integer[Tensor, " _"] | None = None,
        batch_size: int | None = None,
        layout: Layout | None = None,
    ) -> Float[Tensor, "V D"]:
        """One round of messages: each node gets the weighted sum over its neighbours.

        Without ``edge_weight`` each edge has the weight 1. :class:`AffinityGCN` makes ``layout`` of
        the other arguments once for all its layers; ``edge_weight`` is then held as that layout
        holds it.
        """
        if layout is None:
            layout = layout_of(x, self.in_channels, edge_index, graph_size, batch, ptr, batch_size)
            if edge_weight is None:
                edge_weight = x.new_ones(layout.edge_index.size(1))
            elif isinstance(edge_weight, Tensor) and edge_weight.dtype == torch.bool:
                edge_weight = edge_weight.to(x.dtype)
            layout, edge_weight = layout.given_weights(self, edge_weight)
        out = layout.propagate(self, self.transform(x, layout=layout), edge_weight)
        return out if self.bias is None else out + self.bias

    def by_edge(self, h: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        """The weighted sums over any edges of the transformed nodes `[V, D]`."""
        # Sums of float16 or bfloat16 would stop to grow on a GPU: there 256 and 1 are 256.
        out = self.propagate(edge_index, h=widen(h), edge_weight=widen(edge_weight))
        return out.to(h.dtype)

    def transform(
        self,
        x: Float[Tensor, "V _"],
        graph_size: int | None = None,
        ptr: Integer[Tensor, " _"] | None = None,
        layout: Layout | None = None,
    ) -> Float[Tensor, "V D"]:
        """X W alone, without neighbours."""
        if self.num_frames is None:
            return self.lin(x)
        return self.lin(x, graph_size, ptr, layout)

    def message(self, h_j: Tensor, edge_weight: Tensor) -> Tensor:
        """What flows along an edge j -> i, `[E, out]`."""
        if edge_weight.dim() == 1:
            return edge_weight.unsqueeze(-1) * h_j
        by_head = h_j.unflatten(1, (edge_weight.size(1), -1))
        return (edge_weight.unsqueeze(-1) * by_head).flatten(1)

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
        heads = "" if self.heads == 1 else f", heads={self.heads}"
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels}{frames}{heads})"
