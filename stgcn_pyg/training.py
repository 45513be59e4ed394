"""Training: the LightningModule, and `fit`, which runs it into a folder."""

from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor
from tqdm import tqdm

from stgcn_pyg.checkpoint import KEY, describe, load_checkpoint
from stgcn_pyg.data import ClipBatch, TrackletDataModule
from stgcn_pyg.losses import stgcn_losses
from stgcn_pyg.models import STGCN
from stgcn_pyg.progress import bar_options


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
        config: Plain values to carry in the checkpoint, such as the command's configuration.
    """

    def __init__(
        self,
        model: STGCN,
        margin: float | Literal["soft"] = 0.3,
        learning_rate: float = 3e-4,
        weight_decay: float = 5e-4,
        decay_epochs: int = 200,
        decay_factor: float = 0.1,
        config: dict[str, Any] | None = None,
    ):
        super().__init__()
        self.model = model
        self.margin = margin
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.decay_epochs = decay_epochs
        self.decay_factor = decay_factor
        self.config = config or {}

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor:
        """The loss of one P x K batch; its terms are logged as means over the epoch."""
        output = self.model(batch.clips)
        loss, terms = stgcn_losses(output.features, output.logits, batch.labels, self.margin)
        accuracy = (output.logits.argmax(dim=1) == batch.labels).float().mean()
        logged = {"loss": loss, "accuracy": accuracy, **terms}
        self.log_dict(logged, on_step=False, on_epoch=True, batch_size=len(batch.labels))
        return loss

    def configure_optimizers(self) -> Any:
        """Adam, divided every ``decay_epochs``."""
        optimizer = torch.optim.Adam(
            self.model.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )
        decay = torch.optim.lr_scheduler.StepLR(optimizer, self.decay_epochs, self.decay_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": decay, "interval": "epoch"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what is needed to build the model again."""
        checkpoint[KEY] = describe(self.model, self.config)


def fit(
    module: STGCNTraining,
    data: TrackletDataModule,
    output: Path,
    epochs: int,
    precision: Literal["32-true", "bf16-mixed"] = "32-true",
    accelerator: Literal["auto", "cpu", "gpu"] = "auto",
    checkpoint_every: int = 10,
) -> None:
    """Trains, or goes on where the folder's checkpoint ends.

    Args:
        module: The model and its optimisation.
        data: Its batches.
        output: The folder that receives ``checkpoint.ckpt``, ``log/`` and ``tensorboard/``.
        epochs: To train for in all.
        precision: ``"32-true"``, or ``"bf16-mixed"`` for bfloat16 where it is safe.
        accelerator: ``"auto"`` takes a GPU where there is one.
        checkpoint_every: Epochs between checkpoints; one is always written at the end.

    Raises:
        UserError: The folder's checkpoint is damaged, or a picture is bad.
    """
    last = checkpoint_path(output)
    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator=accelerator,
        devices=1,
        precision=precision,
        default_root_dir=output,
        logger=[CSVLogger(output, name="log"), TensorBoardLogger(output, name="tensorboard")],
        callbacks=[
            TrainingBar(),
            ModelCheckpoint(
                dirpath=output,
                filename=last.stem,
                every_n_epochs=checkpoint_every,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            ),
        ],
        log_every_n_steps=len(data.sampler),
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    resume = None
    if last.exists():
        load_checkpoint(last)  # a damaged one is refused in one line
        resume = str(last)
    trainer.fit(module, data, ckpt_path=resume, weights_only=True)
    trainer.save_checkpoint(last)


def checkpoint_path(output: Path) -> Path:
    """Where a run keeps its checkpoint."""
    return output / "checkpoint.ckpt"


class TrainingBar(ProgressBar):
    """One bar over the whole training, with the means of the last epoch beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.bar: tqdm | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Opens the bar where a resumed run stands."""
        steps = int(trainer.num_training_batches)
        self.bar = tqdm(
            desc="training",
            total=steps * (trainer.max_epochs or 0),
            initial=steps * trainer.current_epoch,
            unit="step",
            **bar_options(),
        )

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        """Counts a step."""
        if self.bar is not None:
            self.bar.update()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Shows the epoch's means."""
        if self.bar is not None:
            metrics = trainer.callback_metrics
            shown = {name: float(metrics[name]) for name in ("loss", "accuracy") if name in metrics}
            self.bar.set_postfix(epoch=trainer.current_epoch + 1, **shown, refresh=False)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Closes the bar."""
        if self.bar is not None:
            self.bar.close()
