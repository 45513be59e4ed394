"""The rows of the paper's Tables 1 to 4, with the figures that the paper prints."""

from pathlib import Path

import pandas as pd

from experiments.experiment import Experiment, Row

PUBLISHED = Path(__file__).with_name("published_results.csv")

GLOBAL = {"model.branches": ["global"]}
TEMPORAL = {"model.branches": ["global", "temporal"]}
SPATIAL = {"model.branches": ["global", "spatial"]}
TFCN = {"model.temporal_propagation": "fc"}  # fully connected layers in place of the graph's
SFCN = {"model.spatial_propagation": "fc"}

BASELINE = Row("baseline", GLOBAL, mars=(80.76, 88.74), duke=(94.08, 96.01))
TGCN_GLOBAL = Row("TGCN+global", TEMPORAL, mars=(81.97, 89.70), duke=(95.12, 96.87))
SGCN_GLOBAL = Row("SGCN+global", SPATIAL, mars=(82.17, 89.80), duke=(94.55, 96.44))
STGCN = Row("STGCN", mars=(83.70, 89.95), duke=(95.70, 97.29))

TABLES_1_AND_2 = Experiment(
    name="state_of_the_art",
    title="Tables 1 and 2: comparison with published results",
    rows=[STGCN],  # beside the rows of published_results.csv
    baseline="STGCN",
    report="comparison.write_published",
)

TABLE_3 = Experiment(
    name="components",
    title="Table 3: the individual components",
    rows=[
        BASELINE,
        TGCN_GLOBAL,
        SGCN_GLOBAL,
        Row(
            "Ensemble", of=("TGCN+global", "SGCN+global"), mars=(82.67, 89.55), duke=(94.64, 96.15)
        ),
        STGCN,
    ],
    baseline="baseline",
    pairs=[("STGCN", "TGCN+global"), ("STGCN", "SGCN+global"), ("STGCN", "Ensemble")],
)

TABLE_4 = Experiment(
    name="graph_or_fully_connected",
    title="Table 4: graph convolutions or fully connected layers",
    rows=[
        BASELINE,
        Row("TFCN+global", TEMPORAL | TFCN, mars=(80.62, 88.28), duke=(94.34, 96.15)),
        TGCN_GLOBAL,
        Row("SFCN+global", SPATIAL | SFCN, mars=(81.10, 89.39), duke=(94.28, 95.30)),
        SGCN_GLOBAL,
        Row("TFCN+SGCN+global", TFCN, mars=(81.51, 89.24), duke=(95.62, 97.15)),
        Row("TGCN+SFCN+global", SFCN, mars=(82.65, 89.90), duke=(95.24, 96.30)),
        Row("TFCN+SFCN+global", TFCN | SFCN, mars=(82.27, 88.94), duke=(95.03, 96.15)),
        STGCN,
    ],
    baseline="baseline",
    pairs=[
        # The temporal graph: alone, beside fully connected layers, and beside the spatial graph.
        ("TGCN+global", "TFCN+global"),
        ("TGCN+SFCN+global", "TFCN+SFCN+global"),
        ("STGCN", "TFCN+SGCN+global"),
        # The spatial graph, likewise.
        ("SGCN+global", "SFCN+global"),
        ("TFCN+SGCN+global", "TFCN+SFCN+global"),
        ("STGCN", "TGCN+SFCN+global"),
        # Both graphs.
        ("STGCN", "TFCN+SFCN+global"),
    ],
)


def published_results(table: int) -> pd.DataFrame:
    """The published results of the paper's Table 1 (MARS) or 2 (DukeMTMC-VideoReID), in per cent.

    Those on MARS are followed by newer ones, with their source and protocol.

    Args:
        table: 1 or 2.

    Returns:
        A row a method: ``method``, ``mAP``, ``rank-1``, ``rank-5``, ``rank-20``, NaN where none is
        given; ``protocol``, empty where it is not known; ``source``.
    """
    rows = pd.read_csv(PUBLISHED).query("table == @table").drop(columns="table")
    return rows.fillna({"protocol": ""}).reset_index(drop=True)
