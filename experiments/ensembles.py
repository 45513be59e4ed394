"""Whether Table 3's Ensemble gains by its branches, or by being two networks.

    python -m experiments.ensembles --dataset stgcn-synth-v1 --preset small --seeds 0 1 2

The networks are those of Table 3. Beside its Ensemble stand pairs that differ in their seed alone,
whose scores are added in the same way. The paper has no such row. Three seeds are the fewest.
"""

import sys

from experiments.command import main
from experiments.components import COMPONENTS
from experiments.variants import Ensemble, Experiment

ENSEMBLES = Experiment(
    name="ensembles",
    title="Sums of the scores of two networks",
    rows=[
        *COMPONENTS.rows,
        Ensemble("two baselines", of=("baseline", "baseline"), next_seed=True),
        Ensemble("two TGCN+global", of=("TGCN+global", "TGCN+global"), next_seed=True),
        Ensemble("two SGCN+global", of=("SGCN+global", "SGCN+global"), next_seed=True),
        Ensemble("two STGCN", of=("STGCN", "STGCN"), next_seed=True),
    ],
    baseline="baseline",
    pairs=[
        ("Ensemble", "two baselines"),
        ("Ensemble", "two TGCN+global"),
        ("Ensemble", "two SGCN+global"),
    ],
)

if __name__ == "__main__":
    sys.exit(main(ENSEMBLES))
