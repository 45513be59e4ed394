"""The learned affinity of a graph's nodes: Equations 2 and 3."""

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter

from stgcn_pyg.layers.blocks import edges_to_blocks, runs_in_blocks
from stgcn_pyg.layers.checks import check_edges, check_nodes
from stgcn_pyg.layers.functional import squared_affinity


class SquaredAffinity(MessagePassing):
    r"""The squared, row-normalised affinity over learned features, from "Spatial-Temporal Graph
    Convolutional Network for Video-based Person Re-identification" (Yang et al., CVPR 2020),
    Eq. 2 and 3.

    .. math::
        A = \operatorname{rownorm}\big((\phi(X)\,\phi(X)^\top)^{\circ 2}\big), \qquad \phi(x) = w x

    or, node by node, over the edges :math:`j \to i`:

    .. math::
        A_{ij} = \frac{e_{ij}^2}{\sum_{k \in \mathcal N(i)} e_{ik}^2}, \qquad
        e_{ij} = \phi(x_i)^\top \phi(x_j)

    The re-normalisation (Eq. 4) is a step of its own: :func:`~stgcn_pyg.layers.renormalize` for
    blocks, :func:`~stgcn_pyg.layers.renormalize_edges` for edges.

    Args:
        in_channels: The width C of a node.
        out_channels: The width D of :math:`\phi(x)`; C if not given.

    Attributes:
        phi: The linear map :math:`\phi`, without bias; its weight is ``[D, C]``.

    Shapes:
        - ``x``: ``[V, C]``; ``edge_index``: ``[2, E]``, row 0 holds j and row 1 holds i.
        - ``graph_size``: N, the promise that the batch is G complete graphs of N nodes, in order.
        - Output: weights ``[E]`` by edge, or ``[G, N, N]`` in blocks where ``graph_size`` is given.

    Raises:
        ValueError: A shape or a type does not fit; the message names the argument.

    Example:
        >>> from stgcn_pyg.layers import SquaredAffinity, complete_graphs
        >>> affinity = SquaredAffinity(in_channels=16)
        >>> x, edge_index = torch.randn(2 * 3, 16), complete_graphs(num_graphs=2, graph_size=3)
        >>> affinity(x, edge_index).shape
        torch.Size([18])
        >>> affinity(x, edge_index, graph_size=3).shape
        torch.Size([2, 3, 3])
    """

    def __init__(self, in_channels: int, out_channels: int | None = None):
        super().__init__(aggr=None)
        self.in_channels = in_channels
        self.out_channels = in_channels if out_channels is None else out_channels
        self.phi = torch.nn.Linear(in_channels, self.out_channels, bias=False)

    def reset_parameters(self) -> None:
        """Draws the weight of :math:`\\phi` anew."""
        self.phi.reset_parameters()

    def forward(self, x: Tensor, edge_index: Tensor, graph_size: int | None = None) -> Tensor:
        """The affinity A of the nodes `x` along the edges."""
        check_nodes(x, self.in_channels, graph_size)
        check_edges(edge_index, x.size(0), graph_size)
        h = self.phi(x)
        if graph_size is not None and runs_in_blocks(self, graph_size):
            return squared_affinity(h.view(-1, graph_size, self.out_channels))
        e = self.edge_updater(edge_index, h=h)
        weight = _square_and_normalize(e, edge_index[1], x.size(0))
        if graph_size is None:
            return weight
        return edges_to_blocks(weight, edge_index, graph_size)

    def edge_update(self, h_i: Tensor, h_j: Tensor) -> Tensor:
        """Eq. 2: the inner product of both ends, `[E]`."""
        return (h_i * h_j).sum(dim=-1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels})"


def _square_and_normalize(e: Tensor, target: Tensor, num_nodes: int) -> Tensor:
    """Eq. 3 over edges: `e ** 2` over the sum of it at the same target."""
    tiny = torch.finfo(e.dtype).tiny
    # A is the same for any scale of a row; its largest entry as the unit keeps squares in range.
    unit = scatter(e.detach().abs(), target, dim_size=num_nodes, reduce="max").clamp(min=tiny)
    squares = (e / unit[target]).square()
    total = scatter(squares, target, dim_size=num_nodes, reduce="sum").clamp(min=tiny)
    return squares / total[target]
