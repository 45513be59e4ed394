"""Figure 6: who comes first, for the baseline and for STGCN.

    python -m experiments.retrieval --dataset stgcn-synth-v1 --preset small

The queries are chosen by a rule: those whose average precision STGCN raises most above the
baseline's, and those where it lowers it most, of the first split and seed. On a rendered data set
the pictures lie beside the tables; those of real people are left under ``--work``.
"""

import sys

from experiments.command import main
from experiments.variants import Experiment, Variant

RETRIEVAL = Experiment(
    name="retrieval",
    title="Figure 6: the five that come first",
    rows=[Variant("baseline", {"model.branches": ["global"]}), Variant("STGCN")],
    baseline="baseline",
    report="retrieval",
)

if __name__ == "__main__":
    sys.exit(main(RETRIEVAL))
