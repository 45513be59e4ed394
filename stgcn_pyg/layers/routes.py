"""By which route a batch of graphs is computed, chosen once a forward pass from what is passed."""

import math

import torch
from torch import Tensor

from stgcn_pyg.layers.blocks import EqualBlocks, PaddedBlocks
from stgcn_pyg.layers.checks import (
    check_mask,
    checked_edges,
    checked_ptr,
    checked_size,
    is_noted_complete,
    note_complete,
    whole_number,
)
from stgcn_pyg.layers.edges import ragged_edges
from stgcn_pyg.layers.layout import Layout


def layout_of(
    x: Tensor,
    channels: int,
    edge_index: Tensor | None,
    graph_size: int | None = None,
    batch: Tensor | None = None,
    ptr: Tensor | None = None,
    batch_size: int | None = None,
) -> Layout:
    """The layout of a batch of graphs, once its nodes and edges are checked.

    Args:
        channels: The width that `x` must have; -1 if any will do.
        edge_index: None for complete graphs; without `graph_size`, `batch` and `ptr` for one graph.
        batch_size: The number G of graphs, which `batch` does not show if the last have no node.
    """
    nodes = layout_of_nodes(x, channels, graph_size, batch, ptr, batch_size)
    if isinstance(nodes, EqualBlocks):
        return nodes if edge_index is None else nodes.with_edges(edge_index)
    if edge_index is not None:
        return _with_edges(nodes, edge_index)
    if nodes.ptr is None and batch_size not in (None, 1):
        raise ValueError(
            f"batch_size={batch_size} does not say which nodes are a graph: pass graph_size, batch "
            "or ptr too"
        )
    return _complete(nodes)


def layout_of_nodes(
    x: Tensor,
    channels: int,
    graph_size: int | None = None,
    batch: Tensor | None = None,
    ptr: Tensor | None = None,
    batch_size: int | None = None,
) -> Layout:
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
) -> tuple[Tensor, EqualBlocks]:
    """The nodes `[V, C]` of a dense batch `[..., N, C]`, and the layout of its complete graphs.

    Args:
        channels: The width that `x` must have; -1 if any will do.
        mask: Which nodes exist, `[..., N]`.
        node_dims: How many dimensions before the last hold the nodes of one graph.
    """
    if not isinstance(x, Tensor) or x.dim() < node_dims + 2:
        shape = x.shape if isinstance(x, Tensor) else ()
        found = tuple(shape) if isinstance(x, Tensor) else repr(x)
        dims = "nodes" if node_dims == 1 else f"{node_dims} dimensions of nodes"
        use = ": use AffinityGCN for nodes and edges" if len(shape) == 2 else ""
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


def _with_edges(nodes: Layout, edge_index: Tensor) -> Layout:
    """The layout of these edges, once they are checked; in blocks where graphs are complete."""
    ptr = None if torch.compiler.is_compiling() else nodes.ptr
    if ptr is not None and is_noted_complete(edge_index, ptr.diff()):
        return PaddedBlocks(nodes.num_nodes, nodes.device, ptr, edge_index)
    edge_index = checked_edges(edge_index, nodes.num_nodes)
    by_edge = Layout(nodes.num_nodes, nodes.device, nodes.ptr, edge_index)
    if ptr is None or not edge_index.numel():
        return by_edge
    if edge_index.size(1) != int(ptr.diff().square().sum()):
        return by_edge
    blocks = PaddedBlocks(nodes.num_nodes, nodes.device, ptr, edge_index)
    if not blocks.hold_all_edges():
        return by_edge
    note_complete(edge_index, ptr.diff())
    return blocks


def _complete(nodes: Layout) -> Layout:
    """The layout of complete graphs over these nodes; of one if nothing tells graphs apart."""
    if nodes.ptr is None:
        return EqualBlocks(nodes.num_nodes, max(nodes.num_nodes, 1), nodes.device)
    if torch.compiler.is_compiling():  # the number and sizes of stacks would have to be known
        edges = ragged_edges(nodes.ptr.diff().to(nodes.device))
        return Layout(nodes.num_nodes, nodes.device, nodes.ptr, edges)
    return PaddedBlocks(nodes.num_nodes, nodes.device, nodes.ptr)
