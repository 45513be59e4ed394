"""Training, which goes on where it was cut short.

train            a network and its batches -> the trained network
STGCNTraining    the LightningModule: losses and optimiser
fit              runs it into a folder
hold_out         people to choose the best epoch on, taken out of training
checkpoint_path  where that folder keeps its checkpoint
"""

from stgcn_pyg.runs.checkpoint_files import checkpoint_path
from stgcn_pyg.runs.training.fit import fit, train
from stgcn_pyg.runs.training.module import STGCNTraining
from stgcn_pyg.runs.training.validation import hold_out

__all__ = ["STGCNTraining", "checkpoint_path", "fit", "hold_out", "train"]
