"""Table 4: graph convolutions, or fully connected layers in their place.

    python -m experiments.graph_or_fully_connected --dataset ward --root data/WARD --preset small \
        --splits 0 1 2 3 4 5 6 7 8 9
"""

import sys

from experiments.command import main
from experiments.variants import Experiment, Variant

TFCN = {"model.temporal_propagation": "fc"}
SFCN = {"model.spatial_propagation": "fc"}
TEMPORAL = {"model.branches": ["global", "temporal"]}
SPATIAL = {"model.branches": ["global", "spatial"]}

GRAPH_OR_FULLY_CONNECTED = Experiment(
    name="graph_or_fully_connected",
    title="Table 4: graph convolutions or fully connected layers",
    rows=[
        Variant(
            "baseline",
            {"model.branches": ["global"]},
            mars=(80.76, 88.74),
            duke=(94.08, 96.01),
        ),
        Variant("TFCN+global", TEMPORAL | TFCN, mars=(80.62, 88.28), duke=(94.34, 96.15)),
        Variant("TGCN+global", TEMPORAL, mars=(81.97, 89.70), duke=(95.12, 96.87)),
        Variant("SFCN+global", SPATIAL | SFCN, mars=(81.10, 89.39), duke=(94.28, 95.30)),
        Variant("SGCN+global", SPATIAL, mars=(82.17, 89.80), duke=(94.55, 96.44)),
        Variant("TFCN+SGCN+global", TFCN, mars=(81.51, 89.24), duke=(95.62, 97.15)),
        Variant("TGCN+SFCN+global", SFCN, mars=(82.65, 89.90), duke=(95.24, 96.30)),
        Variant("TFCN+SFCN+global", TFCN | SFCN, mars=(82.27, 88.94), duke=(95.03, 96.15)),
        Variant("STGCN", mars=(83.70, 89.95), duke=(95.70, 97.29)),
    ],
    baseline="baseline",
    pairs=[
        # The temporal graph by itself, beside fully connected layers and beside the other graph.
        ("TGCN+global", "TFCN+global"),
        ("TGCN+SFCN+global", "TFCN+SFCN+global"),
        ("STGCN", "TFCN+SGCN+global"),
        # The spatial one.
        ("SGCN+global", "SFCN+global"),
        ("TFCN+SGCN+global", "TFCN+SFCN+global"),
        ("STGCN", "TGCN+SFCN+global"),
        # Both.
        ("STGCN", "TFCN+SFCN+global"),
    ],
)

if __name__ == "__main__":
    sys.exit(main(GRAPH_OR_FULLY_CONNECTED))
