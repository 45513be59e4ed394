"""Complete graphs as blocks: batched matrix products in place of messages.

Where an explainer or a hook needs the messages of a layer, blocks send messages too.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from stgcn_pyg.layers.checks import check_weights, checked_complete_edges
from stgcn_pyg.layers.edges import complete_edges, ragged_edges
from stgcn_pyg.layers.functional import pairs_of, renormalized_rows
from stgcn_pyg.layers.layout import Layout, check_frames, scatter_rows, starts

# How many entries of blocks a further stack must save to be worth its calls.
WORTH_A_STACK = 2**14
STEPS = ("propagate", "message", "aggregate", "edge_update")
HOOKS = tuple(f"_{step}_forward_{when}hooks" for step, when in product(STEPS, ("pre_", "")))


class Blocks(Layout, ABC):
    """Complete graphs as stacks of blocks: batched matrix products in place of messages."""

    stacks: Sequence[tuple[int, int]]  # the number of graphs and the number of nodes of each
    rows: Tensor | None  # of each node in the stacked nodes, [V]; None where nothing is padded
    entries: Tensor  # of each edge in the stacked blocks, [E]
    masks: Sequence[Tensor | None]  # which nodes exist, [graphs, size] by stack; None if all do

    _built_edges: Tensor | None = None

    @property
    def edge_index(self) -> Tensor:
        """The edges; where none were passed they are built when they are first needed."""
        if self.passed_edges is not None:
            return self.passed_edges
        if self._built_edges is None:
            self._built_edges = self.build_edges()
        return self._built_edges

    @abstractmethod
    def build_edges(self) -> Tensor:
        """The edges `[2, E]` of these graphs, sorted by target."""

    def affinity(self, layer: Any, h: Tensor, edge_weight: Any, bias: Any) -> tuple[Tensor, ...]:
        if sends_messages(layer):
            priors = (None if p is None else self.by_edge(p) for p in (edge_weight, bias))
            return self.from_edges(layer.by_edge(h, self.edge_index, *priors))
        none = (None,) * len(self.stacks)
        masks = self.masks if layer.needs_mask(bias is not None) else none
        parts = zip(self.pad(h), masks, edge_weight or none, bias or none, strict=True)
        return tuple(layer.dense(*part) for part in parts)

    def renormalize(
        self, a: Any, convs: Iterable[MessagePassing], constant_degree: bool
    ) -> tuple[Layout, Any]:
        if any(map(sends_messages, convs)):
            return self.by_messages().renormalize(self.by_edge(a), convs, constant_degree)
        return self, tuple(renormalized_rows(stack, constant_degree) for stack in a)

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

    def graph_of_nodes(self) -> Tensor:
        return torch.arange(self.num_graphs, device=self.device).repeat_interleave(self.graph_size)

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
        check_frames(x, self.num_nodes // size, num_frames)
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
        first_row[order] = starts(width[order])
        first_entry[order] = starts(width[order].square())
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
    return stacks or [(0, 0)]
