"""The progress bar of a training."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from stgcn_pyg.progress import bar_options


class TrainingBar(ProgressBar):
    """One bar over the whole training, with the means of the last epoch beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.bar: tqdm | None = None

    def disable(self) -> None:
        """Lightning asks for it on all processes but the first; their bars show nothing anyway."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Opens the bar where a resumed run stands."""
        steps = int(trainer.num_training_batches)
        self.bar = tqdm(
            desc="training",
            total=steps * (trainer.max_epochs or 0),
            initial=trainer.global_step,
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

    def on_exception(self, trainer: L.Trainer, *args: Any) -> None:
        """Closes it, so that an error has a line of its own."""
        if self.bar is not None:
            self.bar.close()
