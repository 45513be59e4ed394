"""Tables of tracklets, how clips are drawn from them, and the loaders for training and test.

load_dataset        a data set on disk -> TrackletDataset
write_manifest      TrackletDataset -> one table of its frames, CSV or Parquet
TrackletDataset     its tables of tracklets: train, query, gallery
TrackletDataModule  its batches for training and test
check_dataset       everything that is wrong with its labels and images
"""

from typing import TYPE_CHECKING

from stgcn_pyg.data.check import CheckResult, check_dataset
from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.load import load_dataset
from stgcn_pyg.data.manifest import write_manifest

if TYPE_CHECKING:
    from stgcn_pyg.data.datamodule import ClipBatch, TrackletDataModule

__all__ = [
    "CheckResult",
    "ClipBatch",
    "TrackletDataModule",
    "TrackletDataset",
    "check_dataset",
    "load_dataset",
    "write_manifest",
]


def __getattr__(name: str):
    # Imported on first use: reading tables and rendering need no torch, whose import takes seconds.
    if name in ("ClipBatch", "TrackletDataModule"):
        from stgcn_pyg.data import datamodule

        return getattr(datamodule, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
