"""What the layers import: torch, PyTorch Geometric and what these need, and nothing else."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOADED = "print([m for m in ('torchvision', 'pandas', 'onnx') if m in sys.modules])"


def test_importing_the_layers_imports_no_large_library_that_pyg_does_not():
    pyg, layers = "import torch_geometric.nn, torch_geometric.data", "import stgcn_pyg.layers"
    code = "\n".join(["import sys", pyg, LOADED, layers, LOADED])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    of_pyg, of_layers = run.stdout.splitlines()
    assert "torchvision" not in of_layers
    assert of_layers == of_pyg


@pytest.mark.slow
def test_a_broken_torch_scatter_does_not_stop_the_import(tmp_path):
    # What a wheel that was built against another torch does.
    (tmp_path / "torch_scatter.py").write_text("raise OSError('undefined symbol')\n")
    code = (
        "import torch; from stgcn_pyg.layers import pool_graphs; "
        "print(pool_graphs(torch.tensor([[1.0], [2.0]]), ptr=torch.tensor([0, 2])).item())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert run.stdout.strip() == "2.0"
    assert "torch-scatter" in run.stderr


def distributions_of(*names):
    """Distributions, and all that they require."""
    found, wanted = set(), list(names)
    while wanted:
        name = canonicalize_name(wanted.pop())
        if name in found:
            continue
        found.add(name)
        try:
            lines = requires(name) or []
        except PackageNotFoundError:  # of another platform
            continue
        parts = map(Requirement, lines)
        wanted += [r.name for r in parts if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


BLOCKER = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in BLOCKED:
            return self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Without, sys.meta_path)
"""
RUNS = """
import torch
from stgcn_pyg.layers import *
x = torch.randn(6, 4)
gcn = AffinityGCN(4, 3, num_layers=2, num_frames=2)
for graphs in ({"graph_size": 3}, {"ptr": torch.tensor([0, 3, 6])}):
    out = gcn(x, complete_edges(2, 3), **graphs)
    pool_graphs(out, **graphs).sum().backward()
AffinityGCN(4, 3, num_layers=2, affinity="softmax")(x, window_edges(1, 3, 2, window=1))
print(temporal_graphs(patch_nodes(torch.randn(4, 5, 8, 4), 4), num_frames=2).num_graphs)
import jaxtyping
"""


def test_the_layers_run_with_torch_and_pyg_alone():
    allowed = distributions_of("torch", "torch_geometric")
    blocked = {
        module
        for module, names in packages_distributions().items()
        if not allowed & set(map(canonicalize_name, names)) and module != "stgcn_pyg"
    }
    assert {"jaxtyping", "torchvision", "pandas"} <= blocked
    code = f"BLOCKED = {blocked!r}{BLOCKER}{RUNS}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "2\n", run.stderr
    assert run.stderr.endswith(
        "No module named 'jaxtyping'\n"
    )  # in the last line, as it is blocked


def test_a_former_name_gives_the_layer_and_warns():
    from stgcn_pyg import layers

    with pytest.warns(FutureWarning, match="complete_graphs is now called complete_edges"):
        assert layers.complete_graphs is layers.complete_edges
    with pytest.raises(AttributeError, match="no attribute 'whole_graphs'"):
        _ = layers.whole_graphs
