"""Which nodes are joined: complete graphs, neighbouring frames, the strongest neighbours.

Each function raises `ValueError` for a number that is too small or no whole number.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from stgcn_pyg.layers.checks import Float, Integer, note_complete, whole_number, whole_numbers


def complete_edges(
    num_graphs: int, graph_size: int, device: torch.device | str | None = None
) -> Integer[Tensor, "2 E"]:
    """The edges of equal complete graphs with self-loops, in the order of ``[G, N, N]`` blocks.

    Entry (g, i, j) of the blocks is the edge j -> i of graph g: row i gathers from j.

    Args:
        num_graphs: The number G of graphs.
        graph_size: The number N of nodes of each graph.
        device: The device of the result.

    Returns:
        ``edge_index`` of shape ``[2, G * N * N]``; row 0 holds j, row 1 holds i.

    Example:
        >>> complete_edges(num_graphs=1, graph_size=2)
        tensor([[0, 1, 0, 1],
                [0, 0, 1, 1]])
    """
    num_graphs = whole_number("num_graphs", num_graphs, at_least=0)
    graph_size = whole_number("graph_size", graph_size, at_least=0)
    nodes = torch.arange(num_graphs * graph_size, device=device).view(num_graphs, graph_size)
    blocks = (num_graphs, graph_size, graph_size)
    source = nodes.unsqueeze(1).expand(blocks)
    target = nodes.unsqueeze(2).expand(blocks)
    edge_index = torch.stack([source.reshape(-1), target.reshape(-1)])
    note_complete(edge_index, graph_size)
    return edge_index


def ragged_edges(
    sizes: Sequence[int] | Integer[Tensor, " G"], device: torch.device | str | None = None
) -> Integer[Tensor, "2 E"]:
    """The edges of complete graphs of different sizes, with self-loops, sorted by target.

    Args:
        sizes: The number of nodes of each graph; of a PyG ``Batch``, ``batch.ptr.diff()``.
        device: The device of the result; that of ``sizes``, if it is a tensor.

    Returns:
        ``edge_index`` of shape ``[2, E]`` with E the sum of the squared sizes.

    Example:
        >>> ragged_edges([1, 2])
        tensor([[0, 1, 2, 1, 2],
                [0, 1, 1, 2, 2]])
    """
    sizes = whole_numbers("sizes", sizes, device)
    first = (sizes.cumsum(0) - sizes).repeat_interleave(sizes)  # of each node's graph
    degree = sizes.repeat_interleave(sizes)
    target = torch.arange(degree.numel(), device=degree.device).repeat_interleave(degree)
    before = degree.cumsum(0) - degree  # edges of the targets before this one
    edges = torch.arange(target.numel(), device=target.device)
    return torch.stack([edges + (first - before)[target], target])


def window_edges(
    num_graphs: int,
    num_frames: int,
    num_patches: int,
    window: int,
    device: torch.device | str | None = None,
) -> Integer[Tensor, "2 E"]:
    """The edges among the patches of neighbouring frames, one graph a video, with self-loops.

    Args:
        num_graphs: The number B of videos.
        num_frames: The number T of frames of each video.
        num_patches: The number P of patches of each frame.
        window: The largest distance of two frames whose patches are all joined; 0 joins each frame
            with itself alone, ``num_frames - 1`` gives complete graphs.
        device: The device of the result.

    Returns:
        ``edge_index`` of shape ``[2, E]``, sorted by target.

    Example:
        >>> window_edges(num_graphs=1, num_frames=3, num_patches=1, window=1)
        tensor([[0, 1, 0, 1, 2, 1, 2],
                [0, 0, 1, 1, 1, 2, 2]])
    """
    num_graphs = whole_number("num_graphs", num_graphs, at_least=0)
    num_frames = whole_number("num_frames", num_frames, at_least=0)
    num_patches = whole_number("num_patches", num_patches, at_least=0)
    window = whole_number("window", window, at_least=0)
    frame = torch.arange(num_frames, device=device).repeat_interleave(num_patches)
    joined = (frame.unsqueeze(1) - frame.unsqueeze(0)).abs() <= window
    target, source = joined.nonzero().unbind(1)
    first = torch.arange(num_graphs, device=device).unsqueeze(1) * (num_frames * num_patches)
    return torch.stack([(first + source).flatten(), (first + target).flatten()])


def top_k_edges(a: Float[Tensor, "G N N"], k: int) -> Integer[Tensor, "2 E"]:
    """The edges from each node's k strongest neighbours, itself among them if it is one.

    Args:
        a: Affinities in blocks, ``[G, N, N]``: what an affinity layer gives with ``graph_size``.
        k: The number of neighbours that a node gathers from, in 1..N.

    Returns:
        ``edge_index`` of shape ``[2, G * N * k]``, sorted by target.

    Example:
        >>> top_k_edges(torch.tensor([[[0.9, 0.1], [0.8, 0.2]]]), k=1)
        tensor([[0, 0],
                [0, 1]])
    """
    if a.dim() != 3 or a.size(1) != a.size(2):
        raise ValueError(f"a must be [graphs, size, size], got {tuple(a.shape)}")
    num_graphs, graph_size, _ = a.shape
    k = whole_number("k", k)
    if not 1 <= k <= graph_size:
        raise ValueError(f"k must lie in 1..{graph_size}, the size of the graphs, got {k}")
    first = torch.arange(num_graphs, device=a.device).view(-1, 1, 1) * graph_size
    source = a.topk(k, dim=2).indices + first
    target = torch.arange(num_graphs * graph_size, device=a.device).repeat_interleave(k)
    return torch.stack([source.flatten(), target])
