"""The losses of a batch, and the optimiser that changes the weights by them."""

from collections.abc import Callable
from functools import partial
from math import cos, inf, pi
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, StepLR

from stgcn_pyg.data import ClipBatch
from stgcn_pyg.errors import UserError, finite_number, require_known, share, whole_number
from stgcn_pyg.losses import CentreLoss, stgcn_losses
from stgcn_pyg.models import STGCN, STGCNOutput
from stgcn_pyg.models.forward_modes import recomputed
from stgcn_pyg.runs.same_run import require_network
from stgcn_pyg.runs.training.compiled import Compile, CompiledForward
from stgcn_pyg.runs.training.data_parallel import gather_batch

OptimizerName = Literal["adam", "adamw"]
Decay = Literal["step", "cosine"]


class STGCNTraining(nn.Module):
    """Trains STGCN by the losses of Eq. 8 and 9 with Adam and a step decay (section 4.2).

    The options from ``label_smoothing`` on are of later recipes; their defaults are the paper's.

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
        label_smoothing: Share of each label that is spread over all classes in the softmax loss.
        centre_loss: Weight of the centre loss of the concatenated features; 0 for none.
        optimizer: ``"adam"``, or ``"adamw"``, whose weight decay does not pass through the
            averages of the gradient.
        backbone_learning_rate: Learning rate of the backbone, where it differs from the rest.
        layer_decay: Factor by which each layer of the backbone has a lower learning rate than the
            one behind it.
        warmup_epochs: Number of epochs in which the learning rate rises in equal steps to its
            value.
        decay: ``"step"`` as above, or ``"cosine"`` down to 0 at the end of the run.
        frozen_layers: Number of the backbone's first layers whose weights stay what they are:
            the stem of a torchvision ResNet is one, each stage of it another; of timm's networks
            each block is one.
        frozen_batch_norm: Keep the backbone's batch norms as they are: scale, shift and running
            statistics.
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
        label_smoothing: float = 0.0,
        centre_loss: float = 0.0,
        optimizer: OptimizerName = "adam",
        backbone_learning_rate: float | None = None,
        layer_decay: float = 1.0,
        warmup_epochs: int = 0,
        decay: Decay = "step",
        frozen_layers: int = 0,
        frozen_batch_norm: bool = False,
        config: dict[str, Any] | None = None,
    ):
        super().__init__()
        require_network(model)
        require_known(
            compile=(compile, Compile), optimizer=(optimizer, OptimizerName), decay=(decay, Decay)
        )
        self.model = model
        self.margin = margin if margin == "soft" else finite_number("margin", margin, -inf)
        self.learning_rate = finite_number("learning_rate", learning_rate)
        self.weight_decay = finite_number("weight_decay", weight_decay)
        self.decay_epochs = whole_number("decay_epochs", decay_epochs)
        self.decay_factor = finite_number("decay_factor", decay_factor)
        self.fused = fused
        self.micro_batches = whole_number("micro_batches", micro_batches)
        self.label_smoothing = share("label_smoothing", label_smoothing, below_one=True)
        self.centre_loss = finite_number("centre_loss", centre_loss)
        self.optimizer: OptimizerName = optimizer
        self.backbone_learning_rate = (
            self.learning_rate
            if backbone_learning_rate is None
            else finite_number("backbone_learning_rate", backbone_learning_rate)
        )
        self.layer_decay = finite_number("layer_decay", layer_decay)
        if self.layer_decay == 0:
            raise UserError("layer_decay=0: pass a number above 0; frozen_layers freezes layers")
        self.warmup_epochs = whole_number("warmup_epochs", warmup_epochs, least=0)
        self.decay: Decay = decay
        self.frozen_layers = whole_number("frozen_layers", frozen_layers, least=0)
        self.frozen_batch_norm = frozen_batch_norm
        if self.frozen_layers or frozen_batch_norm:
            model.backbone.freeze(self.frozen_layers, frozen_batch_norm)
        if self.centre_loss:
            width = model.classifier.in_features
            self.centres = CentreLoss(model.options["num_classes"], width)
        self.config = config or {}
        self.run: dict[str, Any] = {}
        if activation_checkpointing and hasattr(model.backbone, "network"):
            if compile == "on":
                raise UserError(
                    "compile='on' and activation_checkpointing go together with backbones of "
                    "torchvision alone: leave one of them out"
                )
            compile = "off"
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
        loss, terms = stgcn_losses(features, logits, labels, self.margin, self.label_smoothing)
        if self.centre_loss:
            terms["centre"] = self.centres(torch.cat(list(features.values()), dim=1), labels)
            loss = loss + self.centre_loss * terms["centre"]
        accuracy = (logits.argmax(dim=1) == labels).float().mean()
        detached = {name: term.detach() for name, term in terms.items()}
        return {"loss": loss, "accuracy": accuracy} | detached

    def build_optimizer(self, epochs: int) -> tuple[Adam, LRScheduler]:
        """The optimiser for the device that the weights are on, and its decay by epochs.

        Args:
            epochs: Number of epochs of the run.
        """
        device = next(self.parameters()).device
        kind = AdamW if self.optimizer == "adamw" else Adam
        optimizer = kind(
            self._parameter_groups(),
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            fused=(self.fused and device.type in ("cpu", "cuda")) or None,
        )
        if self.decay == "step" and not self.warmup_epochs:
            return optimizer, StepLR(optimizer, self.decay_epochs, self.decay_factor)
        return optimizer, LambdaLR(optimizer, partial(self._rate, epochs=epochs))

    def _rate(self, epoch: int, epochs: int) -> float:
        """The learning rate in an epoch, from 0 on, over that of ``learning_rate``."""
        if epoch < self.warmup_epochs:
            return (epoch + 1) / (self.warmup_epochs + 1)
        if self.decay == "step":
            return self.decay_factor ** (epoch // self.decay_epochs)
        done = (epoch - self.warmup_epochs) / max(1, epochs - self.warmup_epochs)
        return (1 + cos(pi * min(done, 1.0))) / 2

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters by learning rate: one group where all have the same."""
        if self.backbone_learning_rate == self.learning_rate and self.layer_decay == 1:
            return [{"params": list(self.model.parameters())}]
        backbone = self.model.backbone
        weights = dict(backbone.named_parameters())
        layers = backbone.layers()
        groups = [
            {
                "params": [weights[name] for name in layer],
                "lr": self.backbone_learning_rate * self.layer_decay ** (len(layers) - number),
            }
            for number, layer in enumerate(layers, start=1)
        ]
        others = [p for n, p in self.model.named_parameters() if not n.startswith("backbone.")]
        return [{"params": others}, *groups]


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
