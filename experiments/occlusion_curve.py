"""What is gained where more of the person is hidden: the paper's claim for TGCN.

    python -m experiments.occlusion_curve --dataset stgcn-synth-v1 --preset small --seeds 0 1 2

Needs a rendered data set, which tells what share of the body something hides in every frame. The
networks are those of Table 3. Queries are binned by the mean share over their tracklet; the
gallery is the whole one for every bin. How much is hidden is drawn without regard to who walks
where, so that bins differ in little else.
"""

import sys

from experiments.command import main
from experiments.variants import Experiment, Variant

OCCLUSION_CURVE = Experiment(
    name="occlusion_curve",
    title="mAP against the share of the body that is hidden",
    rows=[
        Variant("baseline", {"model.branches": ["global"]}),
        Variant("TGCN+global", {"model.branches": ["global", "temporal"]}),
        Variant("SGCN+global", {"model.branches": ["global", "spatial"]}),
        Variant("STGCN"),
    ],
    baseline="baseline",
    report="occlusion",
)

if __name__ == "__main__":
    sys.exit(main(OCCLUSION_CURVE))
