"""A rendered benchmark: walking people with known bodies, clothes, occlusion and look-alikes."""

from stgcn_pyg.synthetic.benchmark import Benchmark, write_benchmark, write_version
from stgcn_pyg.synthetic.tracklets import MASK_SHAPE
from stgcn_pyg.synthetic.versions import VERSIONS

__all__ = ["MASK_SHAPE", "VERSIONS", "Benchmark", "write_benchmark", "write_version"]
