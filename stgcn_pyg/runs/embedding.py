"""The embeddings of tracklets, each the mean over its clips, and what they score."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Protocol, TypeVar

import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from stgcn_pyg.data import TrackletDataModule, TrackletDataset
from stgcn_pyg.data.datamodule import FrameBatch
from stgcn_pyg.data.dataset import Parts
from stgcn_pyg.data.reading import reading
from stgcn_pyg.distributed import ALONE, ProcessGroup
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import RankingResult
from stgcn_pyg.models import STGCN
from stgcn_pyg.progress import bar_options
from stgcn_pyg.runs.scoring import RankingTask, score_chance, score_features, task_of_tracklets
from stgcn_pyg.runs.torch_network import ClipNetwork, TorchNetwork

T = TypeVar("T")


class Labelled(Protocol):
    """A batch of clips."""

    @property
    def labels(self) -> Tensor:
        """The row of each clip's tracklet, ``[B]``."""


Batch = TypeVar("Batch", bound=Labelled)


def average_clips(
    embed: Callable[[Batch], Tensor],
    loader: DataLoader[Batch] | AbstractContextManager[Iterator[Batch]],
    num_tracklets: int,
    title: str,
    bar: tqdm | None = None,
    group: ProcessGroup = ALONE,
) -> Tensor:
    """Embeds clips and averages those of each tracklet.

    Args:
        embed: Maps a batch of clips to embeddings ``[B, D]``.
        loader: A loader of batches whose labels are rows of N tracklets, or what opens them.
        bar: An existing bar that counts tracklets, to advance instead of opening a new one.
        group: The processes that share the batches, in turns; ``loader`` gives this one's.

    Returns:
        ``[N, D]`` of float32, on the CPU; the same on every process, to the last bit.
    """
    total: Tensor | None = None
    counts = torch.zeros(num_tracklets)
    own_bar = (
        tqdm(total=num_tracklets, desc=title, unit="tracklet", **bar_options())
        if bar is None
        else nullcontext(bar)
    )
    opened = reading(loader) if isinstance(loader, DataLoader) else loader
    with own_bar as shown, opened as batches:
        embedded = ((embed(batch).float().cpu(), batch.labels.cpu()) for batch in batches)
        # Added up in the order of one process, which decides the last bits.
        for embeddings, rows in _in_turns(embedded, group):
            if total is None:
                total = torch.zeros(num_tracklets, embeddings.size(1))
            begun = counts.count_nonzero()
            total.index_add_(0, rows, embeddings)
            counts += torch.bincount(rows, minlength=num_tracklets)
            shown.update(int(counts.count_nonzero() - begun))
    if total is None:
        raise ValueError("there are no clips to embed")
    return total / counts[:, None]


def _in_turns(own: Iterator[T], group: ProcessGroup) -> Iterator[T]:
    """What every process has, one of each in turns, until none has any more."""
    while any(gathered := [found for found in group.gather([*islice(own, 1)]) if found]):
        yield from (one for (one,) in gathered)


def embed_tracklets(
    model: STGCN,
    data: TrackletDataModule,
    tracklets: pd.DataFrame,
    device: torch.device | str = "cpu",
    title: str = "embedding",
    bar: tqdm | None = None,
    group: ProcessGroup = ALONE,
    network: ClipNetwork | None = None,
) -> Tensor:
    """The embedding of each tracklet of a table, ``[N, D]`` of float32, on the CPU.

    Title, bar and group are those of :func:`average_clips`. The model is on ``device`` afterwards
    too; ``network`` embeds in its place if it is given.
    """
    run = network or TorchNetwork(model, (data.height, data.width), device)

    def embed(batch: FrameBatch) -> Tensor:
        data.skipped.update(batch.skipped)
        return run(batch.frames, batch.places)

    with torch.inference_mode():
        batches = data.frame_batches(tracklets, group.rank, group.world_size, device)
        return average_clips(embed, batches, len(tracklets), title, bar, group)


def label_tracklets(dataset: TrackletDataset, parts: Parts = "test") -> pd.DataFrame:
    """The former name of :meth:`.TrackletDataset.tracklets`."""
    return dataset.tracklets(parts)


def ranking_task(dataset: TrackletDataset) -> RankingTask:
    """The query and gallery of a data set; raises a UserError if no query has a match."""
    title = f"{dataset.name} at {dataset.root}"
    return task_of_tracklets(title, dataset.protocols, dataset.test())


def score(
    dataset: TrackletDataset, tracklets: pd.DataFrame, embeddings: Tensor
) -> dict[str, RankingResult]:
    """CMC and mAP of test tracklets' embeddings under every protocol that the data set allows.

    Args:
        dataset: The data set whose query and gallery are ranked.
        tracklets: N rows, its test tracklets among them, in any order.
        embeddings: ``[N, D]``, a row a tracklet.

    Returns:
        A result by the name of each protocol, the data set's usual one first.

    Raises:
        UserError: No query has a match, an embedding is not finite, or a test tracklet has no
            embedding or two.
    """
    if embeddings.ndim != 2 or len(embeddings) != len(tracklets):
        raise UserError(
            f"embeddings of the shape {list(embeddings.shape)} do not fit a table of "
            f"{len(tracklets):,} tracklets: give [N, D], one row a tracklet"
        )
    given, test = tracklets.index, dataset.test()
    if given.has_duplicates:
        twice = given[given.duplicated()][0]
        raise UserError(f"tracklet {twice} stands twice in the table: give each tracklet once")
    rows = given.get_indexer(test.index)
    missing = test.index[rows < 0]
    if len(missing):
        raise UserError(
            f"{len(missing):,} of the {len(test):,} test tracklets are missing from the table, "
            f"the first is {missing[0]}: embed every tracklet of query and gallery"
        )
    query, gallery = (embeddings[rows[test[part]]] for part in ("is_query", "is_gallery"))
    return score_features(ranking_task(dataset), query, gallery)


def chance_scores(dataset: TrackletDataset) -> dict[str, RankingResult]:
    """What a random ranking scores under every protocol that the data set allows."""
    return score_chance(ranking_task(dataset))
