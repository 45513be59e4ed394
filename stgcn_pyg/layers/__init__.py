"""The paper's graph layers, for use in any model. Needs torch and PyTorch Geometric alone.

patch_nodes                      feature maps -> patch nodes
temporal_graphs, spatial_graphs  patch nodes -> PyG batches of complete graphs
SquaredAffinity                  node features -> edge weights A (Eq. 2-3)
renormalize, renormalize_edges   A -> Â (Eq. 4)
AffinityConv                     one graph convolution Â X W (Eq. 5 and 7)
AffinityGCN                      the whole stack (Eq. 2-7)
"""

from stgcn_pyg.layers.affinity import SquaredAffinity
from stgcn_pyg.layers.conv import AffinityConv
from stgcn_pyg.layers.frame_linear import FrameLinear
from stgcn_pyg.layers.functional import renormalize, renormalize_edges, squared_affinity
from stgcn_pyg.layers.gcn import AffinityGCN
from stgcn_pyg.layers.patches import (
    complete_graphs,
    patch_nodes,
    spatial_graphs,
    temporal_graphs,
)

__all__ = [
    "AffinityConv",
    "AffinityGCN",
    "FrameLinear",
    "SquaredAffinity",
    "complete_graphs",
    "patch_nodes",
    "renormalize",
    "renormalize_edges",
    "spatial_graphs",
    "squared_affinity",
    "temporal_graphs",
]
