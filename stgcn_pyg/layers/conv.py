"""One graph convolution over given edge weights: Equations 5 and 7."""

from typing import Optional

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch_geometric.nn import MessagePassing

from stgcn_pyg.layers.checks import check_nodes, check_weights, checked_edges, optional_size
from stgcn_pyg.layers.equal_blocks import blocks_to_edges, require_complete
from stgcn_pyg.layers.frame_linear import FrameLinear
from stgcn_pyg.layers.ragged_blocks import RaggedWeights, ragged_blocks
from stgcn_pyg.layers.routes import graph_ptr, runs_in_blocks


class AffinityConv(MessagePassing):
    r"""A graph convolution with the weights it is given, from "Spatial-Temporal Graph
    Convolutional Network for Video-based Person Re-identification" (Yang et al., CVPR 2020),
    Eq. 5 and 7.

    .. math::
        X' = \hat A X W, \qquad x'_i = \sum_{j} \hat A_{ij}\, W^\top x_j

    The weights are used as they are: neither self-loops nor a normalisation are added.

    Args:
        in_channels: The width of a node.
        out_channels: The width of the output.
        num_frames: Where given, each of the T frame positions has weights of its own, the
            :math:`W_i^k` of Eq. 7; the batch then holds one graph a frame, the frames of a video
            in a row, and needs ``graph_size``, ``batch`` or ``ptr``. Otherwise all graphs share
            one W.

    Attributes:
        lin: The linear map W, without bias; its weight is ``[out, in]``, or ``[T, out, in]``.

    Shapes:
        - ``x``: ``[V, in_channels]``; ``edge_index``: ``[2, E]``, row 0 holds j, row 1 holds i.
        - ``edge_weight``: ``[E]``, or ``[G, N, N]`` in blocks where ``graph_size`` is given. (Of
          graphs of different sizes, :class:`AffinityGCN` passes ``RaggedWeights``.)
        - ``graph_size``: N, the promise that the batch is G complete graphs of N nodes, in order.
        - ``batch`` ``[V]``, sorted, or ``ptr`` ``[G + 1]``: which nodes are a graph, as a PyG
          ``Batch`` has them. Complete graphs then run in blocks, whatever their sizes. Where the
          last frames may have no node at all, only ``ptr`` counts them.
        - Output: ``[V, out_channels]``.

    Raises:
        ValueError: A shape or a type does not fit; the message names the argument.

    Example:
        >>> from stgcn_pyg.layers import AffinityConv, complete_graphs
        >>> conv = AffinityConv(in_channels=16, out_channels=8)
        >>> x, edge_index = torch.randn(2 * 3, 16), complete_graphs(num_graphs=2, graph_size=3)
        >>> conv(x, edge_index, torch.full((18,), 1 / 3)).shape
        torch.Size([6, 8])
        >>> conv(x, edge_index, torch.full((2, 3, 3), 1 / 3), graph_size=3).shape
        torch.Size([6, 8])
    """

    lin: torch.nn.Linear | FrameLinear

    def __init__(self, in_channels: int, out_channels: int, num_frames: int | None = None):
        super().__init__(aggr="add")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.num_frames = num_frames
        if num_frames is None:
            self.lin = torch.nn.Linear(in_channels, out_channels, bias=False)
        else:
            self.lin = FrameLinear(num_frames, in_channels, out_channels)

    def reset_parameters(self) -> None:
        """Draws W anew."""
        self.lin.reset_parameters()

    def forward(
        self,
        x: Float[Tensor, "V C"],
        edge_index: Integer[Tensor, "2 E"],
        edge_weight: Float[Tensor, " E"] | Float[Tensor, "G N N"] | RaggedWeights,
        graph_size: int | None = None,
        batch: Integer[Tensor, " V"] | None = None,
        ptr: Integer[Tensor, " _"] | None = None,
    ) -> Float[Tensor, "V D"]:
        """One round of messages: each node gathers its neighbours, weighted."""
        graph_size = optional_size(graph_size)
        check_nodes(x, self.in_channels, graph_size)
        if isinstance(edge_weight, Tensor):
            edge_index = checked_edges(edge_index, x.size(0), graph_size)
            check_weights(edge_weight, edge_index, x.size(0), graph_size)
            ptr = graph_ptr(x.size(0), graph_size, batch, ptr)
        h = self.transform(x, graph_size, ptr)
        if isinstance(edge_weight, Tensor) and edge_weight.dim() == 1 and ptr is not None:
            blocks = ragged_blocks(ptr, edge_index) if runs_in_blocks(self) else None
            if blocks is not None:
                edge_weight = RaggedWeights(blocks, blocks.from_edges(edge_weight))
        if isinstance(edge_weight, RaggedWeights):
            if runs_in_blocks(self):
                return edge_weight.propagate(h)
            edge_weight = edge_weight.to_edges()
        elif graph_size is not None:
            if edge_weight.dim() == 3 and runs_in_blocks(self):
                return torch.bmm(edge_weight, h.view(-1, graph_size, h.size(1))).flatten(0, 1)
            require_complete(edge_index, graph_size)
            if edge_weight.dim() == 3:
                edge_weight = blocks_to_edges(edge_weight, edge_index)
        return self.propagate(edge_index, h=h, edge_weight=edge_weight)

    def transform(
        self,
        x: Float[Tensor, "V C"],
        graph_size: int | None = None,
        ptr: Integer[Tensor, " _"] | None = None,
    ) -> Float[Tensor, "V D"]:
        """X W alone, without any neighbour: the fully connected layer of Table 4."""
        return self.lin(x, graph_size, ptr) if isinstance(self.lin, FrameLinear) else self.lin(x)

    def message(self, h_j: Tensor, edge_weight: Tensor) -> Tensor:
        """What flows along an edge j -> i, `[E, out]`."""
        return edge_weight.unsqueeze(-1) * h_j

    def explain_message(self, inputs: Tensor, dim_size: Optional[int]) -> Tensor:
        """PyG's, with the edges behind those of the explained graph left as they are.

        These are the identity of Eq. 4, which :func:`renormalize_edges` appends; PyG's own takes
        it that a layer also drops the loops that are there already.
        """
        num_edges = inputs.size(0) if self._edge_mask is None else self._edge_mask.size(0)
        explained = super().explain_message(inputs[:num_edges], dim_size)
        return torch.cat([explained, inputs[num_edges:]])

    def __repr__(self) -> str:
        frames = "" if self.num_frames is None else f", num_frames={self.num_frames}"
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels}{frames})"
