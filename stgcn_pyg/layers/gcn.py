"""The whole stack of a branch: affinity, convolutions, norms and residuals (Eq. 2-7)."""

from collections.abc import Callable
from inspect import signature
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.nn.resolver import activation_resolver

from stgcn_pyg.layers.affinity import Affinity, CosineAffinity, SoftmaxAffinity, SquaredAffinity
from stgcn_pyg.layers.checks import Float, Integer, check_prior, whole_number
from stgcn_pyg.layers.conv import AffinityConv
from stgcn_pyg.layers.layout import Layout
from stgcn_pyg.layers.routes import layout_of

AFFINITIES = {"squared": SquaredAffinity, "softmax": SoftmaxAffinity, "cosine": CosineAffinity}
AffinityName = Literal["squared", "softmax", "cosine"]
# Norms that look at one node at a time, so that padded nodes do not matter to the others.
BY_NODE = (torch.nn.LayerNorm, torch.nn.RMSNorm, torch.nn.Identity)


def leaky_relu(x: Tensor) -> Tensor:
    """The paper's activation: LeakyReLU with a negative slope of 0.1."""
    return F.leaky_relu(x, negative_slope=0.1)


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
        in_channels: The width of a node; -1 to take it from the first batch.
        hidden_channels: The width of the output of each layer.
        num_layers: The number M (or K) of layers, at least 1.
        out_channels: The width of the last layer; ``hidden_channels`` if not given.
        affinity: ``"squared"`` as in the paper, ``"softmax"`` or ``"cosine"``; or a module of your
            own, a subclass of :class:`Affinity`.
        heads: The number H of affinities side by side, each with its own φ; each gives an H-th part
            of the channels of every layer. Of a module it is the module's number.
        num_frames: If given, each of the T frame positions has its own W (Eq. 7).
        act: The activation: a function, a module, or a name such as ``"relu"``; None for none.
        norm: A class or function that makes a norm from the number of channels, such as
            ``torch.nn.BatchNorm1d``; None for none. A norm over graphs, such as PyG's
            ``GraphNorm``, knows them by ``graph_size``, ``ptr`` or ``batch``; without these all
            nodes are one graph to it.
        dropout: The probability with which a channel of a layer's output is dropped in training.
        bias: Whether the convolutions add a learned bias; the paper's do not.
        residual: Whether layers from the second on add their input (Eq. 6).

    Shapes:
        - ``x``: ``[V, in_channels]``.
        - ``edge_index``: ``[2, E]``, row 0 holds j, row 1 holds i; if not given, every node is
          joined with all nodes of its graph and with itself.
        - ``edge_weight``: a prior :math:`p_{ij} \ge 0` of each edge, by which the weights of a
          node's neighbours are multiplied before they are made to sum to 1; ``[E]``, with
          ``graph_size`` also ``[G, N, N]``. An edge of prior 0 has the weight 0, and no gradient
          reaches that prior.
        - ``bias``: a number that is added to each edge's score :math:`e_{ij}`, of the same shapes.
          Of ``"squared"`` it is added before the square, so that a large negative one is a large
          weight: to weaken edges of it, use ``edge_weight``.
        - ``graph_size``: N, if the batch is G complete graphs of N nodes each, in order. They then
          run in blocks: one matrix product for each graph.
        - ``batch`` ``[V]``, sorted, or ``ptr`` ``[G + 1]``: which nodes belong to which graph, as
          in a PyG ``Batch``; ``batch_size``: the number G of graphs, if the last may be empty.
          Complete graphs of any sizes then run in blocks, other graphs edge by edge.
        - Output: ``[V, out_channels]``; with ``return_attention_weights=True`` the pair
          ``(out, (edge_index, alpha))`` as in PyG, where ``alpha`` holds A (Eq. 3), ``[E]`` or with
          two heads or more ``[E, H]``. (:class:`DenseAffinityGCN` gives ``(out, alpha)``.)

    Raises:
        ValueError: A shape or an option does not fit; the message names the argument.

    Example:
        >>> from stgcn_pyg.layers import AffinityGCN, temporal_graphs
        >>> gcn = AffinityGCN(in_channels=64, hidden_channels=32, num_layers=3)
        >>> batch = temporal_graphs(torch.randn(2 * 8, 4, 64), num_frames=8)
        >>> gcn(batch.x, batch.edge_index, graph_size=8 * 4).shape
        torch.Size([64, 32])
        >>> gcn(batch.x, ptr=batch.ptr).shape
        torch.Size([64, 32])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        num_layers: int,
        out_channels: int | None = None,
        *,
        affinity: AffinityName | Affinity = "squared",
        heads: int = 1,
        num_frames: int | None = None,
        act: str | Callable[[Tensor], Tensor] | None = leaky_relu,
        norm: Callable[[int], torch.nn.Module] | None = torch.nn.LayerNorm,
        dropout: float = 0.0,
        bias: bool = False,
        residual: bool = True,
    ):
        super().__init__()
        in_channels = whole_number("in_channels", in_channels, at_least=-1)
        hidden_channels = whole_number("hidden_channels", hidden_channels, at_least=0)
        num_layers = whole_number("num_layers", num_layers, at_least=1)
        last = (
            hidden_channels
            if out_channels is None
            else whole_number("out_channels", out_channels, at_least=0)
        )
        if isinstance(dropout, str) or not 0 <= dropout <= 1:
            raise ValueError(f"dropout must lie in 0..1, got {dropout!r}")
        if norm is not None and (not callable(norm) or isinstance(norm, torch.nn.Module)):
            raise ValueError(
                f"norm must make a norm from a width, as torch.nn.BatchNorm1d does, got {norm!r}"
            )
        if not (act is None or isinstance(act, str) or callable(act)):
            raise ValueError(f"act must be a function, a module, a name or None, got {act!r}")
        self.affinity = self._affinity(affinity, in_channels, heads)
        self.heads = self.affinity.heads
        widths = [in_channels] + [hidden_channels] * (num_layers - 1) + [last]
        self.out_channels = last
        self.dropout = dropout
        self.residual = residual
        self.convs: Any = torch.nn.ModuleList(
            AffinityConv(*width, num_frames, heads=self.heads, bias=bias)
            for width in pairwise(widths)
        )
        make_norm = torch.nn.Identity if norm is None else norm
        self.norms = torch.nn.ModuleList(make_norm(width) for width in widths[1:])
        # Norms that look at a graph, as PyG's do, need to know the graph of each node.
        self._by_graph = any("batch" in signature(n.forward).parameters for n in self.norms)
        act = activation_resolver(act) if isinstance(act, str) else act
        self.act: Any = torch.nn.Identity() if act is None else act

    @staticmethod
    def _affinity(affinity: Any, in_channels: int, heads: int) -> Affinity:
        if isinstance(affinity, Affinity):
            if heads not in (1, affinity.heads):
                raise ValueError(f"heads={heads}, but the affinity has {affinity.heads}")
            if (
                -1 not in (in_channels, affinity.in_channels)
                and affinity.in_channels != in_channels
            ):
                raise ValueError(
                    f"in_channels={in_channels}, but the affinity is of nodes of "
                    f"{affinity.in_channels} channels"
                )
            return affinity
        if not isinstance(affinity, str) or affinity not in AFFINITIES:
            raise ValueError(
                f"affinity must be one of {tuple(AFFINITIES)} or a module that is a subclass of "
                f"Affinity, got {affinity!r}"
            )
        return AFFINITIES[affinity](in_channels, heads=heads)

    @property
    def in_channels(self) -> int:
        """The width of a node; -1 before the first batch if it was not given."""
        return self.convs[0].in_channels

    def reset_parameters(self) -> None:
        """Draws new weights for all layers."""
        for module in (self.affinity, *self.convs, *self.norms, self.act):
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()

    def forward(
        self,
        x: Float[Tensor, "V C"],
        edge_index: Integer[Tensor, "2 _"] | None = None,
        edge_weight: Tensor | None = None,
        *,
        bias: Tensor | None = None,
        graph_size: int | None = None,
        batch: Integer[Tensor, " V"] | None = None,
        ptr: Integer[Tensor, " _"] | None = None,
        batch_size: int | None = None,
        return_attention_weights: bool = False,
    ) -> Tensor | tuple[Tensor, tuple[Tensor, Tensor]]:
        """Runs the stack on the nodes of a batch of graphs."""
        layout = layout_of(x, self.in_channels, edge_index, graph_size, batch, ptr, batch_size)
        check_prior(edge_weight)
        weight = layout.held("edge_weight", edge_weight, self.heads)
        x, a = self.run(x, layout, weight, layout.held("bias", bias, self.heads))
        return (x, (layout.edge_index, layout.by_edge(a))) if return_attention_weights else x

    def run(
        self, x: Tensor, layout: Layout, edge_weight: Any, bias: Any, mask: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """The output `[V, out_channels]` and A, held as the layout holds it.

        `mask` `[V]` says which nodes exist, for norms that look at more than one.
        """
        edges = layout.passed_edges
        a = self.affinity(x, edges, edge_weight, bias=bias, layout=layout)
        layout, weights = layout.renormalize(a, self.convs, self.affinity.rows_sum_to_1)
        edges = layout.passed_edges
        graphs = layout.graph_of_nodes() if self._by_graph else None
        for m, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True), start=1):
            h = conv(x, edges, weights, layout=layout)
            # Not in place, so that a hook on the norm keeps its output.
            h = self.act(_norm_of(norm, h, mask, graphs))
            if self.dropout:
                h = F.dropout(h, self.dropout, self.training)
            x = h + x if self.residual and m >= 2 and h.shape == x.shape else h
        return x, a


def _norm_of(
    norm: torch.nn.Module, x: Tensor, mask: Tensor | None, graphs: Tensor | None
) -> Tensor:
    """The norm of the nodes that exist; the others do not count in a mean over the nodes."""
    if graphs is None and (mask is None or isinstance(norm, BY_NODE)):
        return norm(x)
    if mask is None:
        return norm(x, batch=graphs)
    rows = mask.nonzero().squeeze(1)
    of_graphs = {} if graphs is None else {"batch": graphs.index_select(0, rows)}
    out = norm(x.index_select(0, rows), **of_graphs)
    return torch.zeros_like(x, dtype=out.dtype).index_copy(0, rows, out)
