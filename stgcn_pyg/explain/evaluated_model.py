"""A model with its ranking of a test set: what is explained, drawn and reported."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stgcn_pyg.data import TrackletDataModule, TrackletDataset
from stgcn_pyg.data.sampling import even_frames
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import (
    Protocol,
    RankingResult,
    pairwise_distances,
    protocol,
    select_gallery,
)
from stgcn_pyg.evaluation.candidates import JUNK
from stgcn_pyg.explain.activation_maps import towards_tracklets
from stgcn_pyg.explain.ranked_lists import NO_IDENTITIES, kinds, nearest_list, ranked_list
from stgcn_pyg.explain.tracklets import ExplainedTracklets, explain_tracklets
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.embedding import embed_tracklets
from stgcn_pyg.runs.scoring import RankingTask, score_features
from stgcn_pyg.runs.trained_model import TrainedModel


@dataclass(frozen=True, eq=False)
class EvaluatedModel:
    """A model, the data set that it is tested on, and its embeddings of query and gallery.

    Attributes:
        model: The network.
        data: The data set and its clips.
        task: Labels of query and gallery.
        protocol: The one of the task's protocols by which lists are ranked.
        query_features: Embeddings of the queries in the task's order, ``[Q, D]``.
        gallery_features: Embeddings of the gallery, ``[G, D]``.
        device: Where the model runs.
    """

    model: STGCN
    data: TrackletDataModule
    task: RankingTask
    protocol: Protocol
    query_features: Tensor
    gallery_features: Tensor
    device: torch.device | str = "cpu"

    @classmethod
    def of(cls, trained: TrainedModel, name: str | None = None) -> "EvaluatedModel":
        """A trained model with its ranking of its test set.

        Args:
            trained: The model of a run.
            name: Name of a protocol; the data set's usual one if not given.

        Raises:
            UserError: The data set does not allow the protocol, or an image is missing or damaged.
        """
        if not trained.data.dataset.labelled:
            if name is not None:
                trained.data.dataset.require_labels()
            task = _task_without_labels(trained.data.dataset)
            return cls(
                trained.model,
                trained.data,
                task,
                NO_IDENTITIES,
                *trained.features(),
                trained.device,
            )
        task = trained.task
        if name is not None and name not in task.protocols:
            allowed = ", ".join(task.protocols)
            raise UserError(f"--protocol {name}: {task.title} allows {allowed} alone")
        rule, features = protocol(name or task.protocols[0]), trained.features()
        return cls(trained.model, trained.data, task, rule, *features, trained.device)

    @cached_property
    def tracklets(self) -> pd.DataFrame:
        """The tracklets of query and gallery; the index is their number."""
        return self.data.dataset.test()

    @property
    def queries(self) -> pd.DataFrame:
        """The Q queries in the task's order."""
        return self.tracklets[self.tracklets["is_query"]]

    @property
    def gallery(self) -> pd.DataFrame:
        """The G tracklets of the gallery in the task's order."""
        return self.tracklets[self.tracklets["is_gallery"]]

    @cached_property
    def result(self) -> RankingResult:
        """The scores under the protocol; a UserError if no identity is known."""
        self.data.dataset.require_labels()
        task = replace(self.task, protocols=(self.protocol.name,))
        return score_features(task, self.query_features, self.gallery_features)[self.protocol.name]

    def ranked(self, query: int, top: int) -> pd.DataFrame:
        """The ranked list of a query, given by its row, as :func:`.ranked_list` gives it."""
        distances = pairwise_distances(self.query_features[[query]], self.gallery_features)[0]
        if self.protocol is NO_IDENTITIES:
            return nearest_list(distances.cpu().numpy(), query, top)
        labels = *self._labels(query), self.task.gallery_is_query
        return ranked_list(self.protocol, distances.cpu().numpy(), *labels, top)

    def nearest_match(self, query: int) -> int:
        """The gallery row of the nearest match of a query, given by its row.

        Where no identity is known, it is the nearest tracklet of another camera, or the nearest
        other one where there is a single camera.
        """
        if self.protocol is NO_IDENTITIES:
            listed = self.ranked(query, len(self.gallery))["item"].to_numpy()
            away = self.task.gallery_camids[listed] != self.task.query_camids[query]
            if not len(listed):
                raise UserError(f"{self.task.title}: has one tracklet alone: there is none near it")
            return int(listed[int(np.argmax(away))])
        listed = select_gallery(self.protocol, self.task.gallery_pids, self.task.gallery_is_query)
        right = np.flatnonzero(listed & (kinds(self.protocol, *self._labels(query)) == 0))
        # Distances to the matches alone: a gallery may hold thousands of tracklets.
        own, matches = self.query_features[[query]], self.gallery_features[right]
        return int(right[int(pairwise_distances(own, matches)[0].argmin())])

    def explain(
        self, rows: Sequence[int], model: STGCN | None = None, title: str = "explaining"
    ) -> ExplainedTracklets:
        """Maps, graphs and patch distances of queries' first clips, towards their nearest matches.

        Args:
            rows: Rows of queries that have a match.
            model: Another network to explain on the same clips and matches.
            title: Label of the progress bar.

        Raises:
            UserError: An image is missing or damaged.
        """
        matches = [self.nearest_match(row) for row in rows]
        towards, network = self.gallery_features[matches], model or self.model
        if model is not None:
            place, some = pd.factorize(np.array(matches))
            others = self.gallery.iloc[some]
            embedded = embed_tracklets(model, self.data, others, self.device, "embedding matches")
            towards = embedded[torch.from_numpy(place)]
        return explain_tracklets(
            network,
            self.data,
            self.queries.iloc[list(rows)],
            lambda places: towards_tracklets(network, towards[places]),
            self.device,
            title,
        )

    def score(self, row: int) -> str:
        """A query's score in words."""
        if self.protocol is NO_IDENTITIES:
            return "nothing is scored"
        precision = self.result.average_precision[row]
        if np.isnan(precision):
            return "no match in another camera"
        first = self.result.first_match_rank[row]
        place = f"first match at rank {first:.0f}" if np.isfinite(first) else "no match in the list"
        return f"AP {100 * precision:.1f} %, {place}"

    def name(self, tracklet: pd.Series, separator: str = ", ") -> str:
        """A tracklet's identity and camera in words.

        Identity 0 is that of MARS's distractors, unless a query has it; -1 is junk.
        """
        if self.protocol is NO_IDENTITIES:
            return f"camera {int(tracklet['camid'])}"
        pid = int(tracklet["pid"])
        distracts = pid == 0 and not (self.task.query_pids == 0).any()
        who = "junk" if pid == JUNK else "a distractor" if distracts else f"identity {pid}"
        return f"{who}{separator}camera {int(tracklet['camid'])}"

    def images(self, tracklet: pd.Series, count: int) -> np.ndarray:
        """Some frames of a tracklet, evenly spaced: ``[count, H, W, 3]`` of uint8."""
        return self.read(tracklet, even_frames(int(tracklet["num_frames"]), count))

    def clip(self, row: int, frames: np.ndarray) -> np.ndarray:
        """The frames of a query's clip, given as rows of :attr:`.ExplainedTracklets.frames`."""
        query = self.queries.iloc[row]
        return self.read(query, frames - int(query["first_frame"]))

    def read(self, tracklet: pd.Series, frames: Sequence[int] | np.ndarray) -> np.ndarray:
        """Frames of a tracklet in the size that the network takes, ``[f, H, W, 3]`` of uint8."""
        images, skipped = self.data.reader.read(tracklet, frames)
        self.data.skipped.update(skipped)
        return images.numpy()

    def _labels(self, query: int) -> tuple[int, int, np.ndarray, np.ndarray]:
        task = self.task
        pid, camid = int(task.query_pids[query]), int(task.query_camids[query])
        return pid, camid, task.gallery_pids, task.gallery_camids


def _task_without_labels(dataset: TrackletDataset) -> RankingTask:
    """All tracklets of a data set without identities, as queries and as gallery."""
    tracklets = dataset.test()
    pids, camids = (tracklets[name].to_numpy(copy=True) for name in ("pid", "camid"))
    return RankingTask(
        f"{dataset.name} at {dataset.root}",
        (),
        query_pids=pids,
        gallery_pids=pids,
        query_camids=camids,
        gallery_camids=camids,
        gallery_is_query=np.ones(len(pids), dtype=bool),
        query_tracklets=tracklets.index.to_numpy(),
    )
