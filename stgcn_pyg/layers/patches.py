"""From feature maps to graphs of horizontal patches, and from graphs to one feature each."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, SupportsIndex, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.data import Batch

from stgcn_pyg.layers.checks import (
    INTEGERS,
    Bool,
    Float,
    Integer,
    check_tensor,
    note_on_host,
    whole_number,
    whole_numbers,
)
from stgcn_pyg.layers.edges import complete_edges, ragged_edges
from stgcn_pyg.layers.routes import dense_layout, layout_of_nodes


def patch_nodes(feature_maps: Float[Tensor, "F C h w"], num_patches: int) -> Float[Tensor, "F P C"]:
    """Cuts feature maps into horizontal patches and averages each (section 3.1).

    Args:
        feature_maps: ``[F, C, h, w]``, one map for each frame.
        num_patches: The number P of patches, from top to bottom. If P does not divide h,
            neighbouring patches share a row, as in adaptive average pooling.

    Returns:
        The patch features ``[F, P, C]``.

    Raises:
        ValueError: The maps have fewer rows than ``num_patches``, or not four dimensions.

    Example:
        >>> patch_nodes(torch.randn(8, 512, 16, 8), num_patches=4).shape
        torch.Size([8, 4, 512])
    """
    check_tensor("feature_maps", feature_maps)
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
    """One complete graph for each video, over all patches of its frames (section 3.3).

    Args:
        nodes: Patch features ``[F, P, C]`` of all videos, video after video.
        num_frames: The number T of frames of every video, or a list or tensor with the number of
            frames of each of the B videos.

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
    check_tensor("nodes", nodes)
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
        lengths = whole_numbers("num_frames", num_frames)
        if not torch.compiler.is_compiling() and int(lengths.sum()) != frames:
            raise ValueError(
                f"num_frames of the videos must add up to the {frames} frames of "
                f"nodes {tuple(nodes.shape)}, got {lengths.tolist()}"
            )
        sizes = lengths * patches
        host = torch.stack([F.pad(n.cumsum(0), (1, 0)) for n in (sizes, sizes.square())])
        ptr, edge_ptr = host.to(x.device, non_blocking=True)
        note_on_host(ptr, host[0])
        graphs = torch.arange(sizes.numel(), device=x.device)
        batch = graphs.repeat_interleave(ptr.diff(), output_size=x.size(0))
        return _collated(x, ragged_edges(sizes, x.device), batch, ptr, edge_ptr)
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
    """One complete graph for each frame, over its patches (section 3.4).

    Args:
        nodes: Patch features ``[B * T, P, C]``.

    Returns:
        A batch of B * T graphs of P nodes each; ``x`` is ``[B * T * P, C]``.

    Example:
        >>> spatial_graphs(torch.randn(6, 4, 512)).num_graphs
        6
    """
    return temporal_graphs(nodes, num_frames=1)


def pool_graphs(
    x: Float[Tensor, "*_ C"],
    reduce: Literal["max", "mean", "sum"] = "max",
    *,
    mask: Bool[Tensor, "*_ N"] | None = None,
    graph_size: int | None = None,
    batch: Integer[Tensor, " V"] | None = None,
    ptr: Integer[Tensor, " _"] | None = None,
    batch_size: int | None = None,
) -> Float[Tensor, "*graphs C"]:
    """Pools the nodes of each graph: the maximum, as at the end of the paper's two branches.

    A graph without nodes gives zeros. NaN and infinities are kept. Sums of float16 and bfloat16
    are computed in float32 and rounded once, at the end.

    Args:
        x: The nodes ``[V, C]``, graph after graph; or a dense batch ``[..., N, C]``.
        reduce: ``"max"``, ``"mean"`` or ``"sum"``.
        mask: Which nodes of a dense batch exist, ``[..., N]``; all if not given.
        graph_size: The number N of nodes of each graph, if all have the same number. Otherwise
            pass ``batch`` or ``ptr``.
        batch: The graph of each node, sorted, ``[V]``.
        ptr: The first node of each graph, and V at the end, ``[G + 1]``.
        batch_size: The number G of graphs (``num_graphs`` of a PyG ``Batch``). Needed only with
            ``batch``, if the last graphs may have no nodes.

    Returns:
        One feature a graph, ``[G, C]``; of a dense batch ``[..., C]``.

    Raises:
        ValueError: A shape or an option does not fit; the message names the argument.

    Example:
        >>> x = torch.tensor([[1.0], [5.0], [3.0], [2.0]])
        >>> pool_graphs(x, graph_size=2)
        tensor([[5.],
                [3.]])
        >>> pool_graphs(x, "mean", batch=torch.tensor([0, 1, 1, 1]))
        tensor([[1.0000],
                [3.3333]])
        >>> pool_graphs(x, batch=torch.tensor([0, 1, 1, 1]), batch_size=3)
        tensor([[1.],
                [5.],
                [0.]])
        >>> pool_graphs(x.view(2, 2, 1), mask=torch.tensor([[True, False], [True, True]]))
        tensor([[1.],
                [3.]])
    """
    if not isinstance(reduce, str) or reduce not in ("max", "mean", "sum"):
        by_name = ": pass it by its name, batch= or ptr=" if isinstance(reduce, Tensor) else ""
        raise ValueError(f'reduce must be "max", "mean" or "sum", got {reduce!r}{by_name}')
    check_tensor("x", x)
    if x.dim() <= 2 and mask is None:
        return layout_of_nodes(x, -1, graph_size, batch, ptr, batch_size).pool(x, reduce)
    if not graph_size is batch is ptr is batch_size is None:
        raise ValueError(
            f"x {tuple(x.shape)} is a dense batch: leave out graph_size, batch, ptr and batch_size"
        )
    nodes, layout = dense_layout(x, -1, mask)
    return layout.pool(nodes, reduce).view(*x.shape[:-2], x.size(-1))


class _Fields(NamedTuple):
    x: Tensor
    edge_index: Tensor
    batch: Tensor
    ptr: Tensor


def _collated(x: Tensor, edge_index: Tensor, batch: Tensor, ptr: Tensor, edge_ptr: Tensor) -> Batch:
    """The batch that `Batch.from_data_list` collates graph by graph, without its Python loop."""
    if torch.compiler.is_compiling():
        # The compiler cannot follow how a Batch is made, and needs only its fields.
        return cast(Batch, _Fields(x, edge_index, batch, ptr))
    graphs = Batch(x=x, edge_index=edge_index, batch=batch, ptr=ptr)
    # `to_data_list` and `get_example` separate the graphs by these.
    graphs._num_graphs = ptr.numel() - 1
    graphs._slice_dict = {"x": ptr, "edge_index": edge_ptr}
    graphs._inc_dict = {"x": torch.zeros_like(ptr[:-1]), "edge_index": ptr[:-1]}
    return graphs
