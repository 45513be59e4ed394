"""How the edges of a batch are held, and what is computed over them.

===============  ==============================  =============================================
`Layout`         edges of any kind               weights `[E]`; each edge sends a message
`EqualBlocks`    complete graphs of N nodes      weights `[G, N, N]`; one matrix product
`PaddedBlocks`   complete graphs of any sizes    weights `[graphs, size, size]`, in a few stacks
===============  ==============================  =============================================

With H heads a weight is H numbers: `[E, H]` by edge, `[G, H, N, N]` in blocks.

`routes.py` chooses one of them for a batch. A layer calls its layout and does not know which it is.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from stgcn_pyg.layers.checks import check_weights
from stgcn_pyg.layers.functional import renormalized_edges


class Layout:
    """Edges of any kind, `edge_index` `[2, E]`, each of which sends a message.

    `ptr` `[G + 1]` is None where the user did not pass which nodes are a graph. It is on the host
    unless the layers are compiled.
    """

    def __init__(
        self,
        num_nodes: int,
        device: torch.device,
        ptr: Tensor | None = None,
        edge_index: Tensor | None = None,
    ):
        self.num_nodes = num_nodes
        self.device = device
        self.ptr = ptr
        self.passed_edges = edge_index
        self._frame_rows: dict[int, tuple[Tensor, int]] = {}

    @property
    def edge_index(self) -> Tensor:
        """The edges `[2, E]`."""
        assert self.passed_edges is not None
        return self.passed_edges

    def held(self, name: str, values: Any, heads: int) -> Any:
        """A user's weights, checked, as this layout holds weights."""
        if values is None:
            return None
        num_edges = self.edge_index.size(1)
        by_head = [(num_edges, heads)] if heads > 1 else []
        check_weights(name, values, (num_edges,), *by_head)
        return values

    def given_weights(self, conv: Any, edge_weight: Any) -> tuple["Layout", Any]:
        """The weights that a user passes, checked, and the layout by which `conv` uses them."""
        return self, self.held("edge_weight", edge_weight, conv.heads)

    def public_weights(self, weights: Any) -> Tensor:
        """The weights as an affinity returns them to a user."""
        return weights

    def by_edge(self, weights: Any) -> Tensor:
        """The weights of each edge, in the order of `edge_index`."""
        return weights

    def affinity(self, layer: Any, h: Tensor, edge_weight: Any, bias: Any) -> Any:
        """A (Eq. 2 and 3) of the transformed nodes `[V, D]`."""
        return layer.by_edge(h, self.edge_index, edge_weight, bias)

    def renormalize(
        self, a: Any, convs: Iterable[MessagePassing], constant_degree: bool
    ) -> tuple["Layout", Any]:
        """Â (Eq. 4) for these convolutions, and its layout: the identity adds V edges."""
        edges, weights = renormalized_edges(self.edge_index, a, self.num_nodes)
        return Layout(self.num_nodes, self.device, self.ptr, edges), weights

    def propagate(self, conv: Any, h: Tensor, weights: Any) -> Tensor:
        """Each node's weighted sum over its neighbours, `[V, D] -> [V, D]`."""
        return conv.by_edge(h, self.edge_index, weights)

    def graph_of_nodes(self) -> Tensor | None:
        """The number of the graph of each node, `[V]`; None where nothing tells graphs apart."""
        if self.ptr is None:
            return None
        graphs = torch.arange(self.ptr.numel() - 1, device=self.ptr.device)
        graphs = graphs.repeat_interleave(self.ptr.diff(), output_size=self.num_nodes)
        return graphs.to(self.device, non_blocking=True)

    def pool(self, x: Tensor, reduce: str) -> Tensor:
        """One feature a graph, `[V, C] -> [G, C]`; zeros of a graph without a node."""
        if self.ptr is None:
            raise ValueError("pool_graphs needs graph_size, batch or ptr to tell the graphs apart")
        # PyG's pooling makes 0 of an infinite maximum, and like `segment_reduce` adds float16 and
        # bfloat16 up in the type itself, where 256 and 1 are 256.
        ptr = self.ptr.to(x.device, non_blocking=True)
        narrow = reduce != "max" and x.dtype in (torch.float16, torch.bfloat16)
        out = torch.segment_reduce(x.float() if narrow else x, reduce, offsets=ptr, axis=0)
        return out.masked_fill((ptr.diff() == 0).unsqueeze(1), 0).to(x.dtype)

    def transform_by_frame(self, x: Tensor, weight: Tensor) -> Tensor:
        """Each node times the matrix of its frame: `[V, C]`, `[T, D, C] -> [V, D]` (Eq. 7)."""
        num_frames = len(weight)
        if num_frames not in self._frame_rows:
            self._frame_rows[num_frames] = self._rows_by_frame(x, num_frames)
        rows, longest = self._frame_rows[num_frames]
        by_frame = scatter_rows(x, rows, num_frames * longest).view(num_frames, longest, x.size(1))
        return torch.bmm(by_frame, weight.mT).flatten(0, 1).index_select(0, rows)

    def _rows_by_frame(self, x: Tensor, num_frames: int) -> tuple[Tensor, int]:
        """The row of each node among those of its frame's position, each padded to the longest."""
        if self.ptr is None:
            raise ValueError("weights by frame need graph_size, batch or ptr to tell frames apart")
        check_frames(x, self.ptr.numel() - 1, num_frames)
        sizes = self.ptr.diff().view(-1, num_frames)  # [B, T]
        longest = int(sizes.sum(dim=0).max())
        torch._check(longest >= 0)  # tells a compiler that it is a size
        begin = torch.arange(num_frames, device=sizes.device) * longest + starts(sizes)
        shift = (begin.flatten() - self.ptr[:-1]).repeat_interleave(
            sizes.flatten(), output_size=x.size(0)
        )
        rows = torch.arange(x.size(0), device=sizes.device) + shift
        return rows.to(x.device, non_blocking=True), longest


def scatter_rows(x: Tensor, rows: Tensor, num_rows: int) -> Tensor:
    """Puts `x[k]` at row `rows[k]` of a tensor of zeros; each row is used once at most."""
    # Adding is several times as fast as copying on a CPU, and its gradient is a plain gather.
    return x.new_zeros(num_rows, *x.shape[1:]).index_add_(0, rows, x)


def starts(lengths: Tensor) -> Tensor:
    """Where each of the parts of these lengths begins, along the first dimension."""
    return lengths.cumsum(0) - lengths


def check_frames(x: Tensor, num_graphs: int, num_frames: int) -> None:
    """The graphs, one a frame, divide into videos."""
    uneven = num_graphs % num_frames != 0
    if torch.compiler.is_compiling():  # imported here, as it takes a third of a second
        from torch.fx.experimental.symbolic_shapes import guard_or_false

        uneven = guard_or_false(uneven)  # false of numbers that the compiler does not know
    if uneven:
        raise ValueError(
            f"x {tuple(x.shape)} holds {num_graphs} graphs, one a frame, which is no multiple of "
            f"num_frames={num_frames} (of frames without any node at the end, only ptr knows)"
        )
