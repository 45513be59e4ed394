"""A model and the test set whose ranking is explained."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stgcn_pyg.data import TrackletDataModule
from stgcn_pyg.data.sampling import even_frames
from stgcn_pyg.evaluation import (
    Protocol,
    RankingResult,
    pairwise_distances,
    select_gallery,
)
from stgcn_pyg.explain.ranked_lists import kinds, ranked_list
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.embedding import label_tracklets
from stgcn_pyg.runs.scoring import RankingTask, score_features


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, the data set that it is tested on, and what it makes of query and gallery.

    Attributes:
        model: The model.
        data: The data set and its clips.
        task: Its query and gallery.
        protocol: One of the task's, by which lists are ranked.
        query_features: ``[Q, D]``, in the task's order.
        gallery_features: ``[G, D]``.
        device: Where the model runs.
    """

    model: STGCN
    data: TrackletDataModule
    task: RankingTask
    protocol: Protocol
    query_features: Tensor
    gallery_features: Tensor
    device: torch.device | str = "cpu"

    @cached_property
    def tracklets(self) -> pd.DataFrame:
        """Those of query and gallery, the index is their number."""
        return label_tracklets(self.data.dataset)

    @property
    def queries(self) -> pd.DataFrame:
        """In the task's order, Q rows."""
        return self.tracklets[self.tracklets["is_query"]]

    @property
    def gallery(self) -> pd.DataFrame:
        """In the task's order, G rows."""
        return self.tracklets[self.tracklets["is_gallery"]]

    @cached_property
    def result(self) -> RankingResult:
        """What the features score under the protocol."""
        task = replace(self.task, protocols=(self.protocol.name,))
        return score_features(task, self.query_features, self.gallery_features)[self.protocol.name]

    def ranked(self, query: int, top: int) -> pd.DataFrame:
        """The list of a query, by its row, as :func:`.ranked_list` gives it."""
        distances = pairwise_distances(self.query_features[[query]], self.gallery_features)[0]
        is_query = self.task.gallery_is_query
        return ranked_list(
            self.protocol, distances.cpu().numpy(), *self._labels(query), is_query, top
        )

    def nearest_match(self, query: int) -> int:
        """The row in the gallery of the nearest right one of a query that has one, by its row."""
        listed = select_gallery(self.protocol, self.task.gallery_pids, self.task.gallery_is_query)
        right = np.flatnonzero(listed & (kinds(self.protocol, *self._labels(query)) == "right"))
        # The distances of these alone: a gallery may hold thousands.
        own, matches = self.query_features[[query]], self.gallery_features[right]
        return int(right[int(pairwise_distances(own, matches)[0].argmin())])

    def _labels(self, query: int) -> tuple[int, int, np.ndarray, np.ndarray]:
        task = self.task
        pid, camid = int(task.query_pids[query]), int(task.query_camids[query])
        return pid, camid, task.gallery_pids, task.gallery_camids

    def pictures(self, tracklet: pd.Series, count: int) -> np.ndarray:
        """Some frames of a tracklet, evenly spaced: ``[count, H, W, 3]`` of uint8."""
        return self.read(tracklet, even_frames(int(tracklet["num_frames"]), count))

    def read(self, tracklet: pd.Series, frames: Sequence[int] | np.ndarray) -> np.ndarray:
        """Frames of a tracklet as the network sees them, ``[f, H, W, 3]`` of uint8."""
        pictures, skipped = self.data.reader.read(tracklet, frames)
        self.data.skipped.update(skipped)
        return pictures.numpy()
