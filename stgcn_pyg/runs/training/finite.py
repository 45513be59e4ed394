"""A loss or gradient that is not finite stops the run before it reaches the weights."""

from collections.abc import Sequence
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import torch
from torch import Tensor

from stgcn_pyg.data.pk_sampler import PKSampler
from stgcn_pyg.errors import RunError

ADVICE = (
    "choose another --output and a lower --training.learning_rate, or --precision 32-true if it "
    "was bf16-mixed"
)


class FiniteSteps(L.Callback):
    """Judges the loss and every gradient before the optimiser's step.

    A fused optimiser takes the verdict on the device, and leaves the weights as they are from the
    first bad step on. Nobody waits for it until the next look. Any other takes the step whatever
    the gradients are, so the look comes before it.

    Args:
        sampler: Which tracklets a batch holds.
        tracklets: The training table.
        checkpoint: Where the run keeps its last good checkpoint.
        every: Steps between two looks. There is one more at the end of an epoch, and one before a
            checkpoint is written.

    Raises:
        RunError: One is not finite. The message names the step, the tracklets of its batch by
            their numbers, and the checkpoint.
    """

    def __init__(
        self, sampler: PKSampler, tracklets: pd.DataFrame, checkpoint: Path, every: int = 50
    ):
        self.sampler = sampler
        self.tracklets = tracklets
        self.checkpoint = checkpoint
        self.every = every
        self.batch = 0
        self.loss: Tensor | None = None
        self.begun: list[tuple[int, int]] = []  # step and batch of those since the last look
        self.names: list[str] = []
        self.bad: Tensor | None = None  # whether there was a bad one among them
        self.first: Tensor | None = None  # which one it was, its loss, and its gradients' witnesses

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Notes which batch it is."""
        self.batch = batch_idx

    def on_before_backward(
        self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor
    ) -> None:
        """Notes the loss, to be judged with the gradients."""
        self.loss = loss.detach()

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Judges, and looks at once where the optimiser would not heed it."""
        assert self.loss is not None
        named = [(n, p.grad) for n, p in pl_module.named_parameters() if p.grad is not None]
        self.names = [name for name, _ in named]
        witnesses = _witnesses([gradient for _, gradient in named])
        place = torch.full((), len(self.begun), dtype=torch.float32, device=self.loss.device)
        judged = torch.stack([place, self.loss.float(), *(value.float() for value in witnesses)])
        bad = ~judged.isfinite().all()
        if self.bad is None or self.first is None:
            self.bad, self.first = bad, judged
        else:
            self.first = torch.where(self.bad, self.first, judged)
            self.bad = self.bad | bad
        self.begun.append((trainer.global_step + 1, self.batch))
        if optimizer.param_groups[0].get("fused"):  # as a checkpoint has it, where it is resumed
            optimizer.found_inf = self.bad.float()  # type: ignore[attr-defined]
        else:
            self.look(trainer)

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        """Looks, if it is time."""
        if len(self.begun) >= self.every:
            self.look(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Looks at the steps and the weights, before these are scored or saved."""
        self.require_good(trainer)

    def require_good(self, trainer: L.Trainer) -> None:
        """Looks at the steps, and at all parameters and buffers.

        Raises:
            RunError: One is not finite.
        """
        self.look(trainer)
        weights = trainer.lightning_module.state_dict()
        values = [value for value in weights.values() if value.is_floating_point()]
        if not torch.stack([value.isfinite().all() for value in values]).all():
            raise RunError(
                f"step {trainer.global_step:,}: a weight is not finite after it; {self._good()}: "
                f"{ADVICE}"
            )

    def look(self, trainer: L.Trainer) -> None:
        """Looks at the steps since the last look; a GPU waits here.

        Raises:
            RunError: One was bad.
        """
        begun, bad, first = self.begun, self.bad, self.first
        self.begun, self.bad, self.first = [], None, None
        if bad is None or first is None or not bad.item():
            return
        place, loss, *witnesses = first.tolist()
        what = f"the loss is {loss}"
        if isfinite(loss):
            names = zip(self.names, witnesses, strict=True)
            name = next(name for name, value in names if not isfinite(value))
            what = f"the gradient of {name} is not finite"
        self._stop(trainer, *begun[int(place)], what)

    def _stop(self, trainer: L.Trainer, step: int, batch: int, what: str) -> None:
        draws = next(islice(self.sampler.whole_batches(), batch, None))
        numbers = ", ".join(str(self.tracklets.index[draw.row]) for draw in draws)
        raise RunError(
            f"step {step:,} (batch {batch + 1} of epoch {trainer.current_epoch + 1}): {what}; its "
            f"tracklets are {numbers}; {self._good()}: {ADVICE}"
        )

    def _good(self) -> str:
        if self.checkpoint.exists():
            return f"the last good checkpoint is {self.checkpoint}"
        return "there is no checkpoint yet"


def _witnesses(gradients: list[Tensor]) -> Sequence[Tensor]:
    """A number a gradient that is finite if all of it is, by the fastest kernel of the device.

    On a CPU it is the sum. One that overflows is taken for a gradient that does, as Adam's squares
    do long before.
    """
    if gradients[0].device.type == "cpu":
        return [gradient.sum() for gradient in gradients]
    # One kernel for all of them: `get_total_norm` is made of it, but forgets whose norm is which.
    return torch._foreach_norm(gradients, torch.inf)
