"""Runs the layers in an environment that holds torch and PyTorch Geometric and no other package."""

import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch

from stgcn_pyg.layers import AffinityGCN, patch_nodes, temporal_graphs

found = [name for name in ("torchvision", "pandas", "sklearn", "jaxtyping") if find_spec(name)]
assert not found, f"this environment holds {found}: the layers alone were not to be seen"

torch.manual_seed(0)
nodes = patch_nodes(torch.randn(2 * 8, 32, 16, 8), num_patches=4)
batch = temporal_graphs(nodes, num_frames=8)
gcn = AffinityGCN(in_channels=32, hidden_channels=16, num_layers=3)
blocks = gcn(batch.x, batch.edge_index, graph_size=8 * 4)
blocks.square().mean().backward()
torch.testing.assert_close(gcn(batch.x, batch.edge_index, ptr=batch.ptr), blocks)
torch.testing.assert_close(gcn(batch.x, batch.edge_index), blocks)
print("the layers with torch and PyTorch Geometric alone:", tuple(blocks.shape))
