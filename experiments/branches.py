"""What a branch's feature finds by itself, without the global one beside it.

    python -m experiments.branches --dataset ward --root data/WARD --preset small \
        --splits 0 1 2 3 4 5 6 7 8 9

The networks are those of Tables 3 and 4, tested again by one branch's feature, which tells where a
gain over the baseline lies: in the branch or in what it makes of the backbone. The paper has no
such rows.
"""

import sys

from experiments.command import main
from experiments.graph_or_fully_connected import GRAPH_OR_FULLY_CONNECTED
from experiments.variants import Experiment, Retested

networks = GRAPH_OR_FULLY_CONNECTED.row
TEMPORAL = {"model.embedding": "temporal"}
SPATIAL = {"model.embedding": "spatial"}

BRANCHES = Experiment(
    name="branches",
    title="Each branch by itself",
    rows=[
        networks("baseline"),
        networks("TFCN+global"),
        Retested("TFCN alone", "TFCN+global", TEMPORAL),
        networks("TGCN+global"),
        Retested("TGCN alone", "TGCN+global", TEMPORAL),
        networks("SFCN+global"),
        Retested("SFCN alone", "SFCN+global", SPATIAL),
        networks("SGCN+global"),
        Retested("SGCN alone", "SGCN+global", SPATIAL),
    ],
    baseline="baseline",
    pairs=[
        ("TFCN alone", "TFCN+global"),
        ("TGCN alone", "TGCN+global"),
        ("SFCN alone", "SFCN+global"),
        ("SGCN alone", "SGCN+global"),
        ("TGCN alone", "TFCN alone"),
        ("SGCN alone", "SFCN alone"),
    ],
)

if __name__ == "__main__":
    sys.exit(main(BRANCHES))
