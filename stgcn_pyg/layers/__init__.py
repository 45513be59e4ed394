"""The paper's graph layers, for use in any model. They need only torch and PyTorch Geometric.

patch_nodes                      feature maps -> patch nodes
temporal_graphs, spatial_graphs  patch nodes -> PyG batches of complete graphs
complete_edges, ragged_edges     the edges of complete graphs, equal or of any sizes
frame_edges, window_edges        the edges within each frame, and between neighbouring frames
part_edges, skeleton_edges       the edges of a body part through time, and along bones
top_k_edges, top_k_mask          the strongest neighbours of each node, as edges or as a mask
SquaredAffinity                  node features -> edge weights A (Eq. 2-3)
SoftmaxAffinity, CosineAffinity  two other affinities, to compare with
Affinity, Neighbours             the base of your own affinity, and what it computes with
renormalize, renormalize_edges   A -> Â (Eq. 4)
AffinityConv                     one graph convolution Â X W (Eq. 5 and 7)
PerFrameLinear                   one W for each frame position (Eq. 7)
AffinityGCN                      the whole stack (Eq. 2-7)
DenseAffinityGCN                 the same on dense batches [B, N, C] with a mask, without edges
pool_graphs                      nodes -> one feature for each graph
"""

import warnings
from typing import Any

from stgcn_pyg.layers.affinity import Affinity, CosineAffinity, SoftmaxAffinity, SquaredAffinity
from stgcn_pyg.layers.conv import AffinityConv
from stgcn_pyg.layers.dense import DenseAffinityGCN
from stgcn_pyg.layers.edges import (
    complete_edges,
    frame_edges,
    part_edges,
    ragged_edges,
    skeleton_edges,
    window_edges,
)
from stgcn_pyg.layers.functional import (
    cosine_affinity,
    renormalize,
    renormalize_edges,
    softmax_affinity,
    squared_affinity,
)
from stgcn_pyg.layers.gcn import AffinityGCN
from stgcn_pyg.layers.linear import PerFrameLinear
from stgcn_pyg.layers.neighbours import Neighbours
from stgcn_pyg.layers.patches import patch_nodes, pool_graphs, spatial_graphs, temporal_graphs
from stgcn_pyg.layers.top_k import top_k_edges, top_k_mask

__all__ = [
    "Affinity",
    "AffinityConv",
    "AffinityGCN",
    "CosineAffinity",
    "DenseAffinityGCN",
    "Neighbours",
    "PerFrameLinear",
    "SoftmaxAffinity",
    "SquaredAffinity",
    "complete_edges",
    "cosine_affinity",
    "frame_edges",
    "part_edges",
    "patch_nodes",
    "pool_graphs",
    "ragged_edges",
    "renormalize",
    "renormalize_edges",
    "skeleton_edges",
    "softmax_affinity",
    "spatial_graphs",
    "squared_affinity",
    "temporal_graphs",
    "top_k_edges",
    "top_k_mask",
    "window_edges",
]

# Old name -> new name. Version 0.2 removes the old names.
_RENAMED = {
    "complete_graphs": "complete_edges",
    "ragged_graphs": "ragged_edges",
    "window_graphs": "window_edges",
    "top_k_graphs": "top_k_edges",
    "FrameLinear": "PerFrameLinear",
}


def __getattr__(name: str) -> Any:
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"{name} is now called {_RENAMED[name]}", FutureWarning, stacklevel=2)
    return globals()[_RENAMED[name]]
