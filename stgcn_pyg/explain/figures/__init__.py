"""Figures of what ``stgcn_pyg.explain`` finds: Matplotlib's, without pyplot and its state.

Each function gives a ``Figure``; ``save`` writes one as PNG.
"""

from stgcn_pyg.explain.figures.activation_maps import draw_activation_maps
from stgcn_pyg.explain.figures.averages import draw_averages
from stgcn_pyg.explain.figures.embedding import draw_distances, draw_points
from stgcn_pyg.explain.figures.graphs import draw_edges, draw_spatial_graphs, draw_temporal_graph
from stgcn_pyg.explain.figures.ranked_lists import draw_ranked_list
from stgcn_pyg.explain.figures.style import save

__all__ = [
    "draw_activation_maps",
    "draw_averages",
    "draw_distances",
    "draw_edges",
    "draw_points",
    "draw_ranked_list",
    "draw_spatial_graphs",
    "draw_temporal_graph",
    "save",
]
