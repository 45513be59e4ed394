"""What can be wrong with a layer's input, found before any arithmetic."""

import torch
from torch import Tensor


def check_nodes(x: Tensor, channels: int, graph_size: int | None) -> None:
    """`x` is `[V, channels]`, floating, and V divides into graphs of `graph_size` nodes."""
    if x.dim() != 2 or x.size(1) != channels:
        raise ValueError(f"x must be [nodes, {channels}], got {tuple(x.shape)}")
    if not x.is_floating_point():
        raise ValueError(f"x must hold floating point features, got {x.dtype}")
    if graph_size is not None and (graph_size < 1 or x.size(0) % graph_size):
        raise ValueError(
            f"x {tuple(x.shape)} holds {x.size(0)} nodes, "
            f"which is no multiple of graph_size={graph_size}"
        )


def check_edges(edge_index: Tensor, num_nodes: int, graph_size: int | None) -> None:
    """`edge_index` is `[2, E]`, stays below V, and has N edges a node where in blocks."""
    if edge_index.dim() != 2 or edge_index.size(0) != 2 or edge_index.is_floating_point():
        raise ValueError(
            f"edge_index must be [2, edges] of integers, "
            f"got {tuple(edge_index.shape)} of {edge_index.dtype}"
        )
    if graph_size is not None:
        if edge_index.size(1) != num_nodes * graph_size:
            raise ValueError(
                f"edge_index {tuple(edge_index.shape)} does not hold the "
                f"{num_nodes * graph_size} edges of complete graphs of graph_size={graph_size} "
                f"over {num_nodes} nodes: use complete_graphs, or leave out graph_size"
            )
    elif _can_be_read(edge_index):
        low, high = int(edge_index.min()), int(edge_index.max())
        if low < 0 or high >= num_nodes:
            raise ValueError(
                f"edge_index points at node {low if low < 0 else high}, x has only {num_nodes}"
            )


def check_weights(
    edge_weight: Tensor, edge_index: Tensor, num_nodes: int, graph_size: int | None
) -> None:
    """`edge_weight` is `[E]`, or `[G, N, N]` where the batch is in blocks."""
    shape = edge_weight.shape
    if shape == (edge_index.size(1),):
        return
    if graph_size is None:
        expected = f"({edge_index.size(1)},)"
    elif shape == (num_nodes // graph_size, graph_size, graph_size):
        return
    else:
        blocks = (num_nodes // graph_size, graph_size, graph_size)
        expected = f"({edge_index.size(1)},) or {blocks}"
    raise ValueError(f"edge_weight must be {expected}, got {tuple(shape)}")


def _can_be_read(index: Tensor) -> bool:
    # Reading values would wait for a GPU, where the gather itself asserts, and break a compiled
    # graph.
    return index.device.type == "cpu" and index.numel() > 0 and not torch.compiler.is_compiling()
