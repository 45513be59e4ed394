"""Stops a run whose loss or gradients are NaN or infinite, before they reach the weights."""

from itertools import islice
from math import isfinite
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from stgcn_pyg.data.pk_sampler import PKSampler
from stgcn_pyg.errors import RunError

ADVICE = (
    "choose another --output and a lower --training.learning-rate, or --precision 32-true if it "
    "was bf16-mixed"
)


class FiniteChecks:
    """Checks the loss and all gradients for NaN and infinity before each optimiser step.

    With a fused optimiser the result stays on the device. As ``found_inf`` it makes the optimiser
    skip that step and all later ones without a synchronisation, and the host reads it every
    ``every`` steps. Other optimisers know no ``found_inf``: there the host reads it at every step.

    A bad step is reported with its ``tracklets``, which the sampler draws once more, and the path
    of the run's last good ``checkpoint``.
    """

    def __init__(
        self, sampler: PKSampler, tracklets: pd.DataFrame, checkpoint: Path, every: int = 50
    ):
        self.sampler = sampler
        self.tracklets = tracklets
        self.checkpoint = checkpoint
        self.every = every
        self.names: list[str] = []  # of the parameters that have gradients
        self.unread: list[tuple[int, int, int]] = []  # step, epoch, batch since the last read
        self.found: Tensor | None = None  # whether one of these steps is bad
        # The place in `unread` of the first bad step, its loss and the flag of each gradient.
        self.first_bad: Tensor | None = None

    def check(
        self,
        loss: Tensor,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        step: int,
        epoch: int,
        batch: int,
    ) -> None:
        """Checks a step between the backward pass and the optimiser's step.

        The optimiser skips its step if this or an earlier one is bad; one that is not fused cannot,
        and then a RunError is raised here. Step, epoch and batch (of the epoch) count from 1.
        """
        named = [(n, p.grad) for n, p in module.named_parameters() if p.grad is not None]
        self.names = [name for name, _ in named]
        flags = _per_gradient_flags([gradient for _, gradient in named])
        place = torch.full((), len(self.unread), dtype=torch.float32, device=loss.device)
        values = torch.stack([place, loss.detach().float(), *(flag.float() for flag in flags)])
        bad = ~values.isfinite().all()
        if self.found is None or self.first_bad is None:
            self.found, self.first_bad = bad, values
        else:
            self.first_bad = torch.where(self.found, self.first_bad, values)
            self.found = self.found | bad
        self.unread.append((step, epoch, batch))
        if optimizer.param_groups[0].get("fused"):  # a checkpoint decides it in a resumed run
            optimizer.found_inf = self.found.float()  # type: ignore[attr-defined]
        else:
            self.read()

    def read_if_due(self) -> None:
        if len(self.unread) >= self.every:
            self.read()

    def read(self) -> None:
        """Reads the results; raises a RunError that names the first bad step and its tracklets."""
        unread, found, first_bad = self.unread, self.found, self.first_bad
        self.unread, self.found, self.first_bad = [], None, None
        if found is None or first_bad is None or not found.item():
            return
        place, loss, *flags = first_bad.tolist()
        what = f"the loss is {loss}"
        if isfinite(loss):
            named = zip(self.names, flags, strict=True)
            name = next(name for name, flag in named if not isfinite(flag))
            what = f"the gradient of {name} is not finite"
        step, epoch, batch = unread[int(place)]
        self.sampler.set_epoch(epoch - 1)
        draws = next(islice(self.sampler.whole_batches(), batch - 1, None))
        numbers = ", ".join(str(self.tracklets.index[draw.row]) for draw in draws)
        raise RunError(
            f"step {step:,} (batch {batch} of epoch {epoch}): {what}; its tracklets are {numbers}; "
            f"{self._last_good()}: {ADVICE}"
        )

    def require_finite(self, module: nn.Module, step: int) -> None:
        """Reads the results, and raises a RunError if a parameter or buffer is not finite."""
        self.read()
        values = [value for value in module.state_dict().values() if value.is_floating_point()]
        if not torch.stack([value.isfinite().all() for value in values]).all():
            raise RunError(
                f"step {step:,}: a weight is not finite after it; {self._last_good()}: {ADVICE}"
            )

    def _last_good(self) -> str:
        if self.checkpoint.exists():
            return f"the last good checkpoint is {self.checkpoint}"
        return "there is no checkpoint yet"


def _per_gradient_flags(gradients: list[Tensor]) -> list[Tensor] | tuple[Tensor, ...]:
    """A number for each gradient that is finite if all of it is, by the device's fastest kernel.

    On a CPU it is the sum. A gradient whose sum overflows counts as infinite; Adam's squares would
    overflow long before.
    """
    if gradients[0].device.type == "cpu":
        return [gradient.sum() for gradient in gradients]
    # One kernel for all of them: `get_total_norm` is made of it, but does not return each norm.
    return torch._foreach_norm(gradients, torch.inf)
