"""Published results: the paper's Tables 1 and 2, and newer ones with their source and protocol."""

from math import nan
from typing import NamedTuple


class Published(NamedTuple):
    """A published result, in per cent; NaN where none is given.

    Attributes:
        method: As its authors, or the paper's table, call it.
        mAP, rank_1, rank_5, rank_20: Of the test set.
        protocol: By which its code evaluates; empty where that is not known.
        source: Where it was read.
    """

    method: str
    mAP: float  # noqa: N815 - the field's own spelling
    rank_1: float
    rank_5: float = nan
    rank_20: float = nan
    protocol: str = ""
    source: str = "the paper"


TABLE_1 = (
    Published("BoW+kissme", 15.50, 30.60, 46.20, 59.20),
    Published("IDE+XQDA", 47.60, 65.30, 82.00, 89.00),
    Published("SeeForest", 50.70, 70.60, 90.00, 97.60),
    Published("QAN", 51.70, 73.70, 84.90, 91.60),
    Published("DCF", 56.05, 71.77, 86.57, 93.08),
    Published("TriNet", 67.70, 79.80, 91.36),
    Published("MCA", 71.17, 77.17),
    Published("DRSA", 65.80, 82.30),
    Published("DuATM", 67.73, 81.16, 92.47),
    Published("MGCAM", 71.17, 77.17),
    Published("PBR", 75.90, 84.70, 92.80, 95.00),
    Published("CSA", 76.10, 86.30, 94.70, 98.20),
    Published("STMP", 72.70, 84.40, 93.20, 96.30),
    Published("M3D", 74.06, 84.39, 93.84, 97.74),
    Published("STA", 80.80, 86.30, 95.70, 98.10),
    Published("GLTR", 78.47, 87.02, 95.76, 98.23),
    Published("Wu et al.", 81.1, 89.8, 96.1, 97.6),
    Published("VRSTC", 82.3, 88.5, 96.5, 97.4),
    Published("Zhao et al.", 78.2, 87.0, 95.4, 98.7),
    Published("STE-NVAN", 81.2, 88.9),
    Published("STGCN, the paper", 83.70, 89.95, 96.41, 98.28),
)
"""MARS."""

TABLE_2 = (
    Published("EUG", 78.3, 83.6, 94.6, 97.6),
    Published("ETAP-Net", 78.34, 83.62, 94.59, 97.58),
    Published("STE-NVAN", 93.5, 95.2),
    Published("VRSTC", 93.5, 95.0, 99.1),
    Published("STA", 94.90, 96.20, 99.30, 99.60),
    Published("GLTR", 93.74, 96.29, 99.30, 99.71),
    Published("Wu et al.", 94.2, 96.7, 99.2, 99.7),
    Published("STGCN, the paper", 95.70, 97.29, 99.29, 99.72),
)
"""DukeMTMC-VideoReID."""

NEWER_ON_MARS = (
    Published(
        "SANet",
        86.0,
        91.2,
        protocol="full-gallery",
        source="Bai et al., TCSVT 2021, by the README of github.com/baist/SINet",
    ),
    Published(
        "SINet",
        86.2,
        91.0,
        protocol="full-gallery",
        source="Bai et al., CVPR 2022, by the README of github.com/baist/SINet",
    ),
    Published("TF-CLIP", 89.4, 93.0, protocol="full-gallery", source="Yu et al., AAAI 2024"),
)
