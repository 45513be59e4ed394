"""The stack of a branch on dense batches ``[B, N, C]``, without edges and without PyG objects."""

from typing import Any

import torch
from torch import Tensor

from stgcn_pyg.layers.blocks import EqualBlocks
from stgcn_pyg.layers.checks import Bool, Float, check_prior, check_weights, whole_number
from stgcn_pyg.layers.gcn import AffinityGCN
from stgcn_pyg.layers.routes import dense_layout


class DenseAffinityGCN(AffinityGCN):
    r"""The stack of :class:`AffinityGCN` for dense batches, as PyG's dense layers take them.

    It has the arguments, the parameters and the ``state_dict`` of :class:`AffinityGCN` and gives
    the same answer. Every node is joined with all nodes of its graph and with itself; a
    multiplicative ``edge_weight`` of zeros and ones leaves out edges. No edges are built.

    Shapes:
        - ``x``: ``[B, N, C]``: B graphs of N nodes. Any number of dimensions may stand before the
          nodes: of ``[B, T, P, C]`` each frame is a graph. With ``node_dims=2`` the last two hold
          the nodes of one graph: of ``[B, T, P, C]`` all patches of a video are.
        - ``mask``: ``[B, N]``, or the dimensions of ``x`` before the last: which nodes exist. A
          node outside the mask, whatever it holds, gives nothing to others and gets zeros.
        - ``edge_weight``, ``bias``: ``[G, N, N]`` over the G graphs and their N nodes, or
          ``[G, H, N, N]`` with H heads, or ``[N, N]`` for all graphs: see :class:`AffinityGCN`.
        - Output: the shape of ``x`` with ``out_channels`` in place of C; with
          ``return_attention_weights=True`` a pair of that and of A (Eq. 3), ``[G, N, N]`` or
          ``[G, H, N, N]``. Row i of it gathers from j.

    Raises:
        ValueError: A shape or an option does not fit; the message names the argument.

    Example:
        >>> from stgcn_pyg.layers import DenseAffinityGCN
        >>> gcn = DenseAffinityGCN(in_channels=64, hidden_channels=32, num_layers=3)
        >>> clips = torch.randn(2, 8, 4, 64)  # videos, frames, patches, channels
        >>> gcn(clips).shape  # each frame is a graph
        torch.Size([2, 8, 4, 32])
        >>> gcn(clips, node_dims=2).shape  # each video is a graph
        torch.Size([2, 8, 4, 32])
        >>> found = torch.rand(2, 8, 4) > 0.2
        >>> gcn(clips, found, node_dims=2).shape
        torch.Size([2, 8, 4, 32])
    """

    def forward(  # type: ignore[override]
        self,
        x: Float[Tensor, "*B N C"],
        mask: Bool[Tensor, "*B N"] | None = None,
        *,
        edge_weight: Tensor | None = None,
        bias: Tensor | None = None,
        node_dims: int = 1,
        return_attention_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Runs the stack on a dense batch of graphs."""
        nodes, layout, absent = self._nodes(x, mask, node_dims)
        weight, held_bias = self._held(layout, edge_weight=edge_weight, bias=bias)
        exist = None if absent is None else ~absent.squeeze(1)
        out, (a,) = self.run(nodes, layout, weight, held_bias, exist)
        if absent is not None:
            out = out.masked_fill(absent, 0)
        out = out.view(*x.shape[:-1], self.out_channels)
        return (out, a) if return_attention_weights else out

    def attention_weights(
        self,
        x: Float[Tensor, "*B N C"],
        mask: Bool[Tensor, "*B N"] | None = None,
        *,
        edge_weight: Tensor | None = None,
        bias: Tensor | None = None,
        node_dims: int = 1,
    ) -> Tensor:
        """A (Eq. 3) alone, without the layers, to choose neighbours by: see :func:`top_k_mask`."""
        nodes, layout, _ = self._nodes(x, mask, node_dims)
        weight, held_bias = self._held(layout, edge_weight=edge_weight, bias=bias)
        (a,) = self.affinity(nodes, None, weight, bias=held_bias, layout=layout)
        return a

    def _nodes(
        self, x: Tensor, mask: Any, node_dims: int
    ) -> tuple[Tensor, EqualBlocks, Tensor | None]:
        """The nodes `[V, C]`, their layout, and which do not exist, `[V, 1]`, if any may not."""
        if isinstance(mask, Tensor) and mask.dtype == torch.int64:
            raise ValueError(
                f"mask must be of torch.bool, got {tuple(mask.shape)} of {mask.dtype}: a dense "
                "batch takes no edge_index, use AffinityGCN"
            )
        node_dims = whole_number("node_dims", node_dims, at_least=1)
        nodes, layout = dense_layout(x, self.in_channels, mask, node_dims)
        if mask is None:
            return nodes, layout, None
        absent = ~mask.reshape(-1, 1)
        # Filled, not multiplied: a node that does not exist may hold NaN.
        return nodes.masked_fill(absent, 0), layout, absent

    def _held(self, layout: EqualBlocks, **priors: Any) -> list[tuple[Tensor, ...] | None]:
        """Numbers of pairs as the layout holds them, once they are checked."""
        check_prior(priors["edge_weight"])
        ((graphs, size),) = layout.stacks
        by_head = [(graphs, self.heads, size, size)] if self.heads > 1 else []
        held: list[tuple[Tensor, ...] | None] = []
        for name, values in priors.items():
            if values is None:
                held.append(None)
                continue
            check_weights(name, values, (graphs, size, size), (size, size), *by_head)
            held.append((values.expand(graphs, size, size) if values.dim() == 2 else values,))
        return held
