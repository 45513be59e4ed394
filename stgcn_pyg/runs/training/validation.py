"""The best epoch, chosen on people who are held out of training."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd

from stgcn_pyg.data import TrackletDataModule, TrackletDataset
from stgcn_pyg.distributed import ProcessGroup
from stgcn_pyg.errors import RunError, UserError
from stgcn_pyg.runs.checkpoint import KEY, PREFIX, weights_of
from stgcn_pyg.runs.checkpoint_files import read_checkpoint, write_checkpoint
from stgcn_pyg.runs.embedding import embed_tracklets
from stgcn_pyg.runs.scoring import score_features, task_of_tracklets
from stgcn_pyg.runs.training.module import STGCNTraining
from stgcn_pyg.runs.training.resumed_sampler import position

PROTOCOL = "full-gallery"


def hold_out(
    dataset: TrackletDataset, share: float, seed: int
) -> tuple[TrackletDataset, pd.DataFrame]:
    """Takes people out of a data set's training tracklets.

    Args:
        dataset: Theirs; query and gallery stay as they are.
        share: Of the training people, in (0, 1); at least two are taken.
        seed: Of the choice. A person who was seen by one camera can be found in no other, so only
            the others are taken.

    Returns:
        The data set without their training tracklets, and these tracklets.

    Raises:
        UserError: The share is beyond 0 to 1, fewer than two people were seen by two cameras, or
            none are left to train on.
    """
    if not 0 < share < 1:
        raise UserError(f"--validation_share {share}: pass one from 0 to below 1")
    table = dataset.train
    cameras = table[table["pid"] >= 0].groupby("pid")["camid"].nunique()
    people = cameras.index[cameras > 1].to_numpy()
    count = max(2, round(share * table["pid"].nunique()))
    if len(people) < count or table["pid"].nunique() == count:
        raise UserError(
            f"--validation_share {share}: {count} people cannot be held out, for "
            f"{table['pid'].nunique()} are there to train on and {len(people)} of them were seen "
            "by two cameras: lower it"
        )
    chosen = np.random.default_rng([seed, len(people)]).choice(people, count, replace=False)
    held_out = table["pid"].isin(chosen)
    return replace(dataset, train=table[~held_out]), table[held_out]


class Validation(L.Callback):
    """Scores the held-out people after an epoch and says which epoch is the best.

    Every held-out tracklet is searched for among all of them; what counts is mAP. Of equal epochs
    the first is the best.

    Args:
        data: Whose settings embed the tracklets.
        tracklets: Those that :func:`hold_out` took.
        every: Epochs between two scores; the last epoch is always scored.
        path: The checkpoint of the best epoch: weights, without the state of the training.
        group: The processes that train; they share the tracklets.

    Attributes:
        scores: The mAP by epoch, from 1.
    """

    def __init__(
        self,
        data: TrackletDataModule,
        tracklets: pd.DataFrame,
        every: int,
        path: Path,
        group: ProcessGroup,
    ):
        table = tracklets.assign(is_query=True, is_gallery=True)
        title = f"the people held out of {data.dataset.name}"
        self.task = task_of_tracklets(title, (PROTOCOL,), table)
        self.data = data
        self.tracklets = tracklets
        self.every = every
        self.path = path
        self.group = group
        self.scores: dict[int, float] = {}

    def is_best(self, epoch: int) -> bool:
        """Whether an epoch has been scored and none is better."""
        return epoch in self.scores and self.best_epoch == epoch

    @property
    def best_epoch(self) -> int:
        """The one with the highest mAP."""
        return max(self.scores, key=lambda epoch: (self.scores[epoch], -epoch))

    @property
    def best(self) -> str:
        """The same in words, with its mAP."""
        return f"{self.best_epoch:,}, mAP {100 * self.scores[self.best_epoch]:.1f} among them"

    def state_dict(self) -> dict[str, Any]:
        """Plain values, for the checkpoint."""
        return {"scores": self.scores}

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Takes the scores back whose best epoch's weights are there.

        Those are in the file of the best epoch, or in the checkpoint itself if that epoch is its
        last. Elsewhere they are lost, as where an older version was killed between the two files;
        then a warning says that the best is chosen anew.
        """
        self.scores = dict(checkpoint["callbacks"].get(self.state_key, {}).get("scores", {}))
        if self.scores and self.group.is_first and not self._is_there(self.best_epoch):
            self._replace_best(checkpoint)
        self.scores = self.group.from_first(self.scores)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Scores the epoch, if it is its turn."""
        assert isinstance(pl_module, STGCNTraining)
        epoch = trainer.current_epoch + 1
        if epoch % self.every and epoch != trainer.max_epochs:
            return
        features = embed_tracklets(
            pl_module.model,
            self.data,
            self.tracklets,
            pl_module.device,
            "validation",
            group=self.group,
        )
        self.scores[epoch] = score_features(self.task, features, features)[PROTOCOL].mAP

    def take_best(self, module: STGCNTraining) -> None:
        """Gives the module the weights of the best epoch.

        Raises:
            UserError: Its checkpoint is missing or damaged, or holds another epoch.
        """
        content = read_checkpoint(self.path)
        if content.get("epoch") != self.best_epoch:
            raise UserError(
                f"{self.path}: holds epoch {content.get('epoch')}, not {self.best_epoch}, which is "
                "the best: put back a copy, or train in another folder"
            )
        module.model.load_state_dict(weights_of(self.path, content, module.model))

    def keep(self, module: STGCNTraining, epoch: int) -> None:
        """Writes the file of the best epoch.

        Args:
            module: The module, with the weights of that epoch.
            epoch: The epoch, from 1.

        Raises:
            RunError: The file cannot be written; the one before stays.
        """
        weights = {PREFIX + name: value for name, value in module.model.state_dict().items()}
        self._write(module.describe(self.data.pids.tolist()), weights, epoch)

    def _is_there(self, epoch: int) -> bool:
        """Whether the file of the best epoch holds that one."""
        try:
            content = read_checkpoint(self.path)
        except UserError:
            return False
        score = self.scores[epoch]
        return content.get("epoch") == epoch and content.get("score", score) == score

    def _replace_best(self, checkpoint: dict[str, Any]) -> None:
        """Chooses anew, beginning with the epoch that a checkpoint of the training ends with."""
        epoch, batches = position(checkpoint)
        lost = self.best_epoch
        self.scores = {e: score for e, score in self.scores.items() if e == epoch and not batches}
        if self.scores:
            self._write(checkpoint[KEY], checkpoint["state_dict"], epoch)
        if lost not in self.scores:
            warnings.warn(
                f"{self.path}: does not hold epoch {lost}, the best so far, whose weights are "
                f"lost: the best is chosen among the epochs from {epoch + (not self.scores)} on",
                stacklevel=2,
            )

    def _write(self, description: dict[str, Any], weights: Mapping[str, Any], epoch: int) -> None:
        content = {KEY: description, "state_dict": weights, "epoch": epoch}
        try:
            write_checkpoint(self.path, content | {"score": self.scores[epoch]})
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be written ({error.strerror}); that of the best epoch before "
                "stays: mend that and run the same command again, which goes on"
            ) from error
