"""Training, which goes on where it was interrupted.

train            a network and its batches -> the trained network
STGCNTraining    the losses and the optimiser
fit              trains it into a folder
hold_out         identities to choose the best epoch on, taken out of training
checkpoint_path  the checkpoint in that folder

loop.py           the epochs and steps of a run
data_parallel.py  several processes: one batch norm and one loss over the batch of all
finite_checks.py  losses and gradients that are NaN or infinite
"""

from stgcn_pyg.errors import needs_extra

with needs_extra("train"):
    from stgcn_pyg.runs.checkpoint import checkpoint_path
    from stgcn_pyg.runs.training.fit import fit, train
    from stgcn_pyg.runs.training.module import STGCNTraining
    from stgcn_pyg.runs.training.validation import hold_out

__all__ = ["STGCNTraining", "checkpoint_path", "fit", "hold_out", "train"]
