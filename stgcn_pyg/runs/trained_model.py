"""The model of a run and the data set whose tracklets it embeds."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor
from tqdm import tqdm

from stgcn_pyg import __version__
from stgcn_pyg.data import TrackletDataModule, load_dataset
from stgcn_pyg.data.dataset import frames_of
from stgcn_pyg.distributed import ALONE, ProcessGroup
from stgcn_pyg.errors import BadImageError, UserError
from stgcn_pyg.models import STGCN
from stgcn_pyg.models.inference import require_bfloat16
from stgcn_pyg.runs.checkpoint import load_with_digest
from stgcn_pyg.runs.devices import device_for, tf32_allowed
from stgcn_pyg.runs.embedding import embed_tracklets, ranking_task
from stgcn_pyg.runs.extraction import USUAL
from stgcn_pyg.runs.scoring import RankingTask
from stgcn_pyg.runs.settings import EmbeddingOptions
from stgcn_pyg.runs.settings_files import flatten, nest, renamed
from stgcn_pyg.runs.torch_network import ClipNetwork, TorchNetwork


class MissingDataError(UserError):
    """The data set of a run is no longer where it was."""


class TrainedModel:
    """The model of a checkpoint with the data set of its run, or another data set.

    Args:
        run: Folder of a run, or a checkpoint.
        group: The processes that share the work.
        **options: Values of :class:`.EmbeddingOptions`, by name.

    Attributes:
        model: The model.
        data: The data set and its clips.
        config: The run's configuration, with the data set that is taken.
        trained_on: Name and split of the run's own data set.
        device: Where the model embeds.
        checkpoint_sha256: SHA-256 of the bytes of the checkpoint that were loaded.

    Raises:
        UserError: There is no such checkpoint or data set.
    """

    method = "trained"

    def __init__(self, run: Path, *, group: ProcessGroup = ALONE, **options: Any):
        chosen = EmbeddingOptions(**options)
        self.run = run
        self.group = group
        self.passed_over: set[str] = set()
        self.device = _device_of(chosen, group)
        self.precision = chosen.precision
        self._runtime = USUAL | {"backend": chosen.backend, "precision": chosen.precision}
        self.model, stored, self.checkpoint_sha256 = load_with_digest(run)
        self.config = nest(renamed(flatten(stored)))
        self.trained_on = {name: self.config.get(name) for name in ("dataset", "split")}
        for name in ("dataset", "root", "split"):
            if options.get(name) is not None:
                self.config[name] = options[name]
        if "dataset" not in self.config or "root" not in self.config:
            raise UserError(f"{run}: does not name its data set; pass --dataset and --root")
        root = Path(self.config["root"])
        if chosen.root is None and not root.exists():
            raise MissingDataError(
                f"{root}: no such folder or file, where the data set of {run} was; if it has "
                "moved, pass --root and its place"
            )
        verify = chosen.pack is None and chosen.on_bad_frame == "stop"
        dataset = load_dataset(self.config["dataset"], root, self.config.get("split", 0), verify)
        settings = self.config.get("data", {}) | {
            "num_workers": chosen.num_workers,
            "pack": chosen.pack,
            "on_bad_frame": chosen.on_bad_frame,
            "clips_per_test_batch": chosen.clips_per_batch,
            "min_frames": 1,  # the run's own minimum is of its training tracklets
        }
        if chosen.test_clips is not None:
            settings["test_clips"] = chosen.test_clips
        try:
            self.data = TrackletDataModule(dataset, self.model.num_frames, **settings)
        except TypeError as error:
            raise UserError(f"{run}: written by another version ({error})") from error

    @property
    def about(self) -> dict[str, Any]:
        """What its features are of, by the names of :mod:`stgcn_pyg.runs.about`."""
        digest, split = self.checkpoint_sha256, self.config.get("split", 0)
        about = about_model(self.run, digest, self.model, self.data, split, len(self.passed_over))
        return about | ({} if self._runtime == USUAL else self._runtime)

    @cached_property
    def network(self) -> ClipNetwork:
        """What embeds clips; another one may take its place, and then says what it is."""
        size = self.data.height, self.data.width
        return TorchNetwork(self.model, size, self.device, self.precision)

    def run_by(self, network: ClipNetwork, **runtime: Any) -> None:
        """Lets another network embed; ``runtime`` says of it what ``USUAL`` names."""
        self.network = network
        self._runtime |= runtime

    @property
    def task(self) -> RankingTask:
        """The query and gallery of the data set; raises a UserError if no query has a match."""
        return ranking_task(self.data.dataset)

    def held_out(self) -> pd.DataFrame:
        """The tracklets of the identities that the training held out, as ``tracklets()`` has them.

        Raises:
            UserError: It held out none, or the data set is not the one of the training.
        """
        share = self.config.get("validation_share", 0)
        if not share:
            raise UserError(
                f"{self.run}: its training held out no identity: train with --validation-share"
            )
        from stgcn_pyg.runs.training.validation import hold_out  # with all that trains

        dataset = self.data.dataset
        if any(self.config.get(name) != self.trained_on.get(name) for name in ("dataset", "split")):
            raise UserError(
                f"{self.run}: held identities out of {self.trained_on.get('dataset')}, split "
                f"{self.trained_on.get('split')}: leave --dataset and --split out"
            )
        _, table = hold_out(dataset, share, self.config["seed"])
        tracklets = dataset.tracklets("train")
        return tracklets[tracklets.index.isin(table.index)]

    def features(self) -> tuple[Tensor, Tensor]:
        """Embeds query and gallery, and prints which bad images were skipped."""
        tracklets = self.data.dataset.test()
        with skipped_within(self.data, self.group) as self.passed_over:
            embeddings = self.embed(tracklets)
        tell_skipped(self.data, self.group)
        query, gallery = (np.flatnonzero(tracklets[part]) for part in ("is_query", "is_gallery"))
        return embeddings[query], embeddings[gallery]

    def embed(self, tracklets: pd.DataFrame, bar: tqdm | None = None) -> Tensor:
        """Embeddings ``[N, D]`` of N rows of the data set's tables, equal on every process.

        An existing progress bar of tracklets is advanced instead of opening a new one.
        """
        model, data, device = self.model, self.data, self.device
        with self.arithmetic():
            return embed_tracklets(
                model, data, tracklets, device, bar=bar, group=self.group, network=self.network
            )

    def arithmetic(self) -> AbstractContextManager[None]:
        """TensorFloat-32 as the run was trained with it; allowed, if that is not known."""
        return tf32_allowed(self.config.get("tf32", True))

    def still_bad(self, tracklets: pd.DataFrame, faults: Sequence[str]) -> bool:
        """Whether some tracklets' images, which had these faults, would be skipped again."""
        reader, frames = self.data.reader, self.data.dataset.frames
        if reader.on_bad_frame == "stop":
            return False
        lines, found = "\n".join(faults), set()
        for row in frames_of(tracklets)[1].tolist():
            if frames.iat[row] in lines:
                try:
                    reader.source.read([row])
                except BadImageError as error:
                    found.add(str(error))
        return found >= set(faults)


