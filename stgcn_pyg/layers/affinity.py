"""The learned affinity of a graph's nodes: Equations 2 and 3, and two others to compare with."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter, softmax

from stgcn_pyg.layers.checks import check_nodes, checked_edges, optional_size
from stgcn_pyg.layers.equal_blocks import edges_to_blocks, require_complete
from stgcn_pyg.layers.functional import (
    cosine_affinity,
    divided_by_root,
    softmax_affinity,
    squared_affinity,
    unit_length,
    within_range,
)
from stgcn_pyg.layers.ragged_blocks import RaggedBlocks, RaggedWeights, ragged_blocks
from stgcn_pyg.layers.routes import graph_ptr, runs_in_blocks


class Affinity(MessagePassing):
    """What the affinities share: a linear map φ, and one result along edges and in blocks.

    A subclass says how the inner products of a node with its neighbours become weights, once for
    blocks and once for edges.
    """

    def __init__(self, in_channels: int, out_channels: int | None = None):
        super().__init__(aggr=None)
        self.in_channels = in_channels
        self.out_channels = in_channels if out_channels is None else out_channels
        self.phi = torch.nn.Linear(in_channels, self.out_channels, bias=False)

    def reset_parameters(self) -> None:
        """Draws the weight of φ anew."""
        self.phi.reset_parameters()

    def forward(
        self,
        x: Float[Tensor, "V C"],
        edge_index: Integer[Tensor, "2 E"],
        graph_size: int | None = None,
        batch: Integer[Tensor, " V"] | None = None,
        ptr: Integer[Tensor, " _"] | RaggedBlocks | None = None,
    ) -> Float[Tensor, " E"] | Float[Tensor, "G N N"] | RaggedWeights:
        """The affinity A of the nodes `x` along the edges."""
        graph_size = optional_size(graph_size)
        check_nodes(x, self.in_channels, graph_size)
        if isinstance(ptr, RaggedBlocks):  # from a stack, which has looked at its edges
            return self._in_ragged_blocks(x, edge_index, ptr)
        edge_index = checked_edges(edge_index, x.size(0), graph_size)
        blocks = ragged_blocks(graph_ptr(x.size(0), graph_size, batch, ptr), edge_index)
        if blocks is not None:
            return self._in_ragged_blocks(x, edge_index, blocks).to_edges()
        if graph_size is None:
            return self._by_edge(x, edge_index)
        require_complete(edge_index, graph_size)
        if runs_in_blocks(self):
            return self.in_blocks(self.phi(x).view(-1, graph_size, self.out_channels))
        return edges_to_blocks(self._by_edge(x, edge_index), edge_index, graph_size)

    def _in_ragged_blocks(
        self, x: Tensor, edge_index: Tensor, blocks: RaggedBlocks
    ) -> RaggedWeights:
        if runs_in_blocks(self):
            return RaggedWeights(blocks, self.in_ragged_blocks(self.phi(x), blocks))
        return RaggedWeights(blocks, blocks.from_edges(self._by_edge(x, edge_index)))

    def _by_edge(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = self.phi(x)
        e = self.edge_updater(edge_index, h=self.scaled(h))
        return self.by_target(e, edge_index[1], x.size(0)).to(h.dtype)

    def in_blocks(self, h: Tensor) -> Tensor:
        """The weights among the transformed nodes `[..., N, D]` of complete graphs."""
        raise NotImplementedError

    def in_ragged_blocks(self, h: Tensor, blocks: RaggedBlocks) -> list[Tensor]:
        """The same for graphs of different sizes; a padded node of zeros must get no weight."""
        return [self.in_blocks(part) for part in blocks.pad(h)]

    def scaled(self, h: Tensor) -> Tensor:
        """The transformed nodes `[V, D]` at the scale at which `edge_update` multiplies them."""
        raise NotImplementedError

    def by_target(self, e: Tensor, target: Tensor, num_nodes: int) -> Tensor:
        """The weights `[E]` from the inner products `[E]`, normalised at each target."""
        raise NotImplementedError

    def edge_update(self, h_i: Tensor, h_j: Tensor) -> Tensor:
        """Eq. 2: the inner product of both ends, `[E]`."""
        return (h_i * h_j).sum(dim=-1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels})"


class SquaredAffinity(Affinity):
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
        - ``batch`` ``[V]``, sorted, or ``ptr`` ``[G + 1]``: which nodes are a graph, as a PyG
          ``Batch`` has them. Complete graphs then run in blocks, whatever their sizes; all other
          graphs run edge by edge.
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

    def in_blocks(self, h: Float[Tensor, "*G N D"]) -> Float[Tensor, "*G N N"]:
        """Eq. 2 and 3."""
        return squared_affinity(h)

    def scaled(self, h: Tensor) -> Tensor:
        """Any scale gives the same A."""
        return within_range(h)

    def by_target(self, e: Tensor, target: Tensor, num_nodes: int) -> Tensor:
        """Eq. 3: `e ** 2` over the sum of it at the same target."""
        # The largest entry of a row as its unit keeps squares in range; A is the same.
        unit = scatter(e.detach().abs(), target, dim_size=num_nodes, reduce="max")
        return _shares((e / _of_target(unit, target)).square(), target, num_nodes)


class SoftmaxAffinity(Affinity):
    r"""The affinity of scaled dot-product attention over learned features, to compare with
    :class:`SquaredAffinity`, which it replaces without another change.

    .. math::
        A_{ij} = \frac{\exp(e_{ij})}{\sum_{k \in \mathcal N(i)} \exp(e_{ik})}, \qquad
        e_{ij} = \phi(x_i)^\top \phi(x_j) / \sqrt D

    Args, shapes and errors are those of :class:`SquaredAffinity`.

    Example:
        >>> from stgcn_pyg.layers import SoftmaxAffinity, complete_graphs
        >>> affinity = SoftmaxAffinity(in_channels=16)
        >>> affinity(torch.randn(2 * 3, 16), complete_graphs(2, 3), graph_size=3).shape
        torch.Size([2, 3, 3])
    """

    def in_blocks(self, h: Float[Tensor, "*G N D"]) -> Float[Tensor, "*G N N"]:
        """The softmax of each row."""
        return softmax_affinity(h)

    def in_ragged_blocks(self, h: Tensor, blocks: RaggedBlocks) -> list[Tensor]:
        """The softmax of each row, over the nodes that are there."""
        pairs = zip(blocks.pad(h), blocks.present(), strict=True)
        return [softmax_affinity(part, present) for part, present in pairs]

    def scaled(self, h: Tensor) -> Tensor:
        """Divides all inner products by the root of D."""
        return divided_by_root(h)

    def by_target(self, e: Tensor, target: Tensor, num_nodes: int) -> Tensor:
        """The softmax over the edges of each target."""
        return softmax(e, target, num_nodes=num_nodes)


class CosineAffinity(Affinity):
    r"""The row-normalised cosine over learned features, to compare with :class:`SquaredAffinity`,
    which it replaces without another change.

    .. math::
        A_{ij} = \frac{e_{ij}}{\sum_{k \in \mathcal N(i)} e_{ik}}, \qquad
        e_{ij} = \max\Big(0, \frac{\phi(x_i)^\top \phi(x_j)}{\|\phi(x_i)\|\,\|\phi(x_j)\|}\Big)

    Args, shapes and errors are those of :class:`SquaredAffinity`.

    Example:
        >>> from stgcn_pyg.layers import CosineAffinity, complete_graphs
        >>> affinity = CosineAffinity(in_channels=16)
        >>> affinity(torch.randn(2 * 3, 16), complete_graphs(2, 3), graph_size=3).shape
        torch.Size([2, 3, 3])
    """

    def in_blocks(self, h: Float[Tensor, "*G N D"]) -> Float[Tensor, "*G N N"]:
        """The cosines of each row over their sum."""
        return cosine_affinity(h)

    def scaled(self, h: Tensor) -> Tensor:
        """Nodes of length 1, whose inner products are cosines."""
        return unit_length(h)

    def by_target(self, e: Tensor, target: Tensor, num_nodes: int) -> Tensor:
        """The positive cosines over their sum at the same target."""
        return _shares(e.relu(), target, num_nodes)


def _shares(weight: Tensor, target: Tensor, num_nodes: int) -> Tensor:
    total = scatter(weight, target, dim_size=num_nodes, reduce="sum")
    return weight / _of_target(total, target)


def _of_target(value: Tensor, target: Tensor) -> Tensor:
    """The value of each edge's target, above zero so that one can divide by it."""
    return value.clamp(min=torch.finfo(value.dtype).tiny).index_select(0, target)
