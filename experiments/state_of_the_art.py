"""Tables 1 and 2: published results, and a run of STGCN under every protocol.

python -m experiments.state_of_the_art --dataset mars --root data/MARS --preset paper
"""

import sys

from experiments.command import main
from experiments.variants import Experiment, Variant

STATE_OF_THE_ART = Experiment(
    name="state_of_the_art",
    title="Tables 1 and 2: comparison with published results",
    rows=[Variant("STGCN", mars=(83.70, 89.95), duke=(95.70, 97.29))],
    baseline="STGCN",
    report="published",
)

if __name__ == "__main__":
    sys.exit(main(STATE_OF_THE_ART))
