#!/usr/bin/env bash
# timm 1.0.31: a ConvNeXt created with num_classes=0 still has parameters in its head (head.norm), and
# forward_features does not use them: they never get a gradient. DistributedDataParallel therefore
# refuses the second step of whoever trains on the feature map.
# One would guess that a network without classes has no parameters behind its feature map, as is so
# for timm's ResNets, MobileNets and RegNets.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "timm==1.0.31" "torch==2.14.1" "torchvision==0.29.1"
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import sys
from importlib.metadata import version

import timm
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

assert (version("timm"), version("torch").partition("+")[0]) == ("1.0.31", "2.14.1")


class Maps(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.model = timm.create_model(name, num_classes=0)

    def forward(self, x):
        return self.model.forward_features(x)


def unused(name):
    maps = Maps(name)
    maps(torch.randn(2, 3, 64, 64)).square().sum().backward()
    return [weight for weight, p in maps.named_parameters() if p.grad is None]


for name in ("resnet18", "mobilenetv2_100", "regnety_002", "convnext_atto"):
    print(f"{name}: parameters without a gradient: {unused(name)}")
    expected = ["model.head.norm.weight", "model.head.norm.bias"]
    assert unused(name) == (expected if name == "convnext_atto" else []), name

dist.init_process_group("gloo", init_method=f"file://{sys.argv[1]}/store", rank=0, world_size=1)
maps = DistributedDataParallel(Maps("convnext_atto"))
maps(torch.randn(2, 3, 64, 64)).sum().backward()
try:
    maps(torch.randn(2, 3, 64, 64)).sum().backward()
except RuntimeError as error:
    print("DistributedDataParallel, second step:", str(error).splitlines()[0][:90])
    assert "Expected to have finished reduction" in str(error)
else:
    raise SystemExit("the second step was taken")
PYTHON
