"""Figure 5: what the baseline and STGCN look at in the same clips.

    python -m experiments.activation_maps --dataset stgcn-synth-v1 --preset small

The clips are the first ones of queries that a rule chooses: where STGCN gains most over the
baseline, where it loses most, and some at random, of the first split and seed. On a rendered data
set a table tells how much of the maps' mass lies on the person, over all queries, and the pictures
lie beside it; those of real people are left under ``--work``.
"""

import sys

from experiments.command import main
from experiments.variants import Experiment, Variant

ACTIVATION_MAPS = Experiment(
    name="activation_maps",
    title="Figure 5: class activation maps",
    rows=[Variant("baseline", {"model.branches": ["global"]}), Variant("STGCN")],
    baseline="baseline",
    report="activation_maps",
)

if __name__ == "__main__":
    sys.exit(main(ACTIVATION_MAPS))
