"""A ResNet and a MobileNetV2 of few and narrow blocks: faster, where a test is not about them."""

from unittest.mock import patch

import torch
from torchvision.models import MobileNetV2, get_model
from torchvision.models.resnet import BasicBlock, ResNet


class Narrow(ResNet):
    """A block a stage; its widths are 8 to 64."""

    def __init__(self):
        super().__init__(BasicBlock, [1, 1, 1, 1])
        self.fc = torch.nn.Linear(512 // 8, 1000)

    def _make_layer(self, block, planes, *arguments, **options):
        return super()._make_layer(block, planes // 8, *arguments, **options)


class NarrowMobileNet(MobileNetV2):
    """A block a stage, and one that keeps its map and adds its input; its widths are 8 to 24."""

    def __init__(self):
        stages = [(1, 16, 1, 1), (6, 24, 1, 2), (6, 32, 1, 2), (6, 64, 1, 2), (6, 64, 2, 2)]
        super().__init__(width_mult=0.25, inverted_residual_setting=stages)


def narrow(mobilenet=False):
    """Makes this of every ResNet, and MobileNetV2, that is asked for, in a with block or from
    start() on. A narrow MobileNetV2 takes no weights of packages.
    """

    def build(name, **how):
        if name.startswith("resnet"):
            return Narrow()
        is_mobilenet = mobilenet and name == "mobilenet_v2"
        return NarrowMobileNet() if is_mobilenet else get_model(name, **how)

    return patch("stgcn_pyg.models.backbones.torchvision_networks.get_model", build)
