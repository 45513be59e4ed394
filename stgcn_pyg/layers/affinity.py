"""The learned affinity of a graph's nodes: Equations 2 and 3, and two others to compare with."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter, softmax

from stgcn_pyg.layers.checks import Float, Integer
from stgcn_pyg.layers.functional import (
    cosine_affinity,
    l2_normalize,
    scale_by_root_width,
    softmax_affinity,
    squared_affinity,
    widen,
)
from stgcn_pyg.layers.layout import Layout, layout_of_nodes


class Affinity(MessagePassing):
    """A linear map φ, and edge weights from the inner products of transformed nodes.

    A subclass computes weights from inner products: `dense` for complete graphs, and `scale` and
    `normalize` for edges.
    """

    # [..., N, D] -> [..., N, N]; with a mask [..., N] if it needs one.
    dense: Callable[..., Tensor]
    # Scales the nodes [V, D] before inner products are taken.
    scale: Callable[[Tensor], Tensor]
    needs_mask = False  # whether a padded node, which is all zeros, would get a weight

    def __init__(self, in_channels: int, out_channels: int | None = None):
        super().__init__(aggr=None)
        self.in_channels = in_channels
        self.out_channels = in_channels if out_channels is None else out_channels
        self.phi = torch.nn.Linear(in_channels, self.out_channels, bias=False)

    def reset_parameters(self) -> None:
        """Draws new weights for φ."""
        self.phi.reset_parameters()

    def forward(
        self,
        x: Float[Tensor, "V C"],
        edge_index: Integer[Tensor, "2 E"],
        graph_size: int | None = None,
        batch: Integer[Tensor, " V"] | None = None,
        ptr: Integer[Tensor, " _"] | None = None,
        layout: Layout | None = None,
    ) -> Float[Tensor, " E"] | Float[Tensor, "G N N"] | list[Tensor]:
        """The affinity A of the nodes ``x`` along the edges.

        :class:`AffinityGCN` makes ``layout`` of the other arguments once for all its layers; A is
        then held as that layout holds it.
        """
        if layout is not None:
            return layout.affinity(self, self.phi(x))
        nodes = layout_of_nodes(x, self.in_channels, graph_size, batch, ptr)
        layout = nodes.with_edges(edge_index)
        return layout.public_weights(layout.affinity(self, self.phi(x)))

    def by_edge(self, h: Tensor, edge_index: Tensor) -> Tensor:
        """The weights `[E]` of any edges among the transformed nodes `[V, D]`."""
        e = self.edge_updater(edge_index, h=self.scale(h))
        return self.normalize(e, edge_index[1], h.size(0)).to(h.dtype)

    def edge_update(self, h_i: Tensor, h_j: Tensor) -> Tensor:
        """Eq. 2: the inner product of both ends, `[E]`."""
        return (h_i * h_j).sum(dim=-1)

    def normalize(self, e: Tensor, target: Tensor, num_nodes: int) -> Tensor:
        """The weights `[E]` from the inner products `[E]`, normalised over each target's edges."""
        raise NotImplementedError


class SquaredAffinity(Affinity):
    r"""The squared, row-normalised affinity over learned features, from "Spatial-Temporal Graph
    Convolutional Network for Video-based Person Re-identification" (Yang et al., CVPR 2020),
    Eq. 2 and 3.

    .. math::
        A_{ij} = \frac{e_{ij}^2}{\sum_{k \in \mathcal N(i)} e_{ik}^2}, \qquad
        e_{ij} = \phi(x_i)^\top \phi(x_j), \qquad \phi(x) = w x

    :math:`\mathcal N(i)` are the nodes with an edge to i. The re-normalisation (Eq. 4) is a
    separate step: :func:`renormalize` for blocks, :func:`renormalize_edges` for edges.

    Args:
        in_channels: The width C of a node.
        out_channels: The width D of :math:`\phi(x)`; C if not given.

    Attributes:
        phi: The linear map :math:`\phi`, without bias; its weight is ``[D, C]``.

    Shapes:
        - ``x``, ``edge_index``, ``graph_size``, ``batch``, ``ptr``: see :class:`AffinityGCN`.
        - Output: weights ``[E]`` by edge, or ``[G, N, N]`` in blocks if ``graph_size`` is given.

    Raises:
        ValueError: A shape or a type does not fit; the message names the argument.

    Example:
        >>> from stgcn_pyg.layers import SquaredAffinity, complete_edges
        >>> affinity = SquaredAffinity(in_channels=16)
        >>> x, edge_index = torch.randn(2 * 3, 16), complete_edges(num_graphs=2, graph_size=3)
        >>> affinity(x, edge_index).shape
        torch.Size([18])
        >>> affinity(x, edge_index, graph_size=3).shape
        torch.Size([2, 3, 3])
    """

    dense = staticmethod(squared_affinity)
    scale = staticmethod(widen)

    def normalize(self, e: Tensor, target: Tensor, num_nodes: int) -> Tensor:
        # Divided by the largest entry of its row, a square stays in range; A is the same.
        largest = scatter(e.detach().abs(), target, dim_size=num_nodes, reduce="max")
        return _row_normalize((e / _at_target(largest, target)).square(), target, num_nodes)


class SoftmaxAffinity(Affinity):
    r"""The affinity of scaled dot-product attention over learned features, to compare with
    :class:`SquaredAffinity`, which it can replace without another change.

    The formula is that of :func:`softmax_affinity` with :math:`h_i = \phi(x_i)`, its sum over the
    nodes with an edge to i. Arguments, shapes and errors are those of :class:`SquaredAffinity`.
    """

    dense = staticmethod(softmax_affinity)
    scale = staticmethod(scale_by_root_width)
    needs_mask = True

    def normalize(self, e: Tensor, target: Tensor, num_nodes: int) -> Tensor:
        return softmax(e, target, num_nodes=num_nodes)


class CosineAffinity(Affinity):
    r"""The row-normalised cosine similarity over learned features, to compare with
    :class:`SquaredAffinity`, which it can replace without another change.

    The formula is that of :func:`cosine_affinity` with :math:`h_i = \phi(x_i)`, its sum over the
    nodes with an edge to i. Arguments, shapes and errors are those of :class:`SquaredAffinity`.
    """

    dense = staticmethod(cosine_affinity)
    scale = staticmethod(l2_normalize)

    def normalize(self, e: Tensor, target: Tensor, num_nodes: int) -> Tensor:
        return _row_normalize(e.relu(), target, num_nodes)


def _row_normalize(weight: Tensor, target: Tensor, num_nodes: int) -> Tensor:
    total = scatter(weight, target, dim_size=num_nodes, reduce="sum")
    return weight / _at_target(total, target)


def _at_target(value: Tensor, target: Tensor) -> Tensor:
    """The value of each edge's target, above zero so that one can divide by it."""
    return value.clamp(min=torch.finfo(value.dtype).tiny).index_select(0, target)
