"""The losses of a batch, and the optimiser that changes the weights by them."""

from collections.abc import Callable
from math import inf
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import StepLR

from stgcn_pyg.data import ClipBatch
from stgcn_pyg.errors import finite_number, require_known, whole_number
from stgcn_pyg.losses import stgcn_losses
from stgcn_pyg.models import STGCN, STGCNOutput
from stgcn_pyg.models.forward_modes import recomputed
from stgcn_pyg.runs.same_run import require_network
from stgcn_pyg.runs.training.compiled import Compile, CompiledForward
from stgcn_pyg.runs.training.data_parallel import gather_batch


class STGCNTraining(nn.Module):
    """Trains STGCN by the losses of Eq. 8 and 9 with Adam and a step decay (section 4.2).

    Args:
        model: Network to train.
        margin: Margin of the triplet losses, or ``"soft"`` for softplus in place of a margin.
        learning_rate: Learning rate of Adam, at the beginning.
        weight_decay: Weight decay of Adam.
        decay_epochs: Number of epochs after which the learning rate is multiplied by
            ``decay_factor``, each time.
        decay_factor: Factor by which the learning rate is multiplied.
        compile: ``"auto"`` runs the network through torch.compile on a GPU, if that works;
            ``"on"`` does so on a CPU too; ``"off"`` never.
        channels_last: Keep the backbone's feature maps in the memory format in which convolutions
            are fastest.
        fused: Run Adam as one kernel where PyTorch has it: on a CPU and an NVIDIA GPU.
        micro_batches: Number of parts in which a batch runs, one after the other, to take less
            memory. The losses are those of the whole batch; batch norm normalises each part.
        activation_checkpointing: Compute the backbone's blocks again in the backward pass, to
            take less memory.
        config: Plain values to store in the checkpoint, such as the configuration of a command.

    Attributes:
        run: The settings and tracklets that decide the outcome of a run, as :func:`.fit` stores
            them. A checkpoint holds them, and a run goes on only where they are the same.

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
        activation_checkpointing: bool = False,
        config: dict[str, Any] | None = None,
    ):
        super().__init__()
        require_network(model)
        require_known(compile=(compile, Compile))
        self.model = model
        self.margin = margin if margin == "soft" else finite_number("margin", margin, -inf)
        self.learning_rate = finite_number("learning_rate", learning_rate)
        self.weight_decay = finite_number("weight_decay", weight_decay)
        self.decay_epochs = whole_number("decay_epochs", decay_epochs)
        self.decay_factor = finite_number("decay_factor", decay_factor)
        self.fused = fused
        self.micro_batches = whole_number("micro_batches", micro_batches)
        self.config = config or {}
        self.run: dict[str, Any] = {}
        model.backbone.activation_checkpointing = activation_checkpointing
        model.backbone.channels_last = channels_last
        model.to(memory_format=torch.contiguous_format)
        self.compiled_forward = CompiledForward(compile)

    def forward(self, batch: ClipBatch) -> dict[str, Tensor]:
        """The ``loss`` of a P x K batch, and its ``accuracy`` and terms, which have no gradient.

        Where several processes share the batch, every process returns the values of all of it.
        """
        output = grad_cache_forward(
            lambda clips: self.compiled_forward(self.model, clips),
            self.model,
            batch.clips,
            self.micro_batches,
        )
        features, logits, labels = gather_batch(output.features, output.logits, batch.labels)
        loss, terms = stgcn_losses(features, logits, labels, self.margin)
        accuracy = (logits.argmax(dim=1) == labels).float().mean()
        detached = {name: term.detach() for name, term in terms.items()}
        return {"loss": loss, "accuracy": accuracy} | detached

    def build_optimizer(self) -> tuple[torch.optim.Adam, StepLR]:
        """Adam for the device that the weights are on, and its decay, which steps every epoch."""
        device = next(self.parameters()).device
        optimizer = torch.optim.Adam(
            self.model.parameters(),
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            fused=(self.fused and device.type in ("cpu", "cuda")) or None,
        )
        return optimizer, StepLR(optimizer, self.decay_epochs, self.decay_factor)


def grad_cache_forward(
    run: Callable[[Tensor], STGCNOutput], model: STGCN, clips: Tensor, parts: int
) -> STGCNOutput:
    """The output for a batch, of which one part at a time has its activations in memory.

    As in gradient caching (GradCache; Gao et al., 2021), each part runs twice: once for its
    features, by which the losses compare it with all others, and once more in the backward pass,
    with the same random numbers. Running statistics take in each part once. Batch norm, in
    training, normalises each part by itself.
    """
    if parts == 1:
        return run(clips)
    outputs = [recomputed(run, model, part) for part in clips.tensor_split(min(parts, len(clips)))]
    features, embeddings, logits = zip(*outputs, strict=True)
    joined = {name: torch.cat([part[name] for part in features]) for name in features[0]}
    return STGCNOutput(joined, torch.cat(embeddings), torch.cat(logits))
