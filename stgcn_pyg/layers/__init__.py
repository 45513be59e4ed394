"""The paper's graph layers, for use in any model. Needs torch and PyTorch Geometric alone.

patch_nodes                      feature maps -> patch nodes
temporal_graphs, spatial_graphs  patch nodes -> PyG batches of complete graphs
complete_graphs, ragged_graphs   the edges of complete graphs, equal or of any sizes
window_graphs, top_k_graphs      the edges of neighbouring frames, of the strongest neighbours
SquaredAffinity                  node features -> edge weights A (Eq. 2-3)
SoftmaxAffinity, CosineAffinity  two others, to compare with
renormalize, renormalize_edges   A -> Â (Eq. 4)
AffinityConv                     one graph convolution Â X W (Eq. 5 and 7)
FrameLinear                      one W a frame position (Eq. 7)
AffinityGCN                      the whole stack (Eq. 2-7)
pool_graphs                      nodes -> one feature a graph
"""

from stgcn_pyg.layers.affinity import CosineAffinity, SoftmaxAffinity, SquaredAffinity
from stgcn_pyg.layers.conv import AffinityConv, FrameLinear
from stgcn_pyg.layers.edges import complete_graphs, ragged_graphs, top_k_graphs, window_graphs
from stgcn_pyg.layers.functional import (
    cosine_affinity,
    renormalize,
    renormalize_edges,
    softmax_affinity,
    squared_affinity,
)
from stgcn_pyg.layers.gcn import AffinityGCN
from stgcn_pyg.layers.patches import patch_nodes, spatial_graphs, temporal_graphs
from stgcn_pyg.layers.pooling import pool_graphs

__all__ = [
    "AffinityConv",
    "AffinityGCN",
    "CosineAffinity",
    "FrameLinear",
    "SoftmaxAffinity",
    "SquaredAffinity",
    "complete_graphs",
    "cosine_affinity",
    "patch_nodes",
    "pool_graphs",
    "ragged_graphs",
    "renormalize",
    "renormalize_edges",
    "softmax_affinity",
    "spatial_graphs",
    "squared_affinity",
    "temporal_graphs",
    "top_k_graphs",
    "window_graphs",
]
