"""The log of a run: means of each epoch in a table and in TensorBoard, and the progress bar."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from stgcn_pyg.errors import RunError
from stgcn_pyg.files import errors_of_writing, written_aside
from stgcn_pyg.progress import bar_options


class TrainingLog:
    """Writes ``log/metrics.csv`` and the curves in ``tensorboard/``, a row and a point an epoch.

    A checkpoint holds the rows so far and the sums of an epoch that is not over. When a run is
    continued, the files are written anew from them, so that no epoch appears twice.

    Args:
        output: Folder of the run.
        writes: Whether this process writes the files and shows the bar.
        every: Number of steps whose terms remain on the device, since a GPU waits for a read.
        state: State of an earlier log, as :meth:`state` gives it.
    """

    def __init__(self, output: Path, *, writes: bool, every: int, state: Mapping[str, Any] | None):
        self.path = output / "log" / "metrics.csv"
        self.curves = output / "tensorboard"
        self.writes = writes
        self.every = every
        state = {"rows": [], "sums": {}, "steps": 0} if state is None else state
        self.rows: list[dict[str, float]] = state["rows"]
        self.sums: dict[str, float] = defaultdict(float, state["sums"])
        self.steps: int = state["steps"]
        self.unread: list[Mapping[str, Tensor]] = []
        self.writer: SummaryWriter | None = None
        self.bar: tqdm | None = None

    @contextmanager
    def opened(self, step: int, total: int) -> Iterator[None]:
        """Writes the rows so far, and keeps files and a bar of steps open until the block ends.

        Like :meth:`add_epoch` it raises a RunError if the files cannot be written.
        """
        if not self.writes:
            yield
            return
        with self._errors_in_a_line():
            self._write_rows()
            for written in self.curves.glob("events.out.tfevents.*"):
                written.unlink()
            self.writer = SummaryWriter(str(self.curves))
            for row in self.rows:
                self._add_points(row)
        options = bar_options()
        self.bar = tqdm(desc="training", total=total, initial=step, unit="step", **options)
        try:
            yield
        finally:
            self.bar.close()
            with suppress(OSError):  # what ends the run says so already
                self.writer.close()

    def add_step(self, terms: Mapping[str, Tensor]) -> None:
        """Adds the terms of a step, which stay on the device until ``every`` steps are unread."""
        self.unread.append({name: value.detach() for name, value in terms.items()})
        if len(self.unread) >= self.every:
            self._read()
        if self.bar is not None:
            self.bar.update()

    def add_epoch(self, epoch: int, step: int, **others: float) -> None:
        """Writes the means of an epoch, which counts from 1, and other values of it."""
        self._read()
        means = {name: total / self.steps for name, total in self.sums.items()}
        self.rows.append({"epoch": epoch, "step": step, **means, **others})
        self.sums.clear()
        self.steps = 0
        if self.bar is not None:
            shown = {name: means[name] for name in ("loss", "accuracy")}
            self.bar.set_postfix(epoch=epoch, **shown, refresh=False)
        if self.writer is not None:
            with self._errors_in_a_line():
                self._write_rows()
                self._add_points(self.rows[-1])

    def state(self) -> dict[str, Any]:
        """Plain values for the checkpoint."""
        self._read()
        return {"rows": self.rows, "sums": dict(self.sums), "steps": self.steps}

    def _read(self) -> None:
        """Adds the unread terms in float64, step by step, so that the sums are always the same."""
        if self.unread:
            read = torch.stack([torch.stack(list(terms.values())) for terms in self.unread])
            for values in read.tolist():
                for name, value in zip(self.unread[0], values, strict=True):
                    self.sums[name] += value
        self.steps += len(self.unread)
        self.unread.clear()

    def _add_points(self, row: Mapping[str, float]) -> None:
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

    def _errors_in_a_line(self) -> AbstractContextManager[None]:
        advice = (
            ": mend that and run the same command again, which goes on from the last checkpoint"
        )
        return errors_of_writing(self.path.parent, advice, RunError)