def _device_of(chosen: EmbeddingOptions, group: ProcessGroup) -> str:
    """The torch device; raises a UserError where backend, precision and accelerator do not fit."""
    if chosen.backend == "torch":
        if chosen.exported is not None:
            raise UserError(
                "--exported: is run by another library: pass --backend onnxruntime or openvino too"
            )
        device = device_for(chosen.accelerator, group)
        if chosen.precision == "bfloat16" and device == "cpu":
            require_bfloat16()
        return device
    if chosen.accelerator == "gpu":
        raise UserError(f"--backend {chosen.backend}: runs on the CPU: pass --accelerator cpu")
    return "cpu"


def about_model(
    run: Path,
    checkpoint_sha256: str,
    model: STGCN,
    data: TrackletDataModule,
    split: int,
    passed_over: int,
) -> dict[str, Any]:
    """What a model's scores are of, by the names of :mod:`stgcn_pyg.runs.about`.

    ``passed_over`` is the number of bad images that other frames replaced.
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


def tell_skipped(data: TrackletDataModule, group: ProcessGroup = ALONE, show: int = 3) -> None:
    """Prints how many bad images the processes have skipped, and names some of them."""
    faults = sorted(set().union(*group.gather(data.skipped)))
    if faults:
        print(f"bad images, skipped for another frame of their tracklet: {len(faults):,}")
        for fault in faults[:show]:
            print(f"  {fault}")
        if len(faults) > show:
            print("  ... (`stgcn check` names all)")


@contextmanager
def skipped_within(data: TrackletDataModule, group: ProcessGroup = ALONE) -> Iterator[set[str]]:
    """Collects what was wrong with the bad images that the processes skip in a block.

    The set is complete after the block; ``data.skipped`` then holds this process's part too.
    """
    before, data.skipped = data.skipped, set()
    found = data.skipped
    try:
        yield found
    finally:
        data.skipped = before | found
    found.update(*group.gather(found))
