"""Table 3: what each branch adds.

python -m experiments.components --dataset stgcn-synth-v1 --preset small --seeds 0 1 2
"""

import sys

from experiments.command import main
from experiments.variants import Ensemble, Experiment, Variant

COMPONENTS = Experiment(
    name="components",
    title="Table 3: the individual components",
    rows=[
        Variant(
            "baseline",
            {"model.branches": ["global"]},
            mars=(80.76, 88.74),
            duke=(94.08, 96.01),
        ),
        Variant(
            "TGCN+global",
            {"model.branches": ["global", "temporal"]},
            mars=(81.97, 89.70),
            duke=(95.12, 96.87),
        ),
        Variant(
            "SGCN+global",
            {"model.branches": ["global", "spatial"]},
            mars=(82.17, 89.80),
            duke=(94.55, 96.44),
        ),
        Ensemble(
            "Ensemble",
            of=("TGCN+global", "SGCN+global"),
            mars=(82.67, 89.55),
            duke=(94.64, 96.15),
        ),
        Variant("STGCN", mars=(83.70, 89.95), duke=(95.70, 97.29)),
    ],
    baseline="baseline",
    pairs=[("STGCN", "TGCN+global"), ("STGCN", "SGCN+global"), ("STGCN", "Ensemble")],
)

if __name__ == "__main__":
    sys.exit(main(COMPONENTS))
