"""One graph convolution over given edge weights: Equations 5 and 7."""

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from stgcn_pyg.layers.blocks import blocks_to_edges, runs_in_blocks
from stgcn_pyg.layers.checks import check_edges, check_nodes, check_weights
from stgcn_pyg.layers.frame_linear import FrameLinear


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
            in a row, and needs ``graph_size``. Otherwise all graphs share one W.

    Attributes:
        lin: The linear map W, without bias; its weight is ``[out, in]``, or ``[T, out, in]``.

    Shapes:
        - ``x``: ``[V, in_channels]``; ``edge_index``: ``[2, E]``, row 0 holds j, row 1 holds i.
        - ``edge_weight``: ``[E]``, or ``[G, N, N]`` in blocks where ``graph_size`` is given.
        - ``graph_size``: N, the promise that the batch is G complete graphs of N nodes, in order.
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
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor, graph_size: int | None = None
    ) -> Tensor:
        """One round of messages: each node gathers its neighbours, weighted."""
        check_nodes(x, self.in_channels, graph_size)
        check_edges(edge_index, x.size(0), graph_size)
        check_weights(edge_weight, edge_index, x.size(0), graph_size)
        h = self.transform(x, graph_size)
        if graph_size is not None and edge_weight.dim() == 3:
            if runs_in_blocks(self, graph_size):
                return torch.bmm(edge_weight, h.unflatten(0, (-1, graph_size))).flatten(0, 1)
            edge_weight = blocks_to_edges(edge_weight, edge_index)
        return self.propagate(edge_index, h=h, edge_weight=edge_weight)

    def transform(self, x: Tensor, graph_size: int | None = None) -> Tensor:
        """X W alone, without any neighbour: the fully connected layer of Table 4."""
        return self.lin(x, graph_size) if isinstance(self.lin, FrameLinear) else self.lin(x)

    def message(self, h_j: Tensor, edge_weight: Tensor) -> Tensor:
        """What flows along an edge j -> i, `[E, out]`."""
        return edge_weight.unsqueeze(-1) * h_j

    def __repr__(self) -> str:
        frames = "" if self.num_frames is None else f", num_frames={self.num_frames}"
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels}{frames})"
