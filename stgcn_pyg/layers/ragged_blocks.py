"""Complete graphs of different sizes as a few stacks of zero-padded blocks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stgcn_pyg.layers.functional import renormalize_shares

# What a stack of its own must save, in entries of blocks, to be worth its calls.
WORTH_A_STACK = 2**14


class RaggedBlocks:
    """Where the nodes and the edges of complete graphs of different sizes lie in padded stacks.

    A stack begins at its largest graph and ends before the first of half that size, so that no
    graph is padded to twice its size, however long the longest is. Where there is little to save,
    the smaller graphs stay in.

    Args:
        sizes: The number of nodes of each graph, on the host, ``[G]``.
        edge_index: All edges of these graphs, self-loops included, in any order, ``[2, E]``.
    """

    def __init__(self, sizes: Tensor, edge_index: Tensor):
        order, self._stacks = _stacks_by_size(sizes)
        width = torch.empty_like(order)
        width[order] = torch.cat([order.new_full((count,), size) for count, size in self._stacks])
        first_row, first_entry = torch.empty_like(order), torch.empty_like(order)
        first_row[order] = _starts(width[order])
        first_entry[order] = _starts(width[order].square())
        of_graph = torch.stack([width, first_row, first_entry, _starts(sizes), sizes])
        of_node = of_graph.repeat_interleave(sizes, dim=1).to(edge_index.device)
        width, first_row, first_entry, first_node, size = of_node
        place = torch.arange(width.numel(), device=width.device) - first_node
        self._row = first_row + place  # of each node, in the stacked nodes
        source, target = edge_index
        neighbour = source - first_node.index_select(0, target)
        self._within = (neighbour >= 0) & (neighbour < size.index_select(0, target))
        origin = first_entry + place * width
        self._entry = origin.index_select(0, target) + neighbour  # of each edge, in the blocks

    def hold_all_edges(self) -> bool:
        """Whether each edge stays within its graph and has an entry of its own."""
        if not self._within.all():
            return False
        taken = torch.zeros(self._num_entries(), dtype=torch.bool, device=self._entry.device)
        return int(taken.index_fill_(0, self._entry, True).sum()) == self._entry.numel()

    def _num_entries(self) -> int:
        return sum(count * size * size for count, size in self._stacks)

    def pad(self, x: Tensor) -> list[Tensor]:
        """Nodes `[V, C]` to stacks of `[graphs, size, C]`, with zeros where no node is."""
        counts = [count * size for count, size in self._stacks]
        rows = to_rows(x, self._row, sum(counts)).split(counts)
        return [
            part.view(*stack, x.size(1)) for part, stack in zip(rows, self._stacks, strict=True)
        ]

    def unpad(self, stacks: Sequence[Tensor]) -> Tensor:
        """Stacks of `[graphs, size, C]` to nodes `[V, C]`."""
        return torch.cat([stack.flatten(0, 1) for stack in stacks]).index_select(0, self._row)

    def present(self) -> list[Tensor]:
        """Where a node is, by stack: `[graphs, size]`."""
        ones = self._row.new_ones(self._row.numel(), 1)
        return [stack.squeeze(2) > 0 for stack in self.pad(ones)]

    def from_edges(self, edge_weight: Tensor) -> list[Tensor]:
        """Weights by edge `[E]` to stacks of `[graphs, size, size]`."""
        counts = [count * size * size for count, size in self._stacks]
        entries = to_rows(edge_weight, self._entry, self._num_entries()).split(counts)
        return [
            part.view(count, size, size)
            for part, (count, size) in zip(entries, self._stacks, strict=True)
        ]

    def to_edges(self, stacks: Sequence[Tensor]) -> Tensor:
        """Stacks of `[graphs, size, size]` to weights by edge `[E]`."""
        return torch.cat([stack.flatten() for stack in stacks]).index_select(0, self._entry)


class RaggedWeights:
    """Edge weights of complete graphs of different sizes, as stacks of `[graphs, size, size]`."""

    def __init__(self, blocks: RaggedBlocks, stacks: Sequence[Tensor]):
        self.blocks = blocks
        self.stacks = list(stacks)

    def renormalized(self) -> "RaggedWeights":
        """Eq. 4. A node that is not there gets a loop, which nobody gathers."""
        return RaggedWeights(self.blocks, [renormalize_shares(stack) for stack in self.stacks])

    def propagate(self, h: Tensor) -> Tensor:
        """Each node's weighted sum over its graph, `[V, C] -> [V, C]`."""
        parts = zip(self.stacks, self.blocks.pad(h), strict=True)
        return self.blocks.unpad([torch.bmm(weight, part) for weight, part in parts])

    def to_edges(self) -> Tensor:
        """The weights by edge, `[E]`."""
        return self.blocks.to_edges(self.stacks)


def ragged_blocks(ptr: Tensor | None, edge_index: Tensor) -> RaggedBlocks | None:
    """The blocks of the graphs that `ptr` tells apart, if these are complete.

    They are if there are as many edges as complete graphs with self-loops have, none leaves its
    graph and none is there twice. Sizes decide about shapes, so they are read on the host; a
    compiled graph, which cannot do that, goes by edges.
    """
    if ptr is None or torch.compiler.is_compiling() or not edge_index.numel():
        return None
    sizes = ptr.diff().cpu()
    if edge_index.size(1) != int(sizes.square().sum()):
        return None
    blocks = RaggedBlocks(sizes, edge_index)
    return blocks if blocks.hold_all_edges() else None


def to_rows(x: Tensor, rows: Tensor, num_rows: int) -> Tensor:
    """Puts `x[k]` at row `rows[k]` of a tensor of zeros; each row is used once at most."""
    # Adding is several times as fast as copying on a CPU, and its gradient is a plain gather.
    return x.new_zeros(num_rows, *x.shape[1:]).index_add_(0, rows, x)


def _stacks_by_size(sizes: Tensor) -> tuple[Tensor, list[tuple[int, int]]]:
    """The order of the graphs, stack by stack, and each stack's number of graphs and size."""
    ordered, order = sizes.sort(stable=True, descending=True)
    stacks: list[tuple[int, int]] = []
    begin, num_graphs = 0, len(sizes)
    while begin < num_graphs:
        largest = int(ordered[begin])
        end = int((2 * ordered > largest).sum())  # the first of at most half that size
        if end < num_graphs:
            saved = (num_graphs - end) * (largest**2 - int(ordered[end]) ** 2)
            end = end if saved > WORTH_A_STACK else num_graphs
        stacks.append((end - begin, largest))
        begin = end
    return order, stacks


def _starts(lengths: Tensor) -> Tensor:
    """Where each of the parts of these lengths begins."""
    return lengths.cumsum(0) - lengths
