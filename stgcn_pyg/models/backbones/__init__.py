"""The backbones: networks of torchvision and timm that turn images into feature maps."""

from stgcn_pyg.models.backbones.backbone import Backbone
from stgcn_pyg.models.backbones.last_stage import LastStage

__all__ = ["Backbone", "LastStage"]
