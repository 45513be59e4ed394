"""How the edges of a batch are held, chosen once a forward pass, and what is computed over them.

===============  ==============================  =============================================
`Layout`         edges of any kind               weights `[E]`; each edge sends a message
`EqualBlocks`    complete graphs of N nodes      weights `[G, N, N]`; one matrix product
`PaddedBlocks`   complete graphs of any sizes    weights `[graphs, size, size]`, in a few stacks
===============  ==============================  =============================================

A layer calls its layout and does not know which of them it is. Where an explainer or a hook needs
the messages of a layer, blocks send messages too.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from stgcn_pyg.layers.checks import (
    check_weights,
    checked_complete_edges,
    checked_edges,
    checked_ptr,
    checked_size,
)
from stgcn_pyg.layers.functional import renormalized_edges, renormalized_rows

# How many entries of blocks a further stack must save to be worth its calls.
WORTH_A_STACK = 2**14
STEPS = ("propagate", "message", "aggregate", "edge_update")
HOOKS = tuple(f"_{step}_forward_{when}hooks" for step, when in product(STEPS, ("pre_", "")))


def layout_of_nodes(
    x: Tensor,
    channels: int | None,
    graph_size: int | None = None,
    batch: Tensor | None = None,
    ptr: Tensor | None = None,
    batch_size: int | None = None,
) -> "Layout":
    """The layout of a batch before its edges are read: see `Layout.with_edges`.

    Args:
        channels: The width that `x` must have; None if any will do.
        batch_size: The number G of graphs, which `batch` does not show if the last have no node.
    """
    graph_size = checked_size(x, channels, graph_size)
    if batch is not None or ptr is not None:
        if graph_size is not None:
            raise ValueError("graph_size says that all graphs are equal: leave out batch and ptr")
        return Layout(x.size(0), checked_ptr(x.size(0), batch, ptr, batch_size))
    if graph_size is None:
        return Layout(x.size(0))
    if batch_size is not None and batch_size != x.size(0) // graph_size:
        raise ValueError(
            f"batch_size={batch_size}, but x {tuple(x.shape)} holds {x.size(0) // graph_size} "
            f"graphs of graph_size={graph_size}"
        )
    return EqualBlocks(x.size(0), graph_size)


class Layout:
    """Edges of any kind, `edge_index` `[2, E]`, each of which sends a message.

    `ptr` `[G + 1]` is None where the user did not pass which nodes are a graph. It is on the host
    unless the layers are compiled.
    """

    def __init__(self, num_nodes: int, ptr: Tensor | None = None, edge_index: Any = None):
        self.num_nodes = num_nodes
        self.ptr = ptr
        self.edge_index = edge_index
        self._frame_rows: dict[int, tuple[Tensor, int]] = {}

    def with_edges(self, edge_index: Tensor) -> "Layout":
        """The layout of these edges, once they are checked; in blocks where graphs are complete."""
        edge_index = checked_edges(edge_index, self.num_nodes)
        by_edge = Layout(self.num_nodes, self.ptr, edge_index)
        if self.ptr is None or torch.compiler.is_compiling() or not edge_index.numel():
            return by_edge
        if edge_index.size(1) != int(self.ptr.diff().square().sum()):
            return by_edge
        blocks = PaddedBlocks(self.num_nodes, self.ptr, edge_index)
        return blocks if blocks.hold_all_edges() else by_edge

    def given_weights(self, conv: MessagePassing, edge_weight: Any) -> tuple["Layout", Any]:
        """The weights that a user passes, checked, and the layout by which `conv` uses them."""
        check_weights(edge_weight, (self.edge_index.size(1),))
        return self, edge_weight

    def public_weights(self, weights: Any) -> Tensor:
        """The weights as a layer returns them to a user."""
        return weights

    def affinity(self, layer: Any, h: Tensor) -> Any:
        """A (Eq. 2 and 3) of the transformed nodes `[V, D]`."""
        return layer.by_edge(h, self.edge_index)

    def renormalize(self, a: Any, convs: Iterable[MessagePassing]) -> tuple["Layout", Any]:
        """Â (Eq. 4) for these convolutions, and its layout: the identity adds V edges."""
        edges, weights = renormalized_edges(self.edge_index, a, self.num_nodes)
        return Layout(self.num_nodes, self.ptr, edges), weights

    def propagate(self, conv: Any, h: Tensor, weights: Any) -> Tensor:
        """Each node's weighted sum over its neighbours, `[V, D] -> [V, D]`."""
        return conv.by_edge(h, self.edge_index, weights)

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
        _check_frames(x, self.ptr.numel() - 1, num_frames)
        sizes = self.ptr.diff().view(-1, num_frames)  # [B, T]
        longest = int(sizes.sum(dim=0).max())
        torch._check(longest >= 0)  # tells a compiler that it is a size
        begin = torch.arange(num_frames, device=sizes.device) * longest + _starts(sizes)
        shift = (begin.flatten() - self.ptr[:-1]).repeat_interleave(
            sizes.flatten(), output_size=x.size(0)
        )
        rows = torch.arange(x.size(0), device=sizes.device) + shift
        return rows.to(x.device, non_blocking=True), longest


