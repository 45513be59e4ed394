"""When a run saves, and where it goes on."""

from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.plugins.io import CheckpointIO
from lightning.pytorch.callbacks import Checkpoint

from stgcn_pyg.data import TrackletDataModule
from stgcn_pyg.distributed import ProcessGroup
from stgcn_pyg.errors import RunError, SignalledError, UserError
from stgcn_pyg.runs.checkpoint_files import previous_path, read_last_good, write_checkpoint
from stgcn_pyg.runs.training.finite import FiniteSteps
from stgcn_pyg.runs.training.module import STGCNTraining
from stgcn_pyg.runs.training.resumed_sampler import ResumedSampler, position
from stgcn_pyg.runs.training.signals import NotedSignals
from stgcn_pyg.runs.training.validation import Validation


class CheckpointFiles(CheckpointIO):
    """Lightning's way to the files: :mod:`stgcn_pyg.runs.checkpoint_files`.

    Args:
        group: The processes that train.
    """

    def __init__(self, group: ProcessGroup):
        self.group = group

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Writes one aside and keeps the one before."""
        write_checkpoint(Path(path), checkpoint, keep=previous_path(Path(path)))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Reads the last good one; nothing in it is run as code."""
        # The first process alone at first, for a damaged one is given another name.
        content = read_last_good(Path(path)) if self.group.is_first else None
        self.group.gather("read")
        return read_last_good(Path(path)) if content is None else content

    def remove_checkpoint(self, path: str | Path) -> None:
        """Removes one."""
        Path(path).unlink(missing_ok=True)


class Checkpoints(Checkpoint):
    """Saves at the end of an epoch and where a signal came, then leaves; sets resumed runs right.

    An epoch that is the best so far is saved in any case, and only then is the file of the best
    epoch written. So that file is never of a later time than the one that a run goes on from.

    Args:
        path: Of the checkpoint.
        every: Epochs between two; one is always saved at the end.
        data: The batches, whose sampler is set to the place where a resumed run goes on.
        signals: Those that came to this process; one to any of them ends all after the same step.
        group: The processes that train.
        finite: Looks at steps and weights before they are saved.
        validation: Chooses the best epoch, if that is to be done.

    Raises:
        RunError: It cannot be written, or a step or weight is not finite; the last good one
            stays.
        SignalledError: A signal came; what was done until then is saved.
    """

    def __init__(
        self,
        path: Path,
        every: int,
        data: TrackletDataModule,
        signals: NotedSignals,
        group: ProcessGroup,
        finite: FiniteSteps,
        validation: Validation | None = None,
    ):
        self.path = path
        self.every = every
        self.data = data
        self.signals = signals
        self.group = group
        self.finite = finite
        self.validation = validation

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Goes on with the batch after the last one that is in the checkpoint."""
        if "optimizer_states" not in checkpoint:
            raise UserError(
                f"{self.path}: holds weights alone, without the state that a training goes on "
                "from: choose another folder"
            )
        epoch, batches = position(checkpoint)
        if epoch > (trainer.max_epochs or 0):
            raise UserError(
                f"{self.path}: has been trained for {epoch:,} epochs already, more than "
                f"{trainer.max_epochs:,}: ask for more, or choose another folder"
            )
        resumed = ResumedSampler(self.data.sampler, epoch, batches)
        self.data.sampler = resumed  # type: ignore[assignment]  # it stands in for the other

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Takes the signals back from Lightning, whose answer has every process wait for others."""
        self.signals.note_again()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Saves in the middle of an epoch if a signal came; after its last batch it ends first."""
        if batch_idx + 1 < trainer.num_training_batches and (number := self._signal()):
            self._save(trainer)
            self._leave(number, f"step {batch_idx + 1} of epoch {trainer.current_epoch + 1}")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Saves an epoch."""
        done, number = trainer.current_epoch + 1, self._signal()
        is_best = self.validation is not None and self.validation.is_best(done)
        if done % self.every == 0 or done == trainer.max_epochs or number or is_best:
            self._save(trainer)
        if self.validation is not None and is_best and self.group.is_first:
            assert isinstance(pl_module, STGCNTraining)
            self.validation.keep(pl_module, done)
        if number:
            self._leave(number, f"epoch {done}")

    def _signal(self) -> int:
        """That which came to any process, or 0."""
        return self.group.largest(self.signals.number or 0)

    def _save(self, trainer: L.Trainer) -> None:
        self.finite.require_good(trainer)
        try:
            trainer.save_checkpoint(self.path)
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be written ({error.strerror}); the last good checkpoint "
                "stays: mend that and run the same command again, which goes on from there"
            ) from error

    def _leave(self, number: int, done: str) -> None:
        raise SignalledError(
            number,
            f"interrupted; all up to {done} is saved in {self.path}: the same command goes on "
            "there",
        )
