"""The LightningModule: the losses of a batch, and how the weights follow from them."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import lightning as L
import torch
from torch import Tensor

from stgcn_pyg.data import ClipBatch
from stgcn_pyg.errors import require_known
from stgcn_pyg.losses import stgcn_losses
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.checkpoint import KEY, describe, require_network, require_same_run
from stgcn_pyg.runs.training.argument_checks import finite, not_negative, whole_number
from stgcn_pyg.runs.training.compiled_forward import Compile, CompiledForward
from stgcn_pyg.runs.training.gathered import gather_batch
from stgcn_pyg.runs.training.micro_batches import in_micro_batches


class STGCNTraining(L.LightningModule):
    """Trains STGCN by the losses of Eq. 8 and 9 with Adam and a step decay (section 4.2).

    Args:
        model: What is trained.
        margin: Of the triplet losses, or ``"soft"``.
        learning_rate: Of Adam, at the beginning.
        weight_decay: Of Adam.
        decay_epochs: After so many epochs, each time, the learning rate is multiplied by
            ``decay_factor``.
        decay_factor: See ``decay_epochs``.
        compile: ``"auto"`` runs the network through torch.compile on a GPU, where that works;
            ``"on"`` anywhere; ``"off"`` nowhere.
        channels_last: Whether the backbone's maps lie channel by channel for each pixel, which is
            the order in which convolutions are fastest.
        fused: Whether Adam runs as one kernel, where PyTorch has it: on a CPU and an NVIDIA GPU.
        micro_batches: In how many parts a batch runs, one after the other, to take less memory;
            the losses see it whole, batch norm each part.
        recompute: Whether the backbone's blocks are computed again in the backward pass, to take
            less memory.
        config: Plain values to carry in the checkpoint, such as the command's configuration.

    Attributes:
        run: What decides the run's outcome beside the network, as :func:`fit` notes it; a
            checkpoint carries it, and a run goes on only where it is the same.

    Raises:
        UserError: ``micro_batches`` or ``decay_epochs`` is below 1, another number is not finite or
            is negative (a margin may be), ``compile`` is another word, or the model is no
            :class:`.STGCN`.
    """

    def __init__(
        self,
        model: STGCN,
        *,
        margin: float | Literal["soft"] = 0.3,
        learning_rate: float = 3e-4,
        weight_decay: float = 5e-4,
        decay_epochs: int = 200,
        decay_factor: float = 0.1,
        compile: Compile = "auto",
        channels_last: bool = True,
        fused: bool = True,
        micro_batches: int = 1,
        recompute: bool = False,
        config: dict[str, Any] | None = None,
    ):
        super().__init__()
        require_network(model)
        require_known(compile=(compile, Compile))
        self.model = model
        self.margin = margin if margin == "soft" else finite("margin", margin)
        self.learning_rate = not_negative("learning_rate", learning_rate)
        self.weight_decay = not_negative("weight_decay", weight_decay)
        self.decay_epochs = whole_number("decay_epochs", decay_epochs)
        self.decay_factor = not_negative("decay_factor", decay_factor)
        self.fused = fused
        self.micro_batches = whole_number("micro_batches", micro_batches)
        self.config = config or {}
        self.run: dict[str, Any] = {}
        model.backbone.recompute = recompute
        model.backbone.channels_last = channels_last
        model.to(memory_format=torch.contiguous_format)
        self.forward_in_training = CompiledForward(compile)

    def training_step(self, batch: ClipBatch, batch_idx: int) -> dict[str, Tensor]:
        """The loss of one P x K batch and its terms, which are logged as means over the epoch.

        Where several processes share the batch, they are those of the whole, on each of them.
        """
        run = partial(self.forward_in_training, self.model)
        output = in_micro_batches(run, self.model, batch.clips, self.micro_batches)
        features, logits, labels = gather_batch(output.features, output.logits, batch.labels)
        loss, terms = stgcn_losses(features, logits, labels, self.margin)
        accuracy = (logits.argmax(dim=1) == labels).float().mean()
        told = {"accuracy": accuracy} | {name: term.detach() for name, term in terms.items()}
        logged = {"loss": loss} | told
        self.log_dict(logged, on_step=False, on_epoch=True, batch_size=len(labels))
        return logged

    def configure_optimizers(self) -> Any:
        """Adam, divided every ``decay_epochs``."""
        fused = self.fused and self.device.type in ("cpu", "cuda")
        optimizer = torch.optim.Adam(
            self.model.parameters(),
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            fused=fused or None,
        )
        decay = torch.optim.lr_scheduler.StepLR(optimizer, self.decay_epochs, self.decay_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": decay, "interval": "epoch"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what is needed to build the model again, and who its classes are."""
        checkpoint[KEY] = self.describe(self._people())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses to go on with another model, other settings or other tracklets."""
        path = self.trainer.ckpt_path or "checkpoint"
        require_same_run(path, checkpoint, self.model, self._people(), self.run)
        _in_ordinary_order(checkpoint.get("optimizer_states", []))

    def describe(self, people: Sequence[int]) -> dict[str, Any]:
        """What a checkpoint of this module says, see :func:`stgcn_pyg.runs.checkpoint.describe`.

        Args:
            people: The person of each class.
        """
        return describe(self.model, self.config, people, self.run)

    def _people(self) -> list[int]:
        """The person of each class, where the data module tells."""
        return [int(pid) for pid in getattr(getattr(self.trainer, "datamodule", None), "pids", ())]


def _in_ordinary_order(states: list[dict[str, Any]]) -> None:
    """Gives the optimizer's averages the order in memory that the weights have.

    In older checkpoints both lie channel by channel for each pixel. Fused Adam goes through both in
    the order of their memory, so that averages in another order would be those of other weights.

    Args:
        states: The state dict of each optimizer, changed in place.
    """
    for state in states:
        for averages in state["state"].values():
            averages.update(
                {k: v.contiguous() for k, v in averages.items() if isinstance(v, Tensor)}
            )
