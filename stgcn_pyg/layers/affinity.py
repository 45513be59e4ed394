"""The learned affinity of a graph's nodes: Equations 2 and 3, and two others to compare with."""

from typing import Any

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from stgcn_pyg.layers.checks import Float, Integer, check_prior, whole_number
from stgcn_pyg.layers.functional import (
    inner_products,
    l2_normalize,
    pairs_of,
    scale_by_root_width,
    widen,
)
from stgcn_pyg.layers.layout import Layout
from stgcn_pyg.layers.linear import LazyProjection, input_width
from stgcn_pyg.layers.neighbours import DenseNeighbours, EdgeNeighbours, Neighbours
from stgcn_pyg.layers.routes import layout_of


class Affinity(MessagePassing):
    r"""A learned weight for each edge, computed from the features of its two nodes. The base of
    :class:`SquaredAffinity` and of your own.

    .. math::
        s_{ij} = \operatorname{score}(\phi(x_i), \phi(x_j)) + b_{ij}, \qquad
        A_{i\cdot} = \operatorname{normalize}(s_{i\cdot})

    A subclass overrides :meth:`normalize`, and :meth:`score` if its scores are not inner products
    (and ``scores(nodes)``, ``[..., N, D] -> [..., N, N]``, if all pairs can be had at less cost).
    The same two methods serve edges, blocks and dense batches, so all give the same weights.
    :math:`b_{ij}` is the ``bias`` that the caller passes. ``edge_weight`` is a prior: the methods
    of ``neighbours`` multiply the weights of each node by it before they make them sum to 1. A
    ``normalize`` that calls none of them, such as one that returns ``scores.sigmoid()``, only
    leaves out the edges whose prior is 0. Its weights must be :math:`\ge 0` and need not sum to 1.

    Args:
        in_channels: The width C of a node; -1 to take it from the first batch.
        out_channels: The width D of :math:`\phi(x)`; if not given, C divided by ``heads``.
        heads: The number H of affinities side by side, each with its own :math:`\phi`.

    Attributes:
        phi: The linear maps :math:`\phi` of all heads, without bias; its weight is ``[H * D, C]``.

    Shapes:
        - ``x``, ``edge_index``, ``edge_weight``, ``bias``, ``graph_size``, ``batch``, ``ptr``: see
          :class:`AffinityGCN`.
        - Output: weights ``[E]`` by edge, or ``[G, N, N]`` in blocks if ``graph_size`` is given;
          with two heads or more ``[E, H]`` or ``[G, H, N, N]``.

    Raises:
        ValueError: A shape or a type does not fit; the message names the argument.

    Example:
        >>> class DistanceAffinity(Affinity):
        ...     def score(self, h_i, h_j):
        ...         return -(h_i - h_j).square().sum(dim=-1)
        ...     def normalize(self, scores, neighbours):
        ...         return neighbours.softmax(scores)
        >>> affinity = DistanceAffinity(in_channels=16, out_channels=4)
        >>> affinity(torch.randn(6, 16), graph_size=3).shape
        torch.Size([2, 3, 3])
    """

    # Whether a node whose features are all zero has no weight with any node, so that a padded
    # node needs no mask. True of squares and of cosines, not of an exponential.
    zeros_have_no_weight = False
    # Whether the weights of a node's neighbours sum to 1, or are all 0.
    rows_sum_to_1 = False

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        if "normalize" in vars(cls):  # what is known of its base's is not known of its own
            for known in ("zeros_have_no_weight", "rows_sum_to_1"):
                setattr(cls, known, vars(cls).get(known, False))

    def __init__(self, in_channels: int, out_channels: int | None = None, heads: int = 1):
        super().__init__(aggr=None, node_dim=0)
        self._inner_products = type(self).score is Affinity.score
        in_channels = whole_number("in_channels", in_channels, at_least=-1)
        self.heads = whole_number("heads", heads, at_least=1)
        if out_channels is not None:
            out_channels = whole_number("out_channels", out_channels, at_least=1)
        elif in_channels > 0 and in_channels % self.heads:
            raise ValueError(
                f"in_channels={in_channels} is no multiple of heads={heads}: pass an affinity with "
                "out_channels, the width of each head"
            )
        self.phi: Any
        if in_channels == -1:
            self.phi = LazyProjection(out_channels, self.heads)
        else:
            width = in_channels // self.heads if out_channels is None else out_channels
            self.phi = torch.nn.Linear(in_channels, self.heads * width, bias=False)

    @property
    def in_channels(self) -> int:
        """The width C of a node; -1 before the first batch if it was not given."""
        return input_width(self.phi)

    @property
    def out_channels(self) -> int:
        """The width D of each head's transformed nodes; -1 before it is known."""
        return (getattr(self.phi, "out_features", None) or -self.heads) // self.heads

    def reset_parameters(self) -> None:
        """Draws new weights for φ."""
        self.phi.reset_parameters()

    def score(self, h_i: Tensor, h_j: Tensor) -> Tensor:
        """The score of pairs of transformed nodes, ``[..., D], [..., D] -> [...]``: their inner
        product (Eq. 2). The dimensions before the last are broadcast."""
        return (h_i * h_j).sum(dim=-1)

    def normalize(self, scores: Tensor, neighbours: Neighbours) -> Tensor:
        """The weights of each node's neighbours from their scores, of the same shape.

        ``neighbours`` computes over the neighbours of each node: ``neighbours.softmax(scores)`` and
        ``neighbours.share(scores)``, which divides by the sum. A function of each score alone,
        such as ``scores.sigmoid()``, may be returned too.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no method normalize(self, scores, neighbours), which makes "
            "weights of scores: return neighbours.softmax(scores), for example"
        )

    def forward(
        self,
        x: Float[Tensor, "V C"],
        edge_index: Integer[Tensor, "2 E"] | None = None,
        edge_weight: Tensor | tuple[Tensor, ...] | None = None,
        *,
        bias: Tensor | tuple[Tensor, ...] | None = None,
        graph_size: int | None = None,
        batch: Integer[Tensor, " V"] | None = None,
        ptr: Integer[Tensor, " _"] | None = None,
        batch_size: int | None = None,
        layout: Layout | None = None,
    ) -> Tensor | tuple[Tensor, ...]:
        """The affinity A of the nodes ``x`` along the edges.

        :class:`AffinityGCN` makes ``layout`` of the other arguments once for all its layers; A and
        the priors are then held as that layout holds them.
        """
        if layout is not None:
            return layout.affinity(self, self.phi(x), edge_weight, bias)
        layout = layout_of(x, self.in_channels, edge_index, graph_size, batch, ptr, batch_size)
        check_prior(edge_weight)
        weight = layout.held("edge_weight", edge_weight, self.heads)
        held = layout.affinity(self, self.phi(x), weight, layout.held("bias", bias, self.heads))
        return layout.public_weights(held)

    def by_edge(
        self, h: Tensor, edge_index: Tensor, edge_weight: Tensor | None, bias: Tensor | None
    ) -> Tensor:
        """The weights `[E]` or `[E, H]` of any edges among the transformed nodes `[V, H * D]`."""
        scores = self.edge_updater(edge_index, h=self.scaled(self._heads_of(h)))
        if bias is not None:
            scores = scores + self._by_head(bias, scores)
        prior = None if edge_weight is None else self._by_head(edge_weight, scores)
        neighbours = EdgeNeighbours(edge_index[1], h.size(0), prior)
        return self._normalized(scores, neighbours).to(h.dtype)

    def dense(
        self,
        h: Tensor,
        mask: Tensor | None = None,
        edge_weight: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        """The weights `[G, N, N]` or `[G, H, N, N]` of complete graphs.

        `h` `[G, N, H * D]` holds the transformed nodes; those outside `mask` `[G, N]` have none.
        """
        nodes = self._heads_of(h)
        if self.heads > 1:
            nodes = nodes.transpose(1, 2)
        scores = self.scores(nodes)
        if bias is not None:
            scores = scores + self._in_blocks(bias, scores)
        if mask is not None:
            mask = self._in_blocks(pairs_of(mask), scores)
        prior = None if edge_weight is None else self._in_blocks(edge_weight, scores)
        return self._normalized(scores, DenseNeighbours(mask, prior)).to(h.dtype)

    def _normalized(self, scores: Tensor, neighbours: Neighbours) -> Tensor:
        weights = self.normalize(scores, neighbours)
        # The methods of `neighbours` leave pairs out themselves; other functions do not know them.
        return weights if self.rows_sum_to_1 else neighbours.kept(weights)

    def scores(self, nodes: Tensor) -> Tensor:
        """The scores of all pairs of nodes, `[..., N, D] -> [..., N, N]`."""
        nodes = self.scaled(nodes)
        if self._inner_products:
            return inner_products(nodes)
        return self.score(nodes.unsqueeze(-2), nodes.unsqueeze(-3))

    def scaled(self, h: Tensor) -> Tensor:
        """The transformed nodes `[..., D]` as the scores take them."""
        return widen(h)

    def needs_mask(self, biased: bool) -> bool:
        """Whether a padded node, which is all zeros, would get a weight without a mask."""
        return biased or not (self._inner_products and self.zeros_have_no_weight)

    def edge_update(self, h_i: Tensor, h_j: Tensor) -> Tensor:
        return self.score(h_i, h_j)

    def _heads_of(self, h: Tensor) -> Tensor:
        return h if self.heads == 1 else h.unflatten(-1, (self.heads, -1))

    def _by_head(self, values: Tensor, scores: Tensor) -> Tensor:
        """Values `[E]` or `[E, H]` that meet scores `[E]` or `[E, H]`."""
        values = values.to(scores.dtype)
        return values.unsqueeze(-1) if values.dim() < scores.dim() else values

    def _in_blocks(self, values: Tensor, scores: Tensor) -> Tensor:
        """Values `[G, N, N]` or `[G, H, N, N]` that meet scores in blocks."""
        if values.dtype != torch.bool:
            values = values.to(scores.dtype)
        return values.unsqueeze(-3) if values.dim() < scores.dim() else values

    def __repr__(self) -> str:
        heads = "" if self.heads == 1 else f", heads={self.heads}"
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels}{heads})"


class SquaredAffinity(Affinity):
    r"""The squared, row-normalised affinity over learned features, from "Spatial-Temporal Graph
    Convolutional Network for Video-based Person Re-identification" (Yang et al., CVPR 2020),
    Eq. 2 and 3.

    .. math::
        A_{ij} = \frac{e_{ij}^2}{\sum_{k \in \mathcal N(i)} e_{ik}^2}, \qquad
        e_{ij} = \phi(x_i)^\top \phi(x_j), \qquad \phi(x) = w x

    :math:`\mathcal N(i)` are the nodes with an edge to i. The re-normalisation (Eq. 4) is a
    separate step: :func:`renormalize` for blocks, :func:`renormalize_edges` for edges. Arguments,
    shapes and errors are those of :class:`Affinity`.

    Example:
        >>> from stgcn_pyg.layers import SquaredAffinity, complete_edges
        >>> affinity = SquaredAffinity(in_channels=16)
        >>> x, edge_index = torch.randn(2 * 3, 16), complete_edges(num_graphs=2, graph_size=3)
        >>> affinity(x, edge_index).shape
        torch.Size([18])
        >>> affinity(x, edge_index, graph_size=3).shape
        torch.Size([2, 3, 3])
    """

    zeros_have_no_weight = True
    rows_sum_to_1 = True

    def normalize(self, scores: Tensor, neighbours: Neighbours) -> Tensor:
        """The square of each score, divided by the sum over the neighbours (Eq. 3)."""
        return neighbours.share(scores, power=2)


class SoftmaxAffinity(Affinity):
    r"""The affinity of scaled dot-product attention over learned features, to compare with
    :class:`SquaredAffinity`, which it can replace without another change.

    The formula is that of :func:`softmax_affinity` with :math:`h_i = \phi(x_i)`, its sum over the
    nodes with an edge to i. Arguments, shapes and errors are those of :class:`Affinity`.
    """

    rows_sum_to_1 = True

    def scaled(self, h: Tensor) -> Tensor:
        return scale_by_root_width(h)

    def normalize(self, scores: Tensor, neighbours: Neighbours) -> Tensor:
        """The softmax over the neighbours."""
        return neighbours.softmax(scores)


class CosineAffinity(Affinity):
    r"""The row-normalised cosine similarity over learned features, to compare with
    :class:`SquaredAffinity`, which it can replace without another change.

    The formula is that of :func:`cosine_affinity` with :math:`h_i = \phi(x_i)`, its sum over the
    nodes with an edge to i. Arguments, shapes and errors are those of :class:`Affinity`.
    """

    zeros_have_no_weight = True
    rows_sum_to_1 = True

    def scaled(self, h: Tensor) -> Tensor:
        return l2_normalize(h)

    def normalize(self, scores: Tensor, neighbours: Neighbours) -> Tensor:
        """The cosine, 0 if it is negative, divided by the sum over the neighbours."""
        return neighbours.share(scores.relu())
