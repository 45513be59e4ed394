"""Figure 8: the number of patches a frame in TGCN (P_t) and in SGCN (P_s).

python -m experiments.patches --dataset stgcn-synth-v1 --preset small --seeds 0 1 2
"""

import sys

from experiments.command import main
from experiments.variants import Experiment, Panel, Variant

PAPER = {(4, 4): (83.70, 89.95)}  # what the text tells of the figure


def of_patches(temporal: int, spatial: int) -> Variant:
    """STGCN with so many patches a frame."""
    return Variant(
        f"P_t = {temporal}, P_s = {spatial}",
        {"model.temporal_patches": temporal, "model.spatial_patches": spatial},
        mars=PAPER.get((temporal, spatial)),
    )


PATCHES = Experiment(
    name="patches",
    title="Figure 8: the number of patches",
    rows=[
        Variant("baseline", {"model.branches": ["global"]}, mars=(80.76, 88.74)),
        *(of_patches(temporal, 4) for temporal in (2, 4, 8)),
        *(of_patches(4, spatial) for spatial in (2, 8)),
    ],
    baseline="baseline",
    panels=[
        Panel("P_t, patches in TGCN (P_s = 4)", {p: f"P_t = {p}, P_s = 4" for p in (2, 4, 8)}),
        Panel("P_s, patches in SGCN (P_t = 4)", {p: f"P_t = 4, P_s = {p}" for p in (2, 4, 8)}),
    ],
)

if __name__ == "__main__":
    sys.exit(main(PATCHES))
