"""The best epoch, chosen by the ranking of identities that are held out of training."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from stgcn_pyg.data import TrackletDataModule, TrackletDataset
from stgcn_pyg.distributed import ProcessGroup
from stgcn_pyg.errors import RunError, UserError
from stgcn_pyg.files import errors_of_writing
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.checkpoint import KEY, read_checkpoint, weights_of, write_checkpoint
from stgcn_pyg.runs.embedding import embed_tracklets
from stgcn_pyg.runs.scoring import score_features, task_of_tracklets

PROTOCOL = "full-gallery"


def hold_out(
    dataset: TrackletDataset, share: float, seed: int
) -> tuple[TrackletDataset, pd.DataFrame]:
    """Takes identities out of the training tracklets of a data set.

    Only identities that were seen by two cameras or more are taken, since others cannot be found
    in another camera.

    Args:
        dataset: The data set, which is not changed.
        share: Share of the training identities to take, in (0, 1); at least two are taken.
        seed: Seed of the choice.

    Returns:
        The data set without the training tracklets of these identities, and these tracklets.

    Raises:
        UserError: The share is beyond 0 to 1, fewer than two identities were seen by two cameras,
            or none are left to train on.
    """
    table = dataset.train
    cameras = table[table["pid"] >= 0].groupby("pid")["camid"].nunique()
    identities = cameras.index[cameras > 1].to_numpy()
    count = number_held_out(table["pid"].nunique(), share)
    if len(identities) < count or table["pid"].nunique() == count:
        raise UserError(
            f"--validation-share {share}: {count} identities cannot be held out, for "
            f"{table['pid'].nunique()} are there to train on and {len(identities)} of them were "
            "seen by two cameras: lower it"
        )
    chosen = np.random.default_rng([seed, len(identities)]).choice(identities, count, replace=False)
    held_out = table["pid"].isin(chosen)
    return replace(dataset, train=table[~held_out]), table[held_out]


def number_held_out(num_identities: int, share: float) -> int:
    """How many of so many training identities are held out; raises a UserError as above."""
    if not 0 < share < 1:
        raise UserError(
            f"--validation-share {share}: pass a share from 0 up to, but not including, 1"
        )
    return max(2, round(share * num_identities))


class Validation:
    """Scores the held-out identities after an epoch, and keeps the weights of the best epoch.

    Every held-out tracklet is searched for among all of them; what counts is mAP. Of equal epochs
    the first is the best.

    Args:
        data: Data module whose settings embed the tracklets.
        tracklets: The tracklets that :func:`hold_out` took.
        every: Number of epochs between two scores; the last epoch is always scored.
        path: Checkpoint of the best epoch: weights, without the state of the training.
        group: The processes that train and share the tracklets.

    Attributes:
        scores: The mAP by number of the epoch, from 1.
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
        title = f"the identities held out of {data.dataset.name}"
        self.task = task_of_tracklets(title, (PROTOCOL,), table)
        self.data = data
        self.tracklets = tracklets
        self.every = every
        self.path = path
        self.group = group
        self.scores: dict[int, float] = {}

    @property
    def best_epoch(self) -> int:
        """The epoch with the highest mAP."""
        return max(self.scores, key=lambda epoch: (self.scores[epoch], -epoch))

    @property
    def best(self) -> str:
        """The best epoch in words, with its mAP."""
        return f"{self.best_epoch:,}, mAP {100 * self.scores[self.best_epoch]:.1f} among them"

    def is_best(self, epoch: int) -> bool:
        """Whether an epoch has been scored and none is better."""
        return epoch in self.scores and self.best_epoch == epoch

    def score(self, model: STGCN, epoch: int, device: torch.device) -> None:
        """Scores an epoch."""
        features = embed_tracklets(
            model, self.data, self.tracklets, device, "validation", group=self.group
        )
        self.scores[epoch] = score_features(self.task, features, features)[PROTOCOL].mAP

    def keep(self, content: dict[str, Any], epoch: int) -> None:
        """Writes the checkpoint of the best epoch, from the content of that epoch's state."""
        kept = {KEY: content[KEY], "state_dict": content["state_dict"], "epoch": epoch}
        advice = (
            "; that of the best epoch before is kept: mend that and run the same command again, "
            "which goes on"
        )
        with errors_of_writing(self.path, advice, RunError):
            write_checkpoint(self.path, kept | {"score": self.scores[epoch]})

    def restore(self, content: dict[str, Any]) -> None:
        """Takes the scores from the state that a run continues from, if the best weights exist.

        They are in the file of the best epoch, or in the state itself if that epoch is its last.
        Otherwise they are lost: the file may be of steps that a kill has undone, which other steps
        replace. Then the best epoch is chosen anew, with a warning.
        """
        self.scores = dict(content["validation"])
        if self.scores and self.group.is_first and not self._is_kept(self.best_epoch):
            epoch, lost = content["epoch"], self.best_epoch
            whole = not content["batch"]
            self.scores = {e: s for e, s in self.scores.items() if e == epoch and whole}
            if self.scores:
                self.keep(content, epoch)
            if lost not in self.scores:
                warnings.warn(
                    f"{self.path}: does not hold epoch {lost}, the best so far, whose weights are "
                    "lost: the best is chosen among the epochs from "
                    f"{epoch + (not self.scores)} on",
                    stacklevel=2,
                )
        self.scores = self.group.from_first(self.scores)

    def _is_kept(self, epoch: int) -> bool:
        try:
            content = read_checkpoint(self.path)
        except UserError:
            return False
        score = self.scores[epoch]
        return content.get("epoch") == epoch and content.get("score", score) == score

    def take_best(self, model: STGCN) -> None:
        """Gives a model the weights of the best epoch, or raises a UserError if they are lost."""
        content = read_checkpoint(self.path)
        if content.get("epoch") != self.best_epoch:
            raise UserError(
                f"{self.path}: holds epoch {content.get('epoch')}, not {self.best_epoch}, which is "
                "the best: put back a copy, or train in another folder"
            )
        model.load_state_dict(weights_of(self.path, content, model))
