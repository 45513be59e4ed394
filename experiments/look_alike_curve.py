"""What is gained where more people wear the same clothes: the paper's claim for SGCN.

    python -m experiments.look_alike_curve --dataset stgcn-synth-v1 --preset small --seeds 0 1 2

Needs a rendered data set, which tells who is dressed alike. The networks are those of Table 3, and
Table 4's TFCN, to tell the graph from the branch. From each query's list all but g - 1 of its
look-alikes are taken out; the queries and all else in the gallery are the same for every g.
"Clothes known, bodies not": all tracklets of the group stand first, in random order.
"""

import sys

from experiments.command import main
from experiments.variants import Experiment, Variant

LOOK_ALIKE_CURVE = Experiment(
    name="look_alike_curve",
    title="mAP against the size of look-alike groups",
    rows=[
        Variant("baseline", {"model.branches": ["global"]}),
        Variant("TGCN+global", {"model.branches": ["global", "temporal"]}),
        Variant(
            "TFCN+global",
            {"model.branches": ["global", "temporal"], "model.temporal_propagation": "fc"},
        ),
        Variant("SGCN+global", {"model.branches": ["global", "spatial"]}),
        Variant("STGCN"),
    ],
    baseline="baseline",
    report="look_alikes",
)

if __name__ == "__main__":
    sys.exit(main(LOOK_ALIKE_CURVE))
