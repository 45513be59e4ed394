"""Complete graphs of one size in blocks `[G, N, N]`, and the way between blocks and edges."""

import torch
from torch import Tensor

from stgcn_pyg.layers.checks import can_be_read, require_nodes


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


def require_complete(edge_index: Tensor, graph_size: int) -> None:
    """Holds the caller to the promise of `graph_size`, where that can be done without waiting.

    Args:
        edge_index: As many edges as complete graphs have, ``[2, G * N * N]``.
        graph_size: N.

    Raises:
        ValueError: The edges on the CPU are not those of complete graphs, in whatever order.
    """
    if not can_be_read(edge_index) or _is_noted(edge_index, graph_size):
        return
    if not _in_the_order_of_blocks(edge_index, graph_size):
        _require_complete_in_any_order(edge_index, graph_size)
    note_complete(edge_index, graph_size)


def note_complete(edge_index: Tensor, graph_size: int) -> None:
    """Notes on the tensor that these are complete graphs, so that they are looked at once alone.

    A copy is another tensor, and a change in place makes another version of it: both are looked at
    again.
    """
    if can_be_read(edge_index):
        edge_index.complete_graphs = _note(edge_index, graph_size)  # type: ignore[attr-defined]


def _is_noted(edge_index: Tensor, graph_size: int) -> bool:
    found = getattr(edge_index, "complete_graphs", None)
    return found is not None and found == _note(edge_index, graph_size)


def _note(edge_index: Tensor, graph_size: int) -> tuple[int, int, int] | None:
    # A tensor of inference mode does not count its versions.
    version = None if edge_index.is_inference() else edge_index._version
    return None if version is None else (id(edge_index), version, graph_size)


def _require_complete_in_any_order(edge_index: Tensor, graph_size: int) -> None:
    num_nodes = edge_index.size(1) // graph_size
    require_nodes(edge_index, num_nodes)
    source, target = edge_index
    graph = target // graph_size
    if (source // graph_size != graph).any():
        edge = int((source // graph_size != graph).nonzero()[0])
        wrong = "is between two graphs"
    else:
        taken = (target * graph_size + source % graph_size).bincount(minlength=source.numel())
        if int(taken.max()) == 1:
            return
        twice = int(taken.argmax())
        of_target, place = divmod(twice, graph_size)
        of_source = of_target - of_target % graph_size + place
        edge = int(((source == of_source) & (target == of_target)).nonzero()[0])
        wrong = "is there more than once"
    raise ValueError(
        f"graph_size={graph_size} promises complete graphs of {graph_size} nodes, but the edge "
        f"{int(source[edge])} -> {int(target[edge])} {wrong}: use complete_graphs, or leave out "
        "graph_size"
    )


def _in_the_order_of_blocks(edge_index: Tensor, graph_size: int) -> bool:
    """Whether these are the edges of `complete_graphs`, which is quickly seen."""
    source, target = edge_index.numpy()  # it compares twice as fast as torch
    nodes = torch.arange(source.size // graph_size).numpy()
    targets_agree = target.reshape(-1, graph_size) == nodes[:, None]
    sources = source.reshape(-1, graph_size, graph_size)
    return bool(targets_agree.all() and (sources == nodes.reshape(-1, 1, graph_size)).all())
