"""The means of every epoch, each written once, however often the run was cut short."""

from collections import defaultdict
from contextlib import suppress
from math import isnan, nan
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from stgcn_pyg.errors import RunError
from stgcn_pyg.files import written_aside
from stgcn_pyg.runs.training.validation import Validation


class EpochLog(L.Callback):
    """Writes ``log/metrics.csv`` and the curves in ``tensorboard/``, a row and a point an epoch.

    What has been logged is in the checkpoint, and so are the sums of an epoch that is not over.
    From it the files are written anew when a run goes on, so that no epoch stands there twice and
    none is missing.

    Args:
        output: The run's folder.
        validation: Whose scores are logged as well; it comes before among the callbacks.
        every: Steps whose terms stay on the device, for a GPU waits where they are read.
    """

    def __init__(self, output: Path, validation: Validation | None = None, every: int = 50):
        self.validation = validation
        self.every = every
        self.path = output / "log" / "metrics.csv"
        self.curves = output / "tensorboard"
        self.rows: list[dict[str, float]] = []
        self.sums: dict[str, float] = defaultdict(float)
        self.steps = 0
        self.unread: list[dict[str, Tensor]] = []
        self.rate = 0.0
        self.writer: SummaryWriter | None = None

    def state_dict(self) -> dict[str, Any]:
        """Plain values, for the checkpoint."""
        self._read()
        return {"rows": self.rows, "sums": dict(self.sums), "steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes them back."""
        self.rows = state_dict["rows"]
        self.sums = defaultdict(float, state_dict["sums"])
        self.steps = state_dict["steps"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Writes what a resumed run has logged."""
        if not trainer.is_global_zero:
            return
        try:
            self._write_rows()
            for written in self.curves.glob("events.out.tfevents.*"):
                written.unlink()
            self.writer = SummaryWriter(str(self.curves))
            for row in self.rows:
                self._add_points(row)
        except OSError as error:
            raise self._stopped(error) from error

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        """Notes the learning rate, which is the next epoch's when the epoch ends."""
        self.rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *args: Any
    ) -> None:
        """Keeps the terms of a step."""
        self.unread.append({name: value.detach() for name, value in outputs.items()})
        if len(self.unread) >= self.every:
            self._read()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Writes the epoch."""
        self._read()
        row: dict[str, float] = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step}
        row |= {name: total / self.steps for name, total in self.sums.items()}
        if self.validation is not None:
            row["validation_mAP"] = self.validation.scores.get(int(row["epoch"]), nan)
        self.rows.append(row | {"learning_rate": self.rate})
        self.sums.clear()
        self.steps = 0
        if self.writer is None:  # another process writes the same
            return
        try:
            self._write_rows()
            self._add_points(self.rows[-1])
        except OSError as error:
            raise self._stopped(error) from error

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Closes the file of the curves."""
        self._close()

    def on_exception(self, trainer: L.Trainer, *args: Any) -> None:
        """Closes it as well."""
        self._close()

    def _read(self) -> None:
        """Adds what is unread in float64, a step at a time: the same sums whenever it is read."""
        if self.unread:
            read = torch.stack([torch.stack(list(terms.values())) for terms in self.unread])
            for values in read.tolist():
                for name, value in zip(self.unread[0], values, strict=True):
                    self.sums[name] += value
        self.steps += len(self.unread)
        self.unread.clear()

    def _close(self) -> None:
        if self.writer is not None:
            with suppress(OSError):  # told already
                self.writer.close()

    def _add_points(self, row: dict[str, float]) -> None:
        assert self.writer is not None
        for name, value in row.items():
            if name not in ("epoch", "step") and not isnan(value):
                self.writer.add_scalar(name, value, int(row["epoch"]))
        self.writer.flush()

    def _write_rows(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.rows:
            self.path.unlink(missing_ok=True)
            return
        with written_aside(self.path) as file:
            pd.DataFrame(self.rows).to_csv(file, index=False)

    def _stopped(self, error: OSError) -> RunError:
        return RunError(
            f"{self.path.parent.parent}: its log cannot be written ({error.strerror}): mend that "
            "and run the same command again, which goes on from the last checkpoint"
        )
