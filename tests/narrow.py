"""A ResNet of few and narrow blocks: faster, where a test is not about the network."""

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


def narrow():
    """Makes this of every ResNet that is asked for, in a with block or from start() on."""
    return patch(
        "stgcn_pyg.models.backbones.torchvision_networks.get_model",
        lambda name, **how: Narrow() if name.startswith("resnet") else get_model(name, **how),
    )
