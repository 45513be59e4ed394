"""How the edges of a batch are held, chosen once a forward pass, and what is computed over them.

===============  ==============================  =============================================
`Layout`         edges of any kind               weights `[E]`; each edge sends a message
`EqualBlocks`    complete graphs of N nodes      weights `[G, N, N]`; one matrix product
`PaddedBlocks`   complete graphs of any sizes    weights `[graphs, size, size]`, in a few stacks
===============  ==============================  =============================================

With H heads a weight is H numbers: `[E, H]` by edge, `[G, H, N, N]` in blocks.

A layer calls its layout and does not know which of them it is. Where an explainer or a hook needs
the messages of a layer, blocks send messages too.
"""

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from stgcn_pyg.layers.checks import (
    check_mask,
    check_weights,
    checked_complete_edges,
    checked_edges,
    checked_ptr,
    checked_size,
    is_noted_complete,
    note_complete,
    whole_number,
)
from stgcn_pyg.layers.edges import complete_edges, ragged_edges
from stgcn_pyg.layers.functional import pairs_of, renormalized_edges, renormalized_rows

# How many entries of blocks a further stack must save to be worth its calls.
WORTH_A_STACK = 2**14
STEPS = ("propagate", "message", "aggregate", "edge_update")
HOOKS = tuple(f"_{step}_forward_{when}hooks" for step, when in product(STEPS, ("pre_", "")))


def layout_of(
    x: Tensor,
    channels: int,
    edge_index: Tensor | None,
    graph_size: int | None = None,
    batch: Tensor | None = None,
    ptr: Tensor | None = None,
    batch_size: int | None = None,
) -> "Layout":
    """The layout of a batch of graphs, once its nodes and edges are checked.

    Args:
        channels: The width that `x` must have; -1 if any will do.
        edge_index: None for complete graphs; without `graph_size`, `batch` and `ptr` for one graph.
        batch_size: The number G of graphs, which `batch` does not show if the last have no node.
    """
    nodes = layout_of_nodes(x, channels, graph_size, batch, ptr, batch_size)
    return nodes.complete() if edge_index is None else nodes.with_edges(edge_index)


def layout_of_nodes(
    x: Tensor,
    channels: int,
    graph_size: int | None = None,
    batch: Tensor | None = None,
    ptr: Tensor | None = None,
    batch_size: int | None = None,
) -> "Layout":
    """The layout of a batch before its edges are read."""
    graph_size = checked_size(x, channels, graph_size)
    if batch_size is not None:
        batch_size = whole_number("batch_size", batch_size, at_least=0)
    if batch is not None or ptr is not None:
        if graph_size is not None:
            raise ValueError("graph_size says that all graphs are equal: leave out batch and ptr")
        ptr = checked_ptr(x.size(0), batch, ptr, batch_size)
        return Layout(x.size(0), x.device, ptr)
    if graph_size is None:
        return Layout(x.size(0), x.device)
    if batch_size is not None and batch_size != x.size(0) // graph_size:
        raise ValueError(
            f"batch_size={batch_size}, but x {tuple(x.shape)} holds {x.size(0) // graph_size} "
            f"graphs of graph_size={graph_size}"
        )
    return EqualBlocks(x.size(0), graph_size, x.device)


