"""Galleries of embeddings, in a folder or a database, and what is nearest to a query in them."""

from stgcn_pyg.search.engine import Engine, Filter, Found, Queries
from stgcn_pyg.search.gallery import Gallery
from stgcn_pyg.search.open import create_gallery, open_gallery

__all__ = ["Engine", "Filter", "Found", "Gallery", "Queries", "create_gallery", "open_gallery"]
