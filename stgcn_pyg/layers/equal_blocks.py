"""Complete graphs of one size in blocks `[G, N, N]`, and the way between blocks and edges."""

from torch import Tensor


def edges_to_blocks(edge_weight: Tensor, edge_index: Tensor, graph_size: int) -> Tensor:
    """Weights by edge `[E]` to blocks `[G, N, N]`, whatever the order of the edges."""
    source, target = edge_index
    num_nodes = edge_weight.size(0) // graph_size  # E = G * N * N, V = G * N
    blocks = edge_weight.new_zeros(num_nodes, graph_size)
    blocks = blocks.index_put((target, source % graph_size), edge_weight)
    return blocks.view(-1, graph_size, graph_size)


def blocks_to_edges(blocks: Tensor, edge_index: Tensor) -> Tensor:
    """Blocks `[G, N, N]` to weights by edge `[E]`, in the order of the edges."""
    source, target = edge_index
    graph_size = blocks.size(-1)
    return blocks.reshape(-1, graph_size)[target, source % graph_size]