def dense_layout(
    x: Tensor, channels: int, mask: Tensor | None = None, node_dims: int = 1
) -> tuple[Tensor, "EqualBlocks"]:
    """The nodes `[V, C]` of a dense batch `[..., N, C]`, and the layout of its complete graphs.

    Args:
        channels: The width that `x` must have; -1 if any will do.
        mask: Which nodes exist, `[..., N]`.
        node_dims: How many dimensions before the last hold the nodes of one graph.
    """
    if not isinstance(x, Tensor) or x.dim() < node_dims + 2:
        found = tuple(x.shape) if isinstance(x, Tensor) else repr(x)
        dims = "nodes" if node_dims == 1 else f"{node_dims} dimensions of nodes"
        use = ": use AffinityGCN for nodes and edges" if len(found) == 2 else ""
        raise ValueError(f"x must be [graphs, {dims}, channels], got {found}{use}")
    if mask is not None:
        check_mask(mask, tuple(x.shape[:-1]))
    size = math.prod(x.shape[-1 - node_dims : -1])
    nodes = x.reshape(-1, x.size(-1))
    checked_size(nodes, channels, None)
    graphs = math.prod(x.shape[: -1 - node_dims])
    if mask is not None:
        mask = mask.reshape(graphs, size)
    return nodes, EqualBlocks(graphs * size, size, x.device, mask=mask, num_graphs=graphs)


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
        self._built_edges: Tensor | None = None
        self._frame_rows: dict[int, tuple[Tensor, int]] = {}

    @property
    def edge_index(self) -> Tensor:
        """The edges; those of complete graphs are built when they are first needed."""
        if self.passed_edges is not None:
            return self.passed_edges
        if self._built_edges is None:
            self._built_edges = self.build_edges()
        return self._built_edges

    def build_edges(self) -> Tensor:
        """The edges `[2, E]` of complete graphs, sorted by target."""
        raise NotImplementedError

    def with_edges(self, edge_index: Tensor) -> "Layout":
        """The layout of these edges, once they are checked; in blocks where graphs are complete."""
        ptr = None if torch.compiler.is_compiling() else self.ptr
        if ptr is not None and is_noted_complete(edge_index, ptr.diff()):
            return PaddedBlocks(self.num_nodes, self.device, ptr, edge_index)
        edge_index = checked_edges(edge_index, self.num_nodes)
        by_edge = Layout(self.num_nodes, self.device, self.ptr, edge_index)
        if ptr is None or not edge_index.numel():
            return by_edge
        if edge_index.size(1) != int(ptr.diff().square().sum()):
            return by_edge
        blocks = PaddedBlocks(self.num_nodes, self.device, ptr, edge_index)
        if not blocks.hold_all_edges():
            return by_edge
        note_complete(edge_index, ptr.diff())
        return blocks

    def complete(self) -> "Layout":
        """The layout of complete graphs over these nodes; of one if nothing tells graphs apart."""
        if self.ptr is None:
            return EqualBlocks(self.num_nodes, max(self.num_nodes, 1), self.device)
        if torch.compiler.is_compiling():  # the number and sizes of stacks would have to be known
            edges = ragged_edges(self.ptr.diff().to(self.device))
            return Layout(self.num_nodes, self.device, self.ptr, edges)
        return PaddedBlocks(self.num_nodes, self.device, self.ptr)

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

    def renormalize(self, a: Any, convs: Iterable[MessagePassing]) -> tuple["Layout", Any]:
        """Â (Eq. 4) for these convolutions, and its layout: the identity adds V edges."""
        edges, weights = renormalized_edges(self.edge_index, a, self.num_nodes)
        return Layout(self.num_nodes, self.device, self.ptr, edges), weights

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

    def complete(self) -> Layout:
        return self

    def affinity(self, layer: Any, h: Tensor, edge_weight: Any, bias: Any) -> tuple[Tensor, ...]:
        if sends_messages(layer):
            priors = (None if p is None else self.by_edge(p) for p in (edge_weight, bias))
            return self.from_edges(layer.by_edge(h, self.edge_index, *priors))
        none = (None,) * len(self.stacks)
        masks = self.masks if layer.needs_mask(bias is not None) else none
        parts = zip(self.pad(h), masks, edge_weight or none, bias or none, strict=True)
        return tuple(layer.dense(*part) for part in parts)

    def renormalize(self, a: Any, convs: Iterable[MessagePassing]) -> tuple[Layout, Any]:
        if any(map(sends_messages, convs)):
            return self.by_messages().renormalize(self.by_edge(a), convs)
        return self, tuple(renormalized_rows(stack) for stack in a)

    def propagate(self, conv: Any, h: Tensor, weights: Any) -> Tensor:
        stacks = [_products(*pair) for pair in zip(weights, self.pad(h), strict=True)]
        if self.rows is None:
            return stacks[0].flatten(0, 1)
        return torch.cat([stack.flatten(0, 1) for stack in stacks]).index_select(0, self.rows)

    def held(self, name: str, values: Any, heads: int) -> Any:
        return None if values is None else self.from_edges(super().held(name, values, heads))

    def given_weights(self, conv: Any, edge_weight: Any) -> tuple[Layout, Any]:
        held = self.held("edge_weight", edge_weight, conv.heads)
        return (self.by_messages(), self.by_edge(held)) if sends_messages(conv) else (self, held)

    def by_messages(self) -> Layout:
        """The same edges, each of which sends a message."""
        return Layout(self.num_nodes, self.device, self.ptr, self.edge_index)

    def pad(self, x: Tensor) -> list[Tensor]:
        """Nodes `[V, C]` to stacks `[graphs, size, C]`, with zeros where no node is."""
        return _stacked(x, self.rows, self.stacks)

    def from_edges(self, edge_weight: Tensor) -> tuple[Tensor, ...]:
        """Weights by edge `[E]` to stacks `[graphs, size, size]`."""
        shapes = [(n, size, size) for n, size in self.stacks]
        stacks = _stacked(edge_weight, self.entries, shapes)
        return tuple(s if s.dim() == 3 else s.movedim(3, 1) for s in stacks)

    def by_edge(self, weights: Sequence[Tensor]) -> Tensor:
        """Stacks `[graphs, size, size]` to weights by edge `[E]`."""
        flat = [w.flatten() if w.dim() == 3 else w.movedim(1, 3).flatten(0, 2) for w in weights]
        return torch.cat(flat).index_select(0, self.entries)


