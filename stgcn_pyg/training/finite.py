"""A loss or gradient that is not finite stops the run before it reaches the weights."""

from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import torch
from torch import Tensor, nn

from stgcn_pyg.data.pk_sampler import PKSampler
from stgcn_pyg.errors import RunError

ADVICE = (
    "choose another --output and a lower --training.learning_rate, or --precision 32-true if it "
    "was bf16-mixed"
)


class FiniteSteps(L.Callback):
    """Looks at the loss and at every gradient before the optimiser's step.

    Args:
        sampler: Which tracklets a batch holds.
        tracklets: The training table.
        checkpoint: Where the run keeps its last good checkpoint.

    Raises:
        RunError: One is not finite. The message names the step, the tracklets of its batch by
            their numbers, and the checkpoint.
    """

    def __init__(self, sampler: PKSampler, tracklets: pd.DataFrame, checkpoint: Path):
        self.sampler = sampler
        self.tracklets = tracklets
        self.checkpoint = checkpoint
        self.batch = 0
        self.loss: Tensor | None = None

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Notes which batch it is."""
        self.batch = batch_idx

    def on_before_backward(
        self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor
    ) -> None:
        """Notes the loss; both are looked at together, for a GPU waits at each look."""
        self.loss = loss.detach()

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Looks."""
        assert self.loss is not None
        named = [(n, p.grad) for n, p in pl_module.named_parameters() if p.grad is not None]
        largest = nn.utils.get_total_norm([gradient for _, gradient in named], float("inf"))
        loss, gradient = torch.stack([self.loss.to(largest), largest]).tolist()
        if not isfinite(loss):
            self._stop(trainer, f"the loss is {loss}")
        if not isfinite(gradient):
            name = next(n for n, values in named if not values.isfinite().all())
            self._stop(trainer, f"the gradient of {name} is not finite")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Looks at the weights, before they are scored or saved."""
        require_finite_weights(trainer, self.checkpoint)

    def _stop(self, trainer: L.Trainer, what: str) -> None:
        draws = next(islice(self.sampler.whole_batches(), self.batch, None))
        numbers = ", ".join(str(self.tracklets.index[draw.row]) for draw in draws)
        raise RunError(
            f"step {trainer.global_step + 1:,} (batch {self.batch + 1} of epoch "
            f"{trainer.current_epoch + 1}): {what}; its tracklets are {numbers}; "
            f"{_good(self.checkpoint)}: {ADVICE}"
        )


def require_finite_weights(trainer: L.Trainer, checkpoint: Path) -> None:
    """Looks at all parameters and buffers.

    Raises:
        RunError: One is not finite: the step before was too long.
    """
    weights = trainer.lightning_module.state_dict()
    values = [value for value in weights.values() if value.is_floating_point()]
    if not torch.stack([value.isfinite().all() for value in values]).all():
        raise RunError(
            f"step {trainer.global_step:,}: a weight is not finite after it; {_good(checkpoint)}: "
            f"{ADVICE}"
        )


def _good(checkpoint: Path) -> str:
    if checkpoint.exists():
        return f"the last good checkpoint is {checkpoint}"
    return "there is no checkpoint yet"
