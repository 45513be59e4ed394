"""All figures of the package, drawn by Matplotlib without pyplot and its global state.

Each ``draw_...`` function returns a ``Figure``. ``save`` writes it as a PNG file, ``to_bytes``
encodes it as PNG or SVG, and ``to_page_svg`` as an SVG element of an HTML page.
"""

from stgcn_pyg.errors import needs_extra

with needs_extra("report"):
    from stgcn_pyg.figures.canvas import (
        COLOURS,
        MARKERS,
        new_figure,
        save,
        to_bytes,
        to_page_svg,
        webp_address,
    )
    from stgcn_pyg.figures.charts import Line, draw_distances, draw_lines, draw_points
    from stgcn_pyg.figures.graphs import (
        draw_averages,
        draw_edges,
        draw_spatial_graphs,
        draw_temporal_graph,
    )
    from stgcn_pyg.figures.tracklets import draw_activation_maps, draw_ranked_list

__all__ = [
    "COLOURS",
    "MARKERS",
    "Line",
    "draw_activation_maps",
    "draw_averages",
    "draw_distances",
    "draw_edges",
    "draw_lines",
    "draw_points",
    "draw_ranked_list",
    "draw_spatial_graphs",
    "draw_temporal_graph",
    "new_figure",
    "save",
    "to_bytes",
    "to_page_svg",
    "webp_address",
]