class EqualBlocks(Blocks):
    """Complete graphs of N nodes each, in one stack `[G, N, N]` without padding.

    Of a dense batch, `mask` `[G, N]` says which nodes exist.
    """

    rows = None

    def __init__(
        self,
        num_nodes: int,
        graph_size: int,
        device: torch.device,
        edge_index: Tensor | None = None,
        mask: Tensor | None = None,
        num_graphs: int | None = None,
    ):
        super().__init__(num_nodes, device, None, edge_index)
        self.graph_size = graph_size
        # Graphs without nodes say nothing of their number.
        self.num_graphs = num_nodes // graph_size if num_graphs is None else num_graphs
        self.stacks = [(self.num_graphs, graph_size)]
        self.masks = (mask,)

    def build_edges(self) -> Tensor:
        edges = complete_edges(self.num_graphs, self.graph_size, self.device)
        (mask,) = self.masks
        return edges if mask is None else edges[:, pairs_of(mask).flatten()]

    @property
    def entries(self) -> Tensor:  # type: ignore[override]
        source, target = self.edge_index
        return target * self.graph_size + source % self.graph_size

    def with_edges(self, edge_index: Tensor) -> "EqualBlocks":
        edge_index = checked_complete_edges(edge_index, self.num_nodes, self.graph_size)
        return EqualBlocks(self.num_nodes, self.graph_size, self.device, edge_index)

    def by_messages(self) -> Layout:
        ptr = torch.arange(0, self.num_nodes + 1, self.graph_size)
        return Layout(self.num_nodes, self.device, ptr, self.edge_index)

    def held(self, name: str, values: Any, heads: int) -> Any:
        if values is None:
            return None
        ((graphs, size),) = self.stacks
        edges, block = graphs * size * size, (size, size)
        by_head = [(edges, heads), (graphs, heads, *block)] if heads > 1 else []
        check_weights(name, values, (edges,), (graphs, *block), *by_head)
        return (values,) if values.dim() > 2 else self.from_edges(values)

    def public_weights(self, weights: Any) -> Tensor:
        return weights[0]

    def pool(self, x: Tensor, reduce: str) -> Tensor:
        (graphs,) = self.pad(x)
        (mask,) = self.masks
        if not self.graph_size:
            return x.new_zeros(self.num_graphs, x.size(1))
        if mask is not None:
            return _pool_masked(graphs, mask.unsqueeze(-1), reduce)
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

    ptr: Tensor

    def __init__(
        self,
        num_nodes: int,
        device: torch.device,
        ptr: Tensor,
        edge_index: Tensor | None = None,
    ):
        super().__init__(num_nodes, device, ptr, edge_index)
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
        width, first_row, first_entry, self._first_node, self._size = of_node
        # Of each node: its place in its graph, and the first entry of its row in the blocks.
        place = torch.arange(num_nodes, device=device) - self._first_node
        self.rows = first_row + place
        self._row_entries = first_entry + place * width

    def build_edges(self) -> Tensor:
        return ragged_edges(self.ptr.diff()).to(self.device, non_blocking=True)

    @cached_property
    def entries(self) -> Tensor:  # type: ignore[override]
        source, target = self.edge_index
        return (self._row_entries - self._first_node).index_select(0, target) + source

    @property
    def masks(self) -> list[Tensor]:  # type: ignore[override]
        return [
            (torch.arange(size) < sizes.unsqueeze(1)).to(self.device, non_blocking=True)
            for sizes, (_, size) in zip(self._sizes, self.stacks, strict=True)
        ]

    def hold_all_edges(self) -> bool:
        """Whether each edge lies within its graph and has its own entry; read once."""
        source, target = self.edge_index
        neighbour = source - self._first_node.index_select(0, target)
        within = (neighbour >= 0) & (neighbour < self._size.index_select(0, target))
        entries = torch.where(within, self.entries, 0)
        num_entries = sum(count * size * size for count, size in self.stacks)
        taken = torch.zeros(num_entries, dtype=torch.bool, device=entries.device)
        taken = taken.index_fill_(0, entries, True)
        return bool(within.all() & (taken.sum() == entries.numel()))

    def public_weights(self, weights: Any) -> Tensor:
        return self.by_edge(weights)


