"""STGCN: spatial-temporal graph convolutions for video-based person re-identification."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stgcn_pyg.models import STGCN as STGCN

__version__ = "0.1.0"

JUNK = -1
"""The pid of junk: boxes in the gallery that show no one, and that no evaluation counts."""

__all__ = ["JUNK", "STGCN", "__version__"]


def __getattr__(name: str):
    # Imported on first use: `stgcn_pyg.layers` must not pull in torchvision.
    if name == "STGCN":
        from stgcn_pyg.models import STGCN

        return STGCN
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
