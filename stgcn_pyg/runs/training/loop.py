"""The loop over epochs and steps, what it saves, and how it continues from a checkpoint."""

from math import nan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stgcn_pyg.data import TrackletDataModule
from stgcn_pyg.data.reading import reading
from stgcn_pyg.distributed import ProcessGroup
from stgcn_pyg.errors import RunError, UserError
from stgcn_pyg.files import errors_of_writing
from stgcn_pyg.runs import checkpoint
from stgcn_pyg.runs.same_run import require_same_run
from stgcn_pyg.runs.settings import FitOptions
from stgcn_pyg.runs.signals import NotedSignals, SignalledError
from stgcn_pyg.runs.training.data_parallel import data_parallel
from stgcn_pyg.runs.training.finite_checks import FiniteChecks
from stgcn_pyg.runs.training.log import TrainingLog
from stgcn_pyg.runs.training.module import STGCNTraining
from stgcn_pyg.runs.training.validation import Validation


class TrainingLoop:
    """A training in progress: its position, and what it saves and continues from."""

    def __init__(
        self,
        module: STGCNTraining,
        data: TrackletDataModule,
        path: Path,
        device: torch.device,
        group: ProcessGroup,
        signals: NotedSignals,
        validation: Validation | None,
        options: FitOptions,
    ):
        self.module = module.to(device)
        self.data, self.path, self.device, self.options = data, path, device, options
        self.group, self.signals, self.validation = group, signals, validation
        self.optimizer, self.schedule = module.build_optimizer(options.epochs)
        every = options.finite_check_every
        self.checks = FiniteChecks(data.sampler, data.dataset.train, path, every)
        # Whole epochs, batches of the next one, and steps that are done.
        self.epoch = self.batch = self.step = 0
        begun = group.from_first(checkpoint.is_begun(path.parent, validation is not None))
        state = self._restore()["log"] if begun else None
        self.log = TrainingLog(path.parent, writes=group.is_first, every=every, state=state)

    def run(self) -> None:
        """Trains from the position on."""
        epochs = self.options.epochs
        if self.epoch > epochs:
            raise UserError(
                f"{self.path}: has been trained for {self.epoch:,} epochs already, more than "
                f"{epochs:,}: ask for more, or choose another folder"
            )
        if self.epoch == epochs:
            return
        steps = len(self.data.sampler)
        # One loader for all epochs, so that its workers live on and read ahead.
        draws = self.data.sampler.over_epochs(epochs, self.epoch, self.batch)
        loader = self.data.train_dataloader(draws, self.device)
        mixed = self.options.precision == "bf16-mixed"
        autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=mixed)
        synchronised = self.options.sync_batch_norm
        compiles = self.module.compiled_forward.compiles_on(self.device)
        network = self.module.model
        with (
            data_parallel(self.module, self.group, self.device, synchronised, compiles) as parallel,
            self.log.opened(self.step, steps * epochs),
            reading(loader) as batches,
        ):
            for batch in batches:
                batch = self.data.move_and_normalize(batch, self.device, network.mean, network.std)
                with autocast:
                    terms = parallel(batch)
                self._update(terms)
                done = f"step {self.batch} of epoch {self.epoch + 1}"
                is_due = False
                if self.batch == steps:
                    self._end_epoch()
                    done = f"epoch {self.epoch}"
                    is_due = self.epoch % self.options.checkpoint_every == 0 or self.epoch == epochs
                # A signal to any of the processes ends all of them after the same step.
                number = self.group.largest(self.signals.number or 0)
                self._save(is_due or number > 0)
                if number:
                    raise SignalledError(
                        number,
                        f"interrupted; all up to {done} is saved in {self.path}: the same command "
                        "goes on there",
                    )

    def _update(self, terms: dict[str, Tensor]) -> None:
        """Takes a step of the optimiser."""
        self.optimizer.zero_grad()
        terms["loss"].backward()
        self.step, self.batch = self.step + 1, self.batch + 1
        self.checks.check(
            terms["loss"], self.module, self.optimizer, self.step, self.epoch + 1, self.batch
        )
        self.optimizer.step()
        self.checks.read_if_due()
        self.log.add_step(terms)

    def _end_epoch(self) -> None:
        self.checks.require_finite(self.module, self.step)
        self.epoch, self.batch = self.epoch + 1, 0
        others = {}
        if self.validation is not None:
            if self.epoch % self.validation.every == 0 or self.epoch == self.options.epochs:
                self.validation.score(self.module.model, self.epoch, self.device)
            others["validation_mAP"] = self.validation.scores.get(self.epoch, nan)
        rate = self.optimizer.param_groups[0]["lr"]
        self.log.add_epoch(self.epoch, self.step, **others, learning_rate=rate)
        self.schedule.step()

    def _save(self, is_due: bool) -> None:
        """Writes the checkpoint if it is due or the best epoch has just ended."""
        validation = self.validation
        is_best = validation is not None and self.batch == 0 and validation.is_best(self.epoch)
        if not is_due and not is_best:
            return
        self.checks.require_finite(self.module, self.step)
        if self.group.is_first:
            content, keep = self._content(), checkpoint.previous_path(self.path)
            advice = (
                "; the last good checkpoint is kept: mend that and run the same command again, "
                "which goes on from there"
            )
            with errors_of_writing(self.path, advice, RunError):
                checkpoint.write_checkpoint(self.path, content, keep)
            # Only now, so that the best epoch is never ahead of the state to continue from.
            if validation is not None and is_best:
                validation.keep(content, self.epoch)
        self.group.gather("saved")  # no process ends before

    def _content(self) -> dict[str, Any]:
        module, pids = self.module, self.data.pids.tolist()
        return {
            checkpoint.KEY: checkpoint.describe(module.model, module.config, pids, module.run),
            "state_dict": module.state_dict(),
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "log": self.log.state(),
            "validation": {} if self.validation is None else self.validation.scores,
        }

    def _restore(self) -> dict[str, Any]:
        """Takes the state from the checkpoint, and returns the checkpoint's content."""
        # The first process alone at first, since it renames a damaged file.
        content = checkpoint.read_last_good(self.path) if self.group.is_first else None
        self.group.gather("read")
        content = checkpoint.from_lightning(content or checkpoint.read_last_good(self.path))
        module = self.module
        require_same_run(self.path, content, module.model, self.data.pids.tolist(), module.run)
        if "optimizer" not in content:
            raise UserError(
                f"{self.path}: holds weights alone, without the state that a training goes on "
                "from: choose another folder"
            )
        module.load_state_dict(content["state_dict"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.schedule.load_state_dict(content["schedule"])
        self.epoch, self.batch, self.step = (content[n] for n in ("epoch", "batch", "step"))
        if self.validation is not None:
            self.validation.restore(content)
        return content
