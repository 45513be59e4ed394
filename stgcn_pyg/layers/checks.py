"""What can be wrong with a layer's input, found before any arithmetic."""

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
    elif edge_index.device.type == "cpu" and edge_index.numel():
        # On a GPU this would wait for the device; there the gather itself asserts.
        low, high = int(edge_index.min()), int(edge_index.max())
        if low < 0 or high >= num_nodes:
            raise ValueError(
                f"edge_index points at node {high if high > 0 else low}, x has only {num_nodes}"
            )


def check_weights(
    edge_weight: Tensor, edge_index: Tensor, num_nodes: int, graph_size: int | None
) -> None:
    """`edge_weight` is `[E]`, or `[G, N, N]` where the batch is in blocks."""
    expected: list[tuple[int, ...]] = [(edge_index.size(1),)]
    if graph_size is not None:
        expected.append((num_nodes // graph_size, graph_size, graph_size))
    if tuple(edge_weight.shape) not in expected:
        shapes = " or ".join(map(str, expected))
        raise ValueError(f"edge_weight must be {shapes}, got {tuple(edge_weight.shape)}")
