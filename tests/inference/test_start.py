"""What a command imports before it works."""

import gc
import subprocess
import sys

import pytest

from stgcn_pyg.cli import main

CODE = """
import sys
from stgcn_pyg.cli.compiler import compiler_deferred

with compiler_deferred():
    import stgcn_pyg.cli.extract
later = ("torch._dynamo", "sympy", "scipy.stats", "tensorboard", "sklearn")
print([name for name in later if name in sys.modules])
"""
LATER = """
import torch
from torch_geometric.isinstance import is_torch_instance
from torchvision.ops import roi_align
from torchvision.tv_tensors import Image, wrap

print(torch.compile(torch.sin, backend="eager")(torch.zeros(1)).item())
print(is_torch_instance(torch.nn.Linear(1, 1), torch.nn.Module))
print(roi_align(torch.ones(1, 1, 4, 4), [torch.tensor([[0.0, 0.0, 2.0, 2.0]])], 1).item())
print(type(wrap(torch.ones(3, 2, 2), like=Image(torch.ones(3, 2, 2)))).__name__)
"""


def printed(code):
    run = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()


def test_a_command_imports_nothing_large_that_it_does_not_use():
    assert printed(CODE) == ["[]"]


@pytest.mark.slow
def test_the_compiler_is_imported_when_it_is_used():
    assert printed(CODE + LATER) == ["[]", "0.0", "True", "1.0", "Image"]


def test_a_command_leaves_the_garbage_collector_as_it_was(capsys):
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            assert main(["no-such-command"]) == 2
            sys.modules.pop("stgcn_pyg.cli.threshold", None)
            assert main(["threshold", "no-such-file"]) == 2
            assert gc.isenabled() == enabled
        finally:
            gc.enable()
