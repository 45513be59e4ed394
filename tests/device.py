"""The device of the tests that need a GPU, which `make test-gpu` runs; elsewhere they are skipped.

With STGCN_TEST_DEVICE=cpu they run on the CPU, to see that they run.
"""

import os

import pytest
import torch

DEVICE = os.environ.get("STGCN_TEST_DEVICE", "cuda")
ON_A_GPU = DEVICE == "cuda"
if ON_A_GPU and not torch.cuda.is_available():
    pytest.skip("PyTorch sees no GPU: make test-gpu", allow_module_level=True)


def error(found, expected):
    """How far tensors are from others together, as a share of the length of those."""
    pairs = [(a.cpu().double(), b.double()) for a, b in zip(found, expected, strict=True)]
    squares = sum((a - b).square().sum() for a, b in pairs)
    return float((squares / sum(b.square().sum() for _, b in pairs)).sqrt())
