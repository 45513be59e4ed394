"""From feature maps to graphs: horizontal patches as nodes, held in PyG batches."""

from collections.abc import Sequence
from typing import NamedTuple, SupportsIndex, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.data import Batch

from stgcn_pyg.layers.checks import INTEGERS, whole_number, whole_numbers
from stgcn_pyg.layers.edges import complete_edges, ragged_edges
from stgcn_pyg.layers.shapes import Float, Integer


def patch_nodes(feature_maps: Float[Tensor, "F C h w"], num_patches: int) -> Float[Tensor, "F P C"]:
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


def temporal_graphs(
    nodes: Float[Tensor, "F P C"],
    num_frames: SupportsIndex | Sequence[int] | Integer[Tensor, " B"],
) -> Batch:
    """One complete graph a video over all patches of its frames (section 3.3).

    Args:
        nodes: Patch features ``[F, P, C]`` of all videos, the frames of a video in a row.
        num_frames: The number T of frames a video, of any integral type, or the number of each of
            the B videos, where they differ.

    Returns:
        A batch of B graphs of T * P nodes each; ``x`` is ``[F * P, C]``.

    Raises:
        ValueError: The frames do not divide into videos of ``num_frames``, or have no patch.

    Example:
        >>> temporal_graphs(torch.randn(6, 4, 512), num_frames=3)
        DataBatch(x=[24, 512], edge_index=[2, 288], batch=[24], ptr=[3])
        >>> temporal_graphs(torch.randn(6, 4, 512), num_frames=[1, 5])
        DataBatch(x=[24, 512], edge_index=[2, 416], batch=[24], ptr=[3])
    """
    if nodes.dim() != 3 or nodes.size(1) < 1:
        raise ValueError(
            f"nodes must be [frames, patches, channels] with one patch or more, "
            f"got {tuple(nodes.shape)}"
        )
    frames, patches, channels = nodes.shape
    x = nodes.reshape(-1, channels)
    if not isinstance(num_frames, INTEGERS) and (
        isinstance(num_frames, Sequence) or getattr(num_frames, "shape", ()) != ()
    ):
        lengths = whole_numbers("num_frames", num_frames, nodes.device)
        if int(lengths.sum()) != frames:
            raise ValueError(
                f"num_frames of the videos must add up to the {frames} frames of "
                f"nodes {tuple(nodes.shape)}, got {lengths.tolist()}"
            )
        sizes = lengths * patches
        ptr, edge_ptr = (F.pad(n.cumsum(0), (1, 0)) for n in (sizes, sizes.square()))
        batch = torch.arange(sizes.numel(), device=x.device).repeat_interleave(sizes)
        return _collated(x, ragged_edges(sizes), batch, ptr, edge_ptr)
    num_frames = whole_number("num_frames", num_frames)
    if num_frames < 1 or frames % num_frames:
        raise ValueError(
            f"nodes {tuple(nodes.shape)} hold {frames} frames, "
            f"which is no multiple of num_frames={num_frames}"
        )
    num_graphs, size = frames // num_frames, num_frames * patches
    edge_index = complete_edges(num_graphs, size, device=x.device)
    ptr = torch.arange(num_graphs + 1, device=x.device) * size
    batch = torch.arange(num_graphs, device=x.device).repeat_interleave(size)
    return _collated(x, edge_index, batch, ptr, ptr * size)


def spatial_graphs(nodes: Float[Tensor, "F P C"]) -> Batch:
    """One complete graph a frame over its patches (section 3.4).

    Args:
        nodes: Patch features ``[B * T, P, C]``.

    Returns:
        A batch of B * T graphs of P nodes each; ``x`` is ``[B * T * P, C]``.

    Example:
        >>> spatial_graphs(torch.randn(6, 4, 512)).num_graphs
        6
    """
    return temporal_graphs(nodes, num_frames=1)


class _Fields(NamedTuple):
    x: Tensor
    edge_index: Tensor
    batch: Tensor
    ptr: Tensor


def _collated(x: Tensor, edge_index: Tensor, batch: Tensor, ptr: Tensor, edge_ptr: Tensor) -> Batch:
    """The batch that `Batch.from_data_list` collates graph by graph, without its Python loop."""
    if torch.compiler.is_compiling():
        # The compiler cannot follow how a Batch is made; to it, the fields are all that counts.
        return cast(Batch, _Fields(x, edge_index, batch, ptr))
    graphs = Batch(x=x, edge_index=edge_index, batch=batch, ptr=ptr)
    # What `to_data_list` and `get_example` cut by.
    graphs._num_graphs = ptr.numel() - 1
    graphs._slice_dict = {"x": ptr, "edge_index": edge_ptr}
    graphs._inc_dict = {"x": torch.zeros_like(ptr[:-1]), "edge_index": ptr[:-1]}
    return graphs
