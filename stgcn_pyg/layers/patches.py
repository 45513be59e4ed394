"""From feature maps to graphs: horizontal patches as nodes, held in PyG batches."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.data import Batch


def patch_nodes(feature_maps: Tensor, num_patches: int) -> Tensor:
    """Cuts feature maps into horizontal patches and averages each (section 3.1).

    Args:
        feature_maps: ``[F, C, h, w]``, one map a frame.
        num_patches: The number P of patches, from top to bottom. Where P does not divide h,
            neighbouring patches share a row, as in adaptive average pooling.

    Returns:
        The patch features ``[F, P, C]``.

    Raises:
        ValueError: The maps have fewer rows than ``num_patches``, or not four dimensions.

    Example:
        >>> patch_nodes(torch.randn(8, 512, 16, 8), num_patches=4).shape
        torch.Size([8, 4, 512])
    """
    if feature_maps.dim() != 4:
        raise ValueError(
            f"feature_maps must be [frames, channels, height, width], "
            f"got {tuple(feature_maps.shape)}"
        )
    if not 1 <= num_patches <= feature_maps.size(2):
        raise ValueError(
            f"num_patches must lie in 1..{feature_maps.size(2)}, the height of the feature maps "
            f"{tuple(feature_maps.shape)}, got {num_patches}"
        )
    return F.adaptive_avg_pool2d(feature_maps, (num_patches, 1)).squeeze(3).mT


def temporal_graphs(nodes: Tensor, num_frames: int) -> Batch:
    """One complete graph a video over all patches of its frames (section 3.3).

    Args:
        nodes: Patch features ``[B * T, P, C]``, the frames of a video in a row.
        num_frames: The number T of frames a video.

    Returns:
        A batch of B graphs of T * P nodes each; ``x`` is ``[B * T * P, C]``.

    Raises:
        ValueError: The frames do not divide into videos of ``num_frames``.

    Example:
        >>> temporal_graphs(torch.randn(6, 4, 512), num_frames=3)
        DataBatch(x=[24, 512], edge_index=[2, 288], batch=[24], ptr=[3])
    """
    _check_nodes(nodes)
    frames, patches, channels = nodes.shape
    if num_frames < 1 or frames % num_frames:
        raise ValueError(
            f"nodes {tuple(nodes.shape)} hold {frames} frames, "
            f"which is no multiple of num_frames={num_frames}"
        )
    return _complete_batch(nodes.reshape(-1, channels), num_frames * patches)


def spatial_graphs(nodes: Tensor) -> Batch:
    """One complete graph a frame over its patches (section 3.4).

    Args:
        nodes: Patch features ``[B * T, P, C]``.

    Returns:
        A batch of B * T graphs of P nodes each; ``x`` is ``[B * T * P, C]``.

    Example:
        >>> spatial_graphs(torch.randn(6, 4, 512)).num_graphs
        6
    """
    _check_nodes(nodes)
    return _complete_batch(nodes.reshape(-1, nodes.size(2)), nodes.size(1))


def complete_graphs(
    num_graphs: int, graph_size: int, device: torch.device | str | None = None
) -> Tensor:
    """The edges of complete graphs with self-loops, in the order of ``[G, N, N]`` blocks.

    Entry (g, i, j) of the blocks is the edge j -> i of graph g: row i gathers from j.

    Args:
        num_graphs: The number G of graphs.
        graph_size: The number N of nodes of each.
        device: Where the edges are made.

    Returns:
        ``edge_index`` of shape ``[2, G * N * N]``; row 0 holds j, row 1 holds i.

    Example:
        >>> complete_graphs(num_graphs=1, graph_size=2)
        tensor([[0, 1, 0, 1],
                [0, 0, 1, 1]])
    """
    nodes = torch.arange(num_graphs * graph_size, device=device).view(num_graphs, graph_size)
    blocks = (num_graphs, graph_size, graph_size)
    source = nodes.unsqueeze(1).expand(blocks)
    target = nodes.unsqueeze(2).expand(blocks)
    return torch.stack([source.reshape(-1), target.reshape(-1)])


def _check_nodes(nodes: Tensor) -> None:
    if nodes.dim() != 3:
        raise ValueError(f"nodes must be [frames, patches, channels], got {tuple(nodes.shape)}")


def _complete_batch(x: Tensor, graph_size: int) -> Batch:
    """G complete graphs as `Batch.from_data_list` would collate them, without its Python loop."""
    num_graphs = x.size(0) // graph_size
    ptr = torch.arange(num_graphs + 1, device=x.device) * graph_size
    batch = Batch(
        x=x,
        edge_index=complete_graphs(num_graphs, graph_size, device=x.device),
        batch=torch.arange(num_graphs, device=x.device).repeat_interleave(graph_size),
        ptr=ptr,
    )
    # What `to_data_list` and `get_example` cut by.
    batch._num_graphs = num_graphs
    batch._slice_dict = {"x": ptr, "edge_index": ptr * graph_size}
    batch._inc_dict = {"x": torch.zeros_like(ptr[:-1]), "edge_index": ptr[:-1]}
    return batch
