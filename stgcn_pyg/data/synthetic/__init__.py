"""A rendered benchmark: walking people with known bodies, clothes, covers and look-alikes."""

from stgcn_pyg.data.synthetic.benchmark import Benchmark, write_benchmark

__all__ = ["Benchmark", "write_benchmark"]
