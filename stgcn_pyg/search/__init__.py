"""Galleries of embeddings on disk, and the nearest of their tracklets to a query."""

from stgcn_pyg.search.engine import Engine, Filter, Found, Queries

__all__ = ["Engine", "Filter", "Found", "Queries"]
