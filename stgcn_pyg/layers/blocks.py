"""Equal complete graphs in blocks: when a layer may leave the edge route, and the way back."""

from torch import Tensor
from torch_geometric.nn import MessagePassing


def runs_in_blocks(layer: MessagePassing, graph_size: int | None) -> bool:
    """Whether a layer may compute `[G, N, N]` blocks instead of one message an edge.

    Explainers, hooks and decomposed layers look at messages, so they get messages.
    """
    if graph_size is None or layer.explain or layer.decomposed_layers > 1:
        return False
    return not any(hooks for name, hooks in vars(layer).items() if _is_message_hooks(name))


def _is_message_hooks(name: str) -> bool:
    steps = ("_propagate", "_message", "_aggregate", "_edge_update")
    return name.startswith(steps) and name.endswith("_hooks")


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
