"""A network that plain loops can follow."""

import torch

from stgcn_pyg import STGCN


def small_stgcn(**options):
    """Two frames, five people, float64, the same weights each time."""
    torch.manual_seed(1)
    options = {"num_frames": 2, "backbone": "resnet18", "weights": None} | options
    return STGCN(5, **options).double().eval()
