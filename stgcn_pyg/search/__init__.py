"""Galleries of embeddings on disk, and the nearest of their tracklets to a query."""

from stgcn_pyg.search.engine import Engine, Filter, Found, Queries
from stgcn_pyg.search.gallery import Gallery

__all__ = ["Engine", "Filter", "Found", "Gallery", "Queries"]
