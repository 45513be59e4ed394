"""A ResNet and a MobileNetV2 of few, narrow blocks: faster, where a test is of something else."""

from unittest.mock import patch

import torch
from torchvision.models import get_model
from torchvision.models.resnet import BasicBlock, ResNet


class Narrow(ResNet):
    """A block a stage; its widths are 8 to 64."""

    def __init__(self):
        super().__init__(BasicBlock, [1, 1, 1, 1])
        self.fc = torch.nn.Linear(512 // 8, 1000)

    def _make_layer(self, block, planes, *arguments, **options):
        return super()._make_layer(block, planes // 8, *arguments, **options)


# A block a stage of MobileNetV2, as torchvision takes them: expansion, channels, blocks, stride.
STAGES = [[1, 16, 1, 1], *([6, c, 1, s] for c, s in ((24, 2), (32, 2), (64, 2), (96, 1), (160, 2)))]


def narrow():
    """Makes these of every ResNet and MobileNetV2, in a with block or from start() on."""

    def model(name, **how):
        if name.startswith("resnet"):
            return Narrow()
        stages = {"inverted_residual_setting": STAGES} if name == "mobilenet_v2" else {}
        return get_model(name, **how, **stages)

    return patch("stgcn_pyg.models.backbones.torchvision_networks.get_model", model)
