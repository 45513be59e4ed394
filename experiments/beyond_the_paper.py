"""The rows of the experiments that the paper does not have."""

from experiments.tables_1_to_4 import GLOBAL, SPATIAL, STGCN, TABLE_3, TABLE_4, TEMPORAL, TFCN
from experiments.variants import Ensemble, Experiment, Retested, Variant

# One reading at a time of what the paper leaves open (docs/choices.md). A row that says what the
# preset does anyway is the default once more, and is not compared with it.
CHOICES = Experiment(
    name="choices",
    title="What the paper leaves open",
    rows=[
        Variant("default", mars=STGCN.mars, duke=STGCN.duke),
        Variant("affinity: softmax", {"model.affinity": "softmax"}),
        Variant("affinity: cosine", {"model.affinity": "cosine"}),
        Variant("SGCN: weights shared by frames", {"model.spatial_weights": "shared"}),
        Variant("SGCN: 512 hidden channels", {"model.spatial_hidden_channels": 512}),
        Variant("SGCN: 2048 hidden channels", {"model.spatial_hidden_channels": 2048}),
        Variant("SGCN: no shortcut", {"model.spatial_shortcut": False}),
        Variant("margin: 0.3", {"training.margin": 0.3}),
        Variant("margin: soft", {"training.margin": "soft"}),
        Variant("no weight decay", {"training.weight_decay": 0.0}),
        Variant("frames: random", {"data.train_frames": "random"}),
        Variant("frames: even", {"data.train_frames": "even"}),
        Variant("frames: strided", {"data.train_frames": "strided"}),
        Variant("augmented by frame", {"data.augment": "frame"}),
        Retested("test clips: consecutive", ("default",), {"data.test_clips": "consecutive"}),
        Retested("test clips: first", ("default",), {"data.test_clips": "first"}),
        Retested("test clips: even", ("default",), {"data.test_clips": "even"}),
        Retested("embedding: raw", ("default",), {"model.embedding": "raw"}),
    ],
    baseline="default",
)

# Whether Table 3's Ensemble gains by its branches, or by being two networks: beside it stand pairs
# of networks that differ in their seed alone.
ENSEMBLES = Experiment(
    name="ensembles",
    title="Sums of the scores of two networks",
    rows=[
        *TABLE_3.rows,
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


def _alone(branch: str) -> list[Variant | Retested]:
    """A network of Table 4 with one branch beside the global one, and that branch by itself."""
    network = TABLE_4.row(f"{branch}+global")
    embedding = "temporal" if branch.startswith("T") else "spatial"
    return [network, Retested(f"{branch} alone", (network.name,), {"model.embedding": embedding})]


# What a branch's feature finds without the global one: whether a gain over the baseline lies in the
# branch, or in what training with it makes of the backbone.
BRANCHES = Experiment(
    name="branches",
    title="Each branch by itself",
    rows=[
        TABLE_4.row("baseline"),
        *(row for branch in ("TFCN", "TGCN", "SFCN", "SGCN") for row in _alone(branch)),
    ],
    baseline="baseline",
    pairs=[
        *((f"{name} alone", f"{name}+global") for name in ("TFCN", "TGCN", "SFCN", "SGCN")),
        ("TGCN alone", "TFCN alone"),
        ("SGCN alone", "SFCN alone"),
    ],
)

TABLE_3_NETWORKS = [
    Variant("baseline", GLOBAL),
    Variant("TGCN+global", TEMPORAL),
    Variant("SGCN+global", SPATIAL),
    Variant("STGCN"),
]

# The paper's claim for TGCN. Needs a rendered data set, whose ground truth has the occluded share
# of the body in every frame. Queries are binned by its mean over their tracklet; the gallery is the
# same for every bin.
OCCLUSION_CURVE = Experiment(
    name="occlusion_curve",
    title="mAP against the share of the body that is hidden",
    rows=TABLE_3_NETWORKS,
    baseline="baseline",
    report="occlusion",
)

# The paper's claim for SGCN. Needs a rendered data set, whose ground truth says who is dressed
# alike. All but g - 1 of a query's look-alikes are taken out of its list; the queries and the rest
# of the gallery are the same for every g. Table 4's TFCN tells the graph from the branch.
LOOK_ALIKE_CURVE = Experiment(
    name="look_alike_curve",
    title="mAP against the size of look-alike groups",
    rows=[
        *TABLE_3_NETWORKS[:2],
        Variant("TFCN+global", TEMPORAL | TFCN),
        *TABLE_3_NETWORKS[2:],
    ],
    baseline="baseline",
    report="look_alikes",
)