class Blocks(Layout):
    """Complete graphs as stacks of blocks: batched matrix products in place of messages."""

    stacks: Sequence[tuple[int, int]]  # the number of graphs and the number of nodes of each
    rows: Tensor | None  # of each node in the stacked nodes, [V]; None where nothing is padded
    entries: Tensor  # of each edge in the stacked blocks, [E]
    masks: Sequence[Tensor | None]  # which nodes exist, [graphs, size] by stack; None if all do

    def affinity(self, layer: Any, h: Tensor) -> list[Tensor]:
        if sends_messages(layer):
            return self.from_edges(super().affinity(layer, h))
        if not layer.needs_mask:
            return [layer.dense(part) for part in self.pad(h)]
        return [layer.dense(*pair) for pair in zip(self.pad(h), self.masks, strict=True)]

    def renormalize(self, a: Any, convs: Iterable[MessagePassing]) -> tuple[Layout, Any]:
        if any(map(sends_messages, convs)):
            return self.by_messages().renormalize(self.to_edges(a), convs)
        return self, [renormalized_rows(stack) for stack in a]

    def propagate(self, conv: Any, h: Tensor, weights: Any) -> Tensor:
        stacks = [torch.bmm(*pair) for pair in zip(weights, self.pad(h), strict=True)]
        if self.rows is None:
            return stacks[0].flatten(0, 1)
        return torch.cat([stack.flatten(0, 1) for stack in stacks]).index_select(0, self.rows)

    def by_messages(self) -> Layout:
        """The same edges, each of which sends a message."""
        return Layout(self.num_nodes, self.ptr, self.edge_index)

    def pad(self, x: Tensor) -> list[Tensor]:
        """Nodes `[V, C]` to stacks `[graphs, size, C]`, with zeros where no node is."""
        return _stacked(x, self.rows, self.stacks)

    def from_edges(self, edge_weight: Tensor) -> list[Tensor]:
        """Weights by edge `[E]` to stacks `[graphs, size, size]`."""
        return _stacked(edge_weight, self.entries, [(n, size, size) for n, size in self.stacks])

    def to_edges(self, stacks: Sequence[Tensor]) -> Tensor:
        """Stacks `[graphs, size, size]` to weights by edge `[E]`."""
        return torch.cat([stack.flatten() for stack in stacks]).index_select(0, self.entries)


