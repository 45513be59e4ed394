"""The rows of the experiments that the paper does not have."""

from experiments.experiment import Experiment, Row
from experiments.tables_1_to_4 import BASELINE, SFCN, STGCN, TABLE_3, TABLE_4, TFCN

# One reading at a time of what the paper leaves open (docs/choices.md). A row that says what the
# preset does anyway is the default once more, and is not compared with it.
CHOICES = Experiment(
    name="choices",
    title="What the paper leaves open",
    rows=[
        Row("default", mars=STGCN.mars, duke=STGCN.duke),
        Row("affinity: softmax", {"model.affinity": "softmax"}),
        Row("affinity: cosine", {"model.affinity": "cosine"}),
        Row("SGCN: weights shared by frames", {"model.spatial_weights": "shared"}),
        Row("SGCN: 512 hidden channels", {"model.spatial_hidden_channels": 512}),
        Row("SGCN: 2048 hidden channels", {"model.spatial_hidden_channels": 2048}),
        Row("SGCN: no shortcut", {"model.spatial_shortcut": False}),
        Row("last stage: stride 1", {"model.last_stage": "stride1"}),
        Row("last stage: dilated", {"model.last_stage": "dilated"}),
        Row("last stage: as is", {"model.last_stage": "as-is"}),
        Row("margin: 0.3", {"training.margin": 0.3}),
        Row("margin: soft", {"training.margin": "soft"}),
        Row("no weight decay", {"training.weight_decay": 0.0}),
        Row("frames: random", {"data.train_frames": "random"}),
        Row("frames: even", {"data.train_frames": "even"}),
        Row("frames: strided", {"data.train_frames": "strided"}),
        Row("augmented by frame", {"data.augment": "frame"}),
        Row("test clips: consecutive", {"data.test_clips": "consecutive"}, of=("default",)),
        Row("test clips: first", {"data.test_clips": "first"}, of=("default",)),
        Row("test clips: even", {"data.test_clips": "even"}, of=("default",)),
        Row("embedding: raw", {"model.embedding": "raw"}, of=("default",)),
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
        Row("two baselines", of=("baseline", "baseline"), next_seed=True),
        Row("two TGCN+global", of=("TGCN+global", "TGCN+global"), next_seed=True),
        Row("two SGCN+global", of=("SGCN+global", "SGCN+global"), next_seed=True),
        Row("two STGCN", of=("STGCN", "STGCN"), next_seed=True),
    ],
    baseline="baseline",
    pairs=[
        ("Ensemble", "two baselines"),
        ("Ensemble", "two TGCN+global"),
        ("Ensemble", "two SGCN+global"),
    ],
)

# Three reasons why a graph may not help, each by one change (docs/experiment_log.md).
ONE_LAYER = {"model.temporal_layers": 1, "model.spatial_layers": 1}
MEAN = {"model.pooling": "mean"}
REASONS = Experiment(
    name="reasons",
    title="Why a graph may not help: smoothing, a flat affinity, the pooling",
    rows=[
        BASELINE,
        TABLE_4.row("TFCN+SFCN+global"),
        STGCN,
        Row("STGCN, one layer a branch", ONE_LAYER),
        Row("STGCN, softmax affinity", {"model.affinity": "softmax"}),
        Row("STGCN, mean pooling", MEAN),
        Row("TFCN+SFCN+global, mean pooling", TFCN | SFCN | MEAN),
    ],
    baseline="baseline",
    pairs=[
        ("STGCN, one layer a branch", "STGCN"),
        ("STGCN, softmax affinity", "STGCN"),
        ("STGCN, mean pooling", "STGCN"),
        ("TFCN+SFCN+global, mean pooling", "TFCN+SFCN+global"),
        ("STGCN", "TFCN+SFCN+global"),
    ],
)


def _alone(branch: str) -> list[Row]:
    """A network of Table 4 with one branch beside the global one, and that branch by itself."""
    network = TABLE_4.row(f"{branch}+global")
    embedding = "temporal" if branch.startswith("T") else "spatial"
    return [network, Row(f"{branch} alone", {"model.embedding": embedding}, of=(network.name,))]


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

NETWORKS = [row for row in TABLE_3.rows if not row.of]

# The paper's claim for TGCN. Needs a rendered data set, whose ground truth has the occluded share
# of the body in every frame. Queries are binned by its mean over their tracklet; the gallery is the
# same for every bin.
OCCLUSION_CURVE = Experiment(
    name="occlusion_curve",
    title="mAP against the share of the body that is hidden",
    rows=NETWORKS,
    baseline="baseline",
    report="curves.write_occlusion",
)

# The paper's claim for SGCN. Needs a rendered data set, whose ground truth has the groups of
# identities in the same clothes. All but g - 1 of a query's look-alikes are taken out of its list;
# the queries and the rest of the gallery are the same for every g. Table 4's TFCN tells the graph
# from the branch.
LOOK_ALIKE_CURVE = Experiment(
    name="look_alike_curve",
    title="mAP against the size of look-alike groups",
    rows=[*NETWORKS[:2], TABLE_4.row("TFCN+global"), *NETWORKS[2:]],
    baseline="baseline",
    report="curves.write_look_alikes",
)
