"""The rows of the paper's Figures 5 to 8, with the figures that the paper's text gives."""

from dataclasses import replace
from math import nan

from experiments.experiment import Experiment, Row
from experiments.tables_1_to_4 import BASELINE, STGCN

ON_MARS = replace(BASELINE, duke=None)  # the paper varies layers and patches on MARS alone

# The clips are the first ones of the queries where STGCN gains most over the baseline, where it
# loses most, and of some at random, at the first split and seed.
FIGURE_5 = Experiment(
    name="activation_maps",
    title="Figure 5: class activation maps",
    rows=[BASELINE, STGCN],
    baseline="baseline",
    report="two_networks.write_activation_maps",
)

# The queries whose average precision STGCN raises most over the baseline's, and lowers most.
FIGURE_6 = Experiment(
    name="retrieval",
    title="Figure 6: the five that come first",
    rows=[BASELINE, STGCN],
    baseline="baseline",
    report="two_networks.write_ranked_lists",
)


def _layers(temporal: int, spatial: int) -> Row:
    """STGCN with M temporal and K spatial layers."""
    return Row(
        f"M = {temporal}, K = {spatial}",
        {"model.temporal_layers": temporal, "model.spatial_layers": spatial},
        mars={(3, 2): STGCN.mars, (4, 2): (nan, 90.35)}.get((temporal, spatial)),
    )


# In the paper's text K varies at M = 4, while all its tables have M = 3: both are here.
FIGURE_7 = Experiment(
    name="layers",
    title="Figure 7: the number of layers",
    rows=[
        ON_MARS,
        *(_layers(temporal, 2) for temporal in (2, 3, 4, 5, 6)),
        *(_layers(4, spatial) for spatial in (1, 3, 4)),
        *(_layers(3, spatial) for spatial in (1, 3, 4)),
    ],
    baseline="baseline",
    panels={
        "M, layers of TGCN (K = 2)": {m: f"M = {m}, K = 2" for m in (2, 3, 4, 5, 6)},
        "K, layers of SGCN (M = 4)": {k: f"M = 4, K = {k}" for k in (1, 2, 3, 4)},
        "K, layers of SGCN (M = 3)": {k: f"M = 3, K = {k}" for k in (1, 2, 3, 4)},
    },
)


def _patches(temporal: int, spatial: int) -> Row:
    """STGCN with P_t patches a frame in TGCN and P_s in SGCN."""
    return Row(
        f"P_t = {temporal}, P_s = {spatial}",
        {"model.temporal_patches": temporal, "model.spatial_patches": spatial},
        mars={(4, 4): STGCN.mars}.get((temporal, spatial)),
    )


FIGURE_8 = Experiment(
    name="patches",
    title="Figure 8: the number of patches",
    rows=[
        ON_MARS,
        *(_patches(temporal, 4) for temporal in (2, 4, 8)),
        *(_patches(4, spatial) for spatial in (2, 8)),
    ],
    baseline="baseline",
    panels={
        "P_t, patches in TGCN (P_s = 4)": {p: f"P_t = {p}, P_s = 4" for p in (2, 4, 8)},
        "P_s, patches in SGCN (P_t = 4)": {p: f"P_t = 4, P_s = {p}" for p in (2, 4, 8)},
    },
)
