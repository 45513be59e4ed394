"""A run's model and the data set that it is to embed."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jsonargparse import Namespace
from torch import Tensor
from tqdm import tqdm

from stgcn_pyg import __version__
from stgcn_pyg.cli.arguments import device_for
from stgcn_pyg.cli.frames import needs_pictures, skipped_within, tell_skipped
from stgcn_pyg.data import TrackletDataModule, load_dataset
from stgcn_pyg.distributed import ALONE, ProcessGroup
from stgcn_pyg.errors import BadPictureError, UserError
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.checkpoint import load_with_digest
from stgcn_pyg.runs.embedding import embed_tracklets, label_tracklets, ranking_task
from stgcn_pyg.runs.scoring import RankingTask
from stgcn_pyg.runs.training.tf32 import tf32_allowed


class TrainedModel:
    """A checkpoint's model beside the data set of its run, or another.

    Args:
        run: A run's folder, or a checkpoint.
        options: Those of ``add_model_arguments``.
        group: The processes that share the work.

    Attributes:
        model: The model.
        data: The data set and its clips.
        config: The run's configuration, with the data set that is taken.
        device: Where to embed.
        checkpoint_sha256: Of the checkpoint's bytes as they were loaded.

    Raises:
        UserError: There is no such checkpoint or data set.
    """

    method = "trained"

    def __init__(self, run: Path, options: Namespace, group: ProcessGroup = ALONE):
        self.run = run
        self.group = group
        self.passed_over: set[str] = set()
        self.device = device_for(options.accelerator, group)
        self.model, config, self.checkpoint_sha256 = load_with_digest(run)
        given = {k: v for k in ("dataset", "root", "split") if (v := options[k]) is not None}
        self.config = config | given
        if "dataset" not in self.config or "root" not in self.config:
            raise UserError(f"{run}: does not name its data set; pass --dataset and --root")
        self.data = _build_data(run, self.config, options, self.model.num_frames)

    @property
    def about(self) -> dict[str, Any]:
        """What its features are of, by the names of :mod:`stgcn_pyg.runs.about`."""
        return about_model(
            self.run,
            self.checkpoint_sha256,
            self.model,
            self.data,
            self.config.get("split", 0),
            len(self.passed_over),
        )

    @property
    def task(self) -> RankingTask:
        """The data set's query and gallery.

        Raises:
            UserError: No query has a match.
        """
        return ranking_task(self.data.dataset)

    def features(self) -> tuple[Tensor, Tensor]:
        """Embeds query and gallery, and tells of pictures that were passed over."""
        tracklets = label_tracklets(self.data.dataset)
        with skipped_within(self.data) as skipped:
            embeddings = self.embed(tracklets)
        self.passed_over = set().union(*self.group.gather(skipped))
        tell_skipped(self.data, self.group)
        query, gallery = (np.flatnonzero(tracklets[part]) for part in ("is_query", "is_gallery"))
        return embeddings[query], embeddings[gallery]

    def embed(self, tracklets: pd.DataFrame, bar: tqdm | None = None) -> Tensor:
        """Embeddings of tracklets, ``[N, D]``, the same on every process.

        Args:
            tracklets: N rows of the data set's.
            bar: One that counts tracklets, to move on.
        """
        with self.arithmetic():
            return embed_tracklets(
                self.model, self.data, tracklets, self.device, bar=bar, group=self.group
            )

    def arithmetic(self) -> AbstractContextManager[None]:
        """TensorFloat-32 as the run was trained with it; allowed, if that is not known."""
        return tf32_allowed(self.config.get("tf32", True))

    def still_bad(self, tracklets: pd.DataFrame, faults: Sequence[str]) -> bool:
        """Whether pictures that were passed over would be passed over again.

        Args:
            tracklets: Rows of the data set's, among whose frames the pictures are.
            faults: What was wrong with each of them.
        """
        reader, frames = self.data.reader, self.data.dataset.frames
        if reader.on_bad_frame == "stop":
            return False
        told, found = "\n".join(faults), set()
        for tracklet in tracklets[["first_frame", "num_frames"]].itertuples(index=False):
            for row in range(tracklet.first_frame, tracklet.first_frame + tracklet.num_frames):
                if frames.iat[row] in told:
                    try:
                        reader.source.read([row])
                    except BadPictureError as error:
                        found.add(str(error))
        return found >= set(faults)


def about_model(
    run: Path,
    checkpoint_sha256: str,
    model: STGCN,
    data: TrackletDataModule,
    split: int,
    passed_over: int,
) -> dict[str, Any]:
    """What a model's scores are of, by the names of :mod:`stgcn_pyg.runs.about`.

    Args:
        run: The run's folder or checkpoint, as it was named.
        checkpoint_sha256: Of the weights.
        model: It.
        data: Its test set and the clips.
        split: Which halves of people its data set was split in.
        passed_over: For how many bad pictures other frames stand.
    """
    return {
        "version": __version__,
        "run": str(run),
        "checkpoint_sha256": checkpoint_sha256,
        "dataset": data.dataset.name,
        "root": str(data.dataset.root),
        "split": split,
        "test_clips": data.test_clips,
        "num_frames": model.num_frames,
        "embedding": model.embedding_kind,
        "on_bad_frame": data.reader.on_bad_frame,
        "passed_over": passed_over,
    }


def _build_data(
    run: Path, config: dict[str, Any], options: Namespace, num_frames: int
) -> TrackletDataModule:
    verify = needs_pictures(options.pack, options.on_bad_frame)
    if options.root is None and not Path(config["root"]).exists():
        raise UserError(
            f"{config['root']}: no such folder or file, where the data set of {run} was; if it has "
            "moved, pass --root and its place"
        )
    dataset = load_dataset(config["dataset"], config["root"], config.get("split", 0), verify)
    settings = dict(config.get("data", {}))
    settings |= {
        "num_workers": options.num_workers,
        "pack": options.pack,
        "on_bad_frame": options.on_bad_frame,
        "clips_per_test_batch": options.clips_per_batch,
        "test_clips": options.test_clips or settings.get("test_clips", "all"),
        "people_per_batch": 2,  # of training, which does not happen here
        "min_frames": 1,  # it was asked for the training
    }
    try:
        return TrackletDataModule(dataset, num_frames, **settings)
    except TypeError as error:
        raise UserError(f"{run}: written by another version ({error})") from error
