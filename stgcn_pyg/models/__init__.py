"""The networks: a backbone, three branches, and STGCN, which joins them."""

from stgcn_pyg.models.backbones import Backbone
from stgcn_pyg.models.branches import GlobalBranch, SpatialBranch, TemporalBranch
from stgcn_pyg.models.stgcn import STGCN, STGCNOutput

__all__ = ["STGCN", "Backbone", "GlobalBranch", "STGCNOutput", "SpatialBranch", "TemporalBranch"]