class EqualBlocks(Blocks):
    """Complete graphs of N nodes each, in one stack `[G, N, N]` without padding."""

    rows, masks = None, (None,)

    def __init__(self, num_nodes: int, graph_size: int, edge_index: Any = None):
        super().__init__(num_nodes, None, edge_index)
        self.graph_size = graph_size
        self.stacks = [(num_nodes // graph_size, graph_size)]

    @property
    def entries(self) -> Tensor:  # type: ignore[override]
        source, target = self.edge_index
        return target * self.graph_size + source % self.graph_size

    def with_edges(self, edge_index: Tensor) -> "EqualBlocks":
        edge_index = checked_complete_edges(edge_index, self.num_nodes, self.graph_size)
        return EqualBlocks(self.num_nodes, self.graph_size, edge_index)

    def by_messages(self) -> Layout:
        ptr = torch.arange(0, self.num_nodes + 1, self.graph_size)
        return Layout(self.num_nodes, ptr, self.edge_index)

    def given_weights(self, conv: MessagePassing, edge_weight: Any) -> tuple[Layout, Any]:
        ((graphs, size),) = self.stacks
        check_weights(edge_weight, (self.edge_index.size(1),), (graphs, size, size))
        if edge_weight.dim() == 1:
            return self.by_messages(), edge_weight
        if sends_messages(conv):
            return self.by_messages(), self.to_edges([edge_weight])
        return self, [edge_weight]

    def public_weights(self, weights: Any) -> Tensor:
        return weights[0]

    def pool(self, x: Tensor, reduce: str) -> Tensor:
        (graphs,) = self.pad(x)
        if reduce == "max":
            return graphs.amax(dim=1)
        return graphs.mean(dim=1) if reduce == "mean" else graphs.sum(dim=1)

    def transform_by_frame(self, x: Tensor, weight: Tensor) -> Tensor:
        # Frames at the same position in their videos lie side by side, without padding.
        size, (num_frames, out_channels, channels) = self.graph_size, weight.shape
        _check_frames(x, self.num_nodes // size, num_frames)
        by_frame = x.view(-1, num_frames, size, channels).transpose(0, 1).flatten(1, 2)
        out = torch.bmm(by_frame, weight.mT).unflatten(1, (-1, size))  # [T, B, N, D]
        return out.transpose(0, 1).reshape(-1, out_channels)


class PaddedBlocks(Blocks):
    """Complete graphs of different sizes, as a few stacks of zero-padded blocks.

    A stack begins at its largest graph and ends before the first of half that size, so that no
    graph is padded to twice its size, however long the longest is. Where there is little to save,
    the smaller graphs are included.
    """

    def __init__(self, num_nodes: int, ptr: Tensor, edge_index: Tensor):
        super().__init__(num_nodes, ptr, edge_index)
        device = edge_index.device
        sizes = ptr.diff()
        ordered, order = sizes.sort(stable=True, descending=True)
        self.stacks = _stacks_of(ordered)
        self._sizes = ordered.split([count for count, _ in self.stacks])
        # Of each graph: its width in its stack, its first row and its first entry in the stacks.
        width, first_row, first_entry = (torch.empty_like(order) for _ in range(3))
        width[order] = torch.cat([order.new_full((n,), size) for n, size in self.stacks])
        first_row[order] = _starts(width[order])
        first_entry[order] = _starts(width[order].square())
        of_graph = torch.stack([width, first_row, first_entry, ptr[:-1], sizes])
        of_node = of_graph.repeat_interleave(sizes, dim=1).to(device, non_blocking=True)
        width, first_row, first_entry, first_node, size = of_node
        place = torch.arange(num_nodes, device=device) - first_node  # of each node in its graph
        self.rows = first_row + place
        source, target = edge_index
        neighbour = source - first_node.index_select(0, target)
        self._within = (neighbour >= 0) & (neighbour < size.index_select(0, target))
        self.entries = (first_entry + place * width).index_select(0, target) + neighbour

    @property
    def masks(self) -> list[Tensor]:  # type: ignore[override]
        return [
            (torch.arange(size) < sizes.unsqueeze(1)).to(self.edge_index.device, non_blocking=True)
            for sizes, (_, size) in zip(self._sizes, self.stacks, strict=True)
        ]

    def hold_all_edges(self) -> bool:
        """Whether each edge lies within its graph and has its own entry; read once."""
        entries = torch.where(self._within, self.entries, 0)
        num_entries = sum(count * size * size for count, size in self.stacks)
        taken = torch.zeros(num_entries, dtype=torch.bool, device=entries.device)
        taken = taken.index_fill_(0, entries, True)
        return bool(self._within.all() & (taken.sum() == entries.numel()))

    def given_weights(self, conv: MessagePassing, edge_weight: Any) -> tuple[Layout, Any]:
        super().given_weights(conv, edge_weight)
        if sends_messages(conv):
            return self.by_messages(), edge_weight
        return self, self.from_edges(edge_weight)

    def public_weights(self, weights: Any) -> Tensor:
        return self.to_edges(weights)


def sends_messages(layer: MessagePassing) -> bool:
    """Whether something needs a layer's messages: an explainer, a hook, a decomposition."""
    if layer.explain or layer.decomposed_layers > 1:
        return True
    return any(getattr(layer, hooks) for hooks in HOOKS)


def scatter_rows(x: Tensor, rows: Tensor, num_rows: int) -> Tensor:
    """Puts `x[k]` at row `rows[k]` of a tensor of zeros; each row is used once at most."""
    # Adding is several times as fast as copying on a CPU, and its gradient is a plain gather.
    return x.new_zeros(num_rows, *x.shape[1:]).index_add_(0, rows, x)


def _stacked(x: Tensor, rows: Tensor | None, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    if rows is None:
        return [x.view(*shapes[0], *x.shape[1:])]
    counts = [math.prod(shape) for shape in shapes]
    parts = scatter_rows(x, rows, sum(counts)).split(counts)
    return [part.view(*shape, *x.shape[1:]) for part, shape in zip(parts, shapes, strict=True)]


def _stacks_of(ordered: Tensor) -> list[tuple[int, int]]:
    """The number of graphs and the size of each stack, from the sizes in falling order."""
    stacks: list[tuple[int, int]] = []
    begin, num_graphs = 0, len(ordered)
    while begin < num_graphs:
        largest = int(ordered[begin])
        end = int((2 * ordered > largest).sum())  # the first of at most half that size
        if end < num_graphs:
            saved = (num_graphs - end) * (largest**2 - int(ordered[end]) ** 2)
            end = end if saved > WORTH_A_STACK else num_graphs
        stacks.append((end - begin, largest))
        begin = end
    return stacks


def _starts(lengths: Tensor) -> Tensor:
    """Where each of the parts of these lengths begins, along the first dimension."""
    return lengths.cumsum(0) - lengths


def _check_frames(x: Tensor, num_graphs: int, num_frames: int) -> None:
    if num_graphs % num_frames:
        raise ValueError(
            f"x {tuple(x.shape)} holds {num_graphs} graphs, one a frame, which is no multiple of "
            f"num_frames={num_frames} (of frames without any node at the end, only ptr knows)"
        )
