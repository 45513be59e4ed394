"""Which nodes are joined: complete graphs, frames, neighbouring frames, body parts, skeletons.

Each function raises `ValueError` for a number that is too small or no whole number.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stgcn_pyg.layers.checks import Integer, note_complete, whole_number, whole_numbers

# The bones of common skeletons, as pairs of joints counted from 0.
COCO = [
    *[(15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8)],
    *[(7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)],
]
OPENPOSE = [  # the 18 joints of its COCO model: the neck is joint 1
    *[(0, 1), (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10)],
    *[(1, 11), (11, 12), (12, 13), (0, 14), (14, 16), (0, 15), (15, 17)],
]
NTU = [  # joint 20 is the spine between the shoulders
    *[(0, 1), (1, 20), (2, 20), (3, 2), (4, 20), (5, 4), (6, 5), (7, 6), (8, 20), (9, 8)],
    *[(10, 9), (11, 10), (12, 0), (13, 12), (14, 13), (15, 14), (16, 0), (17, 16), (18, 17)],
    *[(19, 18), (21, 22), (22, 7), (23, 24), (24, 11)],
]
SKELETONS = {"coco": COCO, "openpose": OPENPOSE, "ntu": NTU}


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
    if device is None:
        device = sizes.device if isinstance(sizes, Tensor) else "cpu"
    sizes = whole_numbers("sizes", sizes)
    known = not torch.compiler.is_compiling()
    if known:
        sizes = sizes.cpu()  # where the numbers of nodes and edges can be read
    num_nodes = int(sizes.sum()) if known else None
    num_edges = int(sizes.square().sum()) if known else None
    host, sizes = sizes, sizes.to(device, non_blocking=True)
    of_node = torch.stack([sizes.cumsum(0) - sizes, sizes])
    first, degree = of_node.repeat_interleave(sizes, dim=1, output_size=num_nodes)
    nodes = torch.arange(degree.numel(), device=device)
    target = nodes.repeat_interleave(degree, output_size=num_edges)
    before = degree.cumsum(0) - degree  # edges of the targets before this one
    edges = torch.arange(target.numel(), device=device)
    edge_index = torch.stack([edges + (first - before).index_select(0, target), target])
    if known:
        note_complete(edge_index, host)
    return edge_index


def frame_edges(
    num_graphs: int, num_frames: int, num_patches: int, device: torch.device | str | None = None
) -> Integer[Tensor, "2 E"]:
    """The edges among the patches of each frame, with self-loops; no frame is joined with another.

    The nodes are those of :func:`window_edges`: the patches of a video, frame after frame.

    Args:
        num_graphs: The number B of videos.
        num_frames: The number T of frames of each video.
        num_patches: The number P of patches of each frame.
        device: The device of the result.

    Returns:
        ``edge_index`` of shape ``[2, B * T * P * P]``, sorted by target.

    Example:
        >>> frame_edges(num_graphs=1, num_frames=2, num_patches=2)
        tensor([[0, 1, 0, 1, 2, 3, 2, 3],
                [0, 0, 1, 1, 2, 2, 3, 3]])
    """
    num_graphs = whole_number("num_graphs", num_graphs, at_least=0)
    num_frames = whole_number("num_frames", num_frames, at_least=0)
    return complete_edges(num_graphs * num_frames, num_patches, device)


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
    num_patches = whole_number("num_patches", num_patches, at_least=0)
    target, source = _within_window(num_frames, window)
    # Frames become blocks of patches: each patch of one with each of the other.
    patch = torch.arange(num_patches)
    target = (target.view(-1, 1, 1) * num_patches + patch.view(-1, 1)).expand(
        -1, num_patches, num_patches
    )
    source = (source.view(-1, 1, 1) * num_patches + patch).expand(-1, num_patches, num_patches)
    edges = _sorted_by_target(torch.stack([source.flatten(), target.flatten()]))
    return _repeated(edges, num_graphs, num_frames * num_patches, device)


def part_edges(
    num_graphs: int,
    num_frames: int,
    num_patches: int,
    window: int = 1,
    device: torch.device | str | None = None,
) -> Integer[Tensor, "2 E"]:
    """The edges between the same patch of neighbouring frames, one graph a video, with self-loops.

    Args:
        num_graphs: The number B of videos.
        num_frames: The number T of frames of each video.
        num_patches: The number P of patches, or body parts, of each frame.
        window: The largest distance of two frames whose same patches are joined.
        device: The device of the result.

    Returns:
        ``edge_index`` of shape ``[2, E]``, sorted by target.

    Example:
        >>> part_edges(num_graphs=1, num_frames=2, num_patches=2)
        tensor([[0, 2, 1, 3, 0, 2, 1, 3],
                [0, 0, 1, 1, 2, 2, 3, 3]])
    """
    num_patches = whole_number("num_patches", num_patches, at_least=0)
    target, source = _within_window(num_frames, window)
    patch = torch.arange(num_patches).view(-1, 1)
    edges = torch.stack([(ends * num_patches + patch).flatten() for ends in (source, target)])
    return _repeated(_sorted_by_target(edges), num_graphs, num_frames * num_patches, device)


def skeleton_edges(
    skeleton: str | Sequence[Any],
    num_graphs: int = 1,
    num_frames: int = 1,
    num_joints: int | None = None,
    device: torch.device | str | None = None,
) -> Integer[Tensor, "2 E"]:
    """The edges along the bones of a skeleton, in both directions, with self-loops.

    Of more than one frame, each joint is also joined with itself in the frames before and after,
    as in ST-GCN (Yan et al., AAAI 2018).

    Args:
        skeleton: ``"coco"`` (17 joints), ``"openpose"`` (18 joints) or ``"ntu"`` (the 25 joints of
            NTU RGB+D); or the bones as pairs of joints, counted from 0.
        num_graphs: The number B of graphs: of skeletons, or of tracklets of them.
        num_frames: The number T of frames of each graph. Its nodes are the joints, frame after
            frame.
        num_joints: The number of joints, if bones are given; their largest joint and 1 if not.
        device: The device of the result.

    Returns:
        ``edge_index`` of shape ``[2, E]``, sorted by target.

    Raises:
        ValueError: The skeleton is not known, or a bone has a joint that does not exist.

    Example:
        >>> skeleton_edges("coco").shape  # 19 bones in both directions and 17 self-loops
        torch.Size([2, 55])
        >>> skeleton_edges([(0, 1)], num_frames=2)
        tensor([[0, 1, 2, 0, 1, 3, 0, 2, 3, 1, 2, 3],
                [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]])
    """
    num_frames = whole_number("num_frames", num_frames, at_least=0)
    if isinstance(skeleton, str) and skeleton not in SKELETONS:
        raise ValueError(f"skeleton must be one of {tuple(SKELETONS)}, got {skeleton!r}")
    pairs: Sequence[Any] = [*(SKELETONS[skeleton] if isinstance(skeleton, str) else skeleton)]
    bones = [(whole_number("a joint", i), whole_number("a joint", j)) for i, j in pairs]
    joints = {joint for bone in bones for joint in bone}
    if num_joints is None:
        num_joints = max(joints, default=-1) + 1
    num_joints = whole_number("num_joints", num_joints, at_least=0)
    if joints and not 0 <= min(joints) <= max(joints) < num_joints:
        raise ValueError(
            f"num_joints={num_joints} joints are 0 to {num_joints - 1}, but skeleton holds a bone "
            f"of joint {min(joints) if min(joints) < 0 else max(joints)}"
        )
    one = {(i, i) for i in range(num_joints)} | {*bones} | {(j, i) for i, j in bones}
    joined = {(i + t * num_joints, j + t * num_joints) for i, j in one for t in range(num_frames)}
    later = range(num_joints, num_frames * num_joints)
    joined |= {(i, i - num_joints) for i in later} | {(i - num_joints, i) for i in later}
    target, source = torch.tensor(sorted(joined), dtype=torch.long).view(-1, 2).T
    return _repeated(torch.stack([source, target]), num_graphs, num_frames * num_joints, device)


def _repeated(
    edges: Tensor, num_graphs: int, num_nodes: int, device: torch.device | str | None = None
) -> Tensor:
    """The edges `[2, E]` of one graph of `num_nodes` nodes, for each graph of a batch."""
    num_graphs = whole_number("num_graphs", num_graphs, at_least=0)
    first = torch.arange(num_graphs, device=device).view(-1, 1) * num_nodes
    return (edges.to(first.device).unsqueeze(1) + first).flatten(1)


def _sorted_by_target(edges: Tensor) -> Tensor:
    """The edges `[2, E]` in the order of their targets, those of one by their sources."""
    edges = edges[:, edges[0].argsort(stable=True)]
    return edges[:, edges[1].argsort(stable=True)]


def _within_window(num_frames: int, window: int) -> tuple[Tensor, Tensor]:
    """The pairs of frames that are at most `window` apart."""
    num_frames = whole_number("num_frames", num_frames, at_least=0)
    window = whole_number("window", window, at_least=0)
    frames = range(num_frames)
    near = [(i, j) for i in frames for j in frames if abs(i - j) <= window]
    target, source = torch.tensor(near, dtype=torch.long).view(-1, 2).T
    return target, source
