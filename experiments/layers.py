"""Figure 7: the number of layers of TGCN (M) and of SGCN (K).

    python -m experiments.layers --dataset stgcn-synth-v1 --preset small --seeds 0 1 2

In the paper's text K varies at M = 4, while M = 3 is the network of all its tables: both are here.
"""

import sys
from math import nan

from experiments.command import main
from experiments.variants import Experiment, Panel, Variant

PAPER = {(3, 2): (83.70, 89.95), (4, 2): (nan, 90.35)}  # what the text tells of the figure


def of_depth(temporal: int, spatial: int) -> Variant:
    """STGCN with so many layers."""
    return Variant(
        f"M = {temporal}, K = {spatial}",
        {"model.temporal_layers": temporal, "model.spatial_layers": spatial},
        mars=PAPER.get((temporal, spatial)),
    )


LAYERS = Experiment(
    name="layers",
    title="Figure 7: the number of layers",
    rows=[
        Variant("baseline", {"model.branches": ["global"]}, mars=(80.76, 88.74)),
        *(of_depth(temporal, 2) for temporal in (2, 3, 4, 5, 6)),
        *(of_depth(4, spatial) for spatial in (1, 3, 4)),
        *(of_depth(3, spatial) for spatial in (1, 3, 4)),
    ],
    baseline="baseline",
    panels=[
        Panel("M, layers of TGCN (K = 2)", {m: f"M = {m}, K = 2" for m in (2, 3, 4, 5, 6)}),
        Panel("K, layers of SGCN (M = 4)", {k: f"M = 4, K = {k}" for k in (1, 2, 3, 4)}),
        Panel("K, layers of SGCN (M = 3)", {k: f"M = 3, K = {k}" for k in (1, 2, 3, 4)}),
    ],
)

if __name__ == "__main__":
    sys.exit(main(LAYERS))
