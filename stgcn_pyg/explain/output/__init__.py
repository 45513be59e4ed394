"""Figures and tables of a test set, into a folder."""

from stgcn_pyg.explain.output.embedding import write_embedding
from stgcn_pyg.explain.output.queries import write_graphs, write_lists, write_maps
from stgcn_pyg.explain.output.summary import write_summary

__all__ = ["write_embedding", "write_graphs", "write_lists", "write_maps", "write_summary"]
