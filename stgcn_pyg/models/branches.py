"""The three branches of the paper: global, temporal (TGCN) and spatial (SGCN)."""

from typing import Any, Literal

from torch import Tensor, nn
from torch_geometric.data import Batch

from stgcn_pyg.layers import (
    AffinityGCN,
    patch_nodes,
    pool_graphs,
    renormalize,
    spatial_graphs,
    temporal_graphs,
)
from stgcn_pyg.layers.gcn import AffinityName
from stgcn_pyg.models.fully_connected import FullyConnected

Propagation = Literal["gcn", "fc"]
Pooling = Literal["max", "mean"]


class GlobalBranch(nn.Module):
    """Averages each feature map, then the frames (section 3.5).

    Args:
        channels: The width C of the feature maps.

    Shapes:
        - Input: feature maps ``[B * T, C, h, w]``.
        - Output: features ``[B, C]``.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.out_channels = channels

    def forward(self, feature_maps: Tensor, num_frames: int) -> Tensor:
        """The appearance feature of each video."""
        return feature_maps.mean(dim=(2, 3)).unflatten(0, (-1, num_frames)).mean(dim=1)


class _GraphBranch(nn.Module):
    """A branch that runs a stack on graphs whose nodes are the patches of feature maps."""

    gcn: AffinityGCN | FullyConnected
    num_patches: int
    pooling: Pooling
    joins_frames: bool  # whether a graph holds all frames of a video, or one frame

    def graphs(self, feature_maps: Tensor, num_frames: int) -> tuple[Batch, int]:
        """The graphs before any layer, and the number of nodes of each."""
        nodes = patch_nodes(feature_maps, self.num_patches)
        if self.joins_frames:
            return temporal_graphs(nodes, num_frames), num_frames * self.num_patches
        return spatial_graphs(nodes), self.num_patches

    def pooled(self, feature_maps: Tensor, num_frames: int) -> Tensor:
        """The nodes of each graph behind the last layer, pooled: ``[G, D]``."""
        graphs, size = self.graphs(feature_maps, num_frames)
        return pool_graphs(self.transformed(graphs, size), self.pooling, graph_size=size)

    def transformed(self, graphs: Batch, graph_size: int) -> Tensor:
        """The nodes behind the last layer, ``[V, D]``."""
        if isinstance(self.gcn, FullyConnected):
            return self.gcn(graphs.x, graph_size)
        return self.gcn(graphs.x, graphs.edge_index, graph_size=graph_size)

    def edge_weights(self, feature_maps: Tensor, num_frames: int) -> Tensor:
        r""":math:`\hat A` of each graph (Eq. 4), ``[G, N, N]``: row i gathers from j."""
        if isinstance(self.gcn, FullyConnected):
            raise ValueError('edge weights need propagation="gcn": "fc" has no affinity')
        graphs, size = self.graphs(feature_maps, num_frames)
        return renormalize(self.gcn.affinity(graphs.x, graphs.edge_index, graph_size=size))


def _stack(
    propagation: Propagation, affinity: AffinityName, *widths: int, **options: Any
) -> AffinityGCN | FullyConnected:
    if propagation not in ("gcn", "fc"):
        raise ValueError(f'propagation must be "gcn" or "fc", got {propagation!r}')
    if propagation == "fc":
        return FullyConnected(*widths, **options)
    return AffinityGCN(*widths, affinity=affinity, **options)


class TemporalBranch(_GraphBranch):
    """TGCN: one graph a video over the patches of all frames, pooled (section 3.3).

    Args:
        channels: The width C of the feature maps, and of every layer.
        num_layers: The number M of layers.
        num_patches: The number P of patches of each frame.
        propagation: ``"gcn"``, or ``"fc"`` for TFCN (Table 4).
        affinity: ``"squared"`` as in the paper, ``"softmax"`` or ``"cosine"``.
        pooling: ``"max"`` over the nodes of a graph as in the paper, or their ``"mean"``.

    Shapes:
        - Input: feature maps ``[B * T, C, h, w]``.
        - Output: features ``[B, C]``.
    """

    joins_frames = True

    def __init__(
        self,
        channels: int,
        num_layers: int = 3,
        num_patches: int = 4,
        propagation: Propagation = "gcn",
        affinity: AffinityName = "squared",
        pooling: Pooling = "max",
    ):
        super().__init__()
        self.pooling = pooling
        self.num_patches = num_patches
        self.out_channels = channels
        self.gcn = _stack(propagation, affinity, channels, channels, num_layers)

    def forward(self, feature_maps: Tensor, num_frames: int) -> Tensor:
        """The temporal feature of each video."""
        return self.pooled(feature_maps, num_frames)


class SpatialBranch(_GraphBranch):
    """SGCN: one graph a frame over its patches, pooled, frames side by side (section 3.4).

    Args:
        channels: The width C of the feature maps.
        num_frames: The number T of frames of a video.
        num_layers: The number K of layers.
        num_patches: The number P of patches of each frame.
        propagation: ``"gcn"``, or ``"fc"`` for SFCN (Table 4).
        frame_channels: The width of a frame's feature, and of every layer.
        hidden_channels: The width of the layers before the last; ``frame_channels`` if not given.
        weights: ``"per-frame"`` (the :math:`W_i^k` of Eq. 7) or ``"shared"`` by all frames.
        shortcut: Whether layers from the second on add their input (a residual), as in TGCN.
        affinity: ``"squared"`` as in the paper, ``"softmax"`` or ``"cosine"``.
        pooling: ``"max"`` over the nodes of a graph as in the paper, or their ``"mean"``.

    Shapes:
        - Input: feature maps ``[B * T, C, h, w]``.
        - Output: features ``[B, T * frame_channels]``.
    """

    joins_frames = False

    def __init__(
        self,
        channels: int,
        num_frames: int,
        num_layers: int = 2,
        num_patches: int = 4,
        propagation: Propagation = "gcn",
        frame_channels: int = 256,
        hidden_channels: int | None = None,
        weights: Literal["per-frame", "shared"] = "per-frame",
        shortcut: bool = True,
        affinity: AffinityName = "squared",
        pooling: Pooling = "max",
    ):
        super().__init__()
        self.pooling = pooling
        if weights not in ("per-frame", "shared"):
            raise ValueError(f'weights must be "per-frame" or "shared", got {weights!r}')
        self.num_patches = num_patches
        self.out_channels = num_frames * frame_channels
        self.gcn = _stack(
            propagation,
            affinity,
            channels,
            frame_channels if hidden_channels is None else hidden_channels,
            num_layers,
            frame_channels,
            num_frames=num_frames if weights == "per-frame" else None,
            residual=shortcut,
        )

    def forward(self, feature_maps: Tensor, num_frames: int) -> Tensor:
        """The structural feature of each video."""
        frames = self.pooled(feature_maps, num_frames)  # [B * T, frame_channels]
        return frames.unflatten(0, (-1, num_frames)).flatten(1)


Branch = GlobalBranch | TemporalBranch | SpatialBranch
