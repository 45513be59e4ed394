"""A rendered benchmark: walking people with known bodies, clothes, covers and look-alikes."""

from stgcn_pyg.synthetic.benchmark import Benchmark, write_benchmark, write_version
from stgcn_pyg.synthetic.versions import VERSIONS

__all__ = ["VERSIONS", "Benchmark", "write_benchmark", "write_version"]