def sends_messages(layer: MessagePassing) -> bool:
    """Whether something needs a layer's messages: an explainer, a hook, a decomposition."""
    if layer.explain or layer.decomposed_layers > 1:
        return True
    return any(getattr(layer, hooks) for hooks in HOOKS)


def scatter_rows(x: Tensor, rows: Tensor, num_rows: int) -> Tensor:
    """Puts `x[k]` at row `rows[k]` of a tensor of zeros; each row is used once at most."""
    # Adding is several times as fast as copying on a CPU, and its gradient is a plain gather.
    return x.new_zeros(num_rows, *x.shape[1:]).index_add_(0, rows, x)


def _products(weights: Tensor, h: Tensor) -> Tensor:
    """Weights `[n, N, N]` times nodes `[n, N, D]`; or `[n, H, N, N]`, of which each head has D / H
    of the channels."""
    if weights.dim() == 3:
        return torch.bmm(weights, h)
    by_head = h.unflatten(2, (weights.size(1), -1)).transpose(1, 2)
    return (weights @ by_head).transpose(1, 2).flatten(2)


def _pool_masked(x: Tensor, mask: Tensor, reduce: str) -> Tensor:
    """Nodes `[G, N, C]` of which those in `mask` `[G, N, 1]` exist, to `[G, C]`; zeros of none."""
    some = mask.any(dim=1)
    if reduce == "max":
        return x.masked_fill(~mask, -torch.inf).amax(dim=1).masked_fill(~some, 0)
    total = x.masked_fill(~mask, 0).sum(dim=1)
    return total if reduce == "sum" else total / mask.sum(dim=1).clamp(min=1)


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
