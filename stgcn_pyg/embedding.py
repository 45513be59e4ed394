"""The embeddings of tracklets: that of each clip, averaged; and what they score."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from stgcn_pyg.data import ClipBatch, TrackletDataModule, TrackletDataset
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import (
    Protocol,
    RankingResult,
    chance_for_protocol,
    evaluate_protocol,
    protocol,
    select_gallery,
)
from stgcn_pyg.models import STGCN
from stgcn_pyg.progress import bar_options


def average_clips(
    embed: Callable[[ClipBatch], Tensor], loader: DataLoader, num_tracklets: int, title: str
) -> Tensor:
    """Embeds clips and averages those of each tracklet.

    Args:
        embed: A batch of clips to ``[B, D]``.
        loader: Batches whose labels are rows of tracklets.
        num_tracklets: N.
        title: Of the progress bar.

    Returns:
        ``[N, D]`` of float32, on the CPU.
    """
    total: Tensor | None = None
    counts = torch.zeros(num_tracklets)
    for batch in tqdm(loader, desc=title, **bar_options()):
        embeddings = embed(batch).float().cpu()
        if total is None:
            total = torch.zeros(num_tracklets, embeddings.size(1))
        total.index_add_(0, batch.labels.cpu(), embeddings)
        counts += torch.bincount(batch.labels.cpu(), minlength=num_tracklets)
    if total is None:
        raise ValueError("there are no clips to embed")
    return total / counts[:, None]


def embed_tracklets(
    model: STGCN,
    data: TrackletDataModule,
    tracklets: pd.DataFrame,
    device: torch.device | str = "cpu",
    title: str = "embedding",
) -> Tensor:
    """The embedding of each tracklet of a table, ``[N, D]`` of float32, on the CPU.

    The model is in evaluation mode meanwhile, on ``device`` afterwards too.
    """
    was_training = model.training
    model.to(device).eval()

    def embed(batch: ClipBatch) -> Tensor:
        batch = data.on_after_batch_transfer(batch._replace(clips=batch.clips.to(device)))
        return model(batch.clips).embedding

    with torch.inference_mode():
        embeddings = average_clips(embed, data.clip_dataloader(tracklets), len(tracklets), title)
    model.train(was_training)
    return embeddings


def score(
    dataset: TrackletDataset, tracklets: pd.DataFrame, embeddings: Tensor
) -> dict[str, RankingResult]:
    """CMC and mAP of test tracklets' embeddings under every protocol that the data set allows.

    Args:
        dataset: Whose query and gallery are ranked.
        tracklets: Its test tracklets, N rows.
        embeddings: ``[N, D]``, a row a tracklet.

    Returns:
        A result by the name of each protocol, the data set's usual one first.

    Raises:
        UserError: No query has a match, or an embedding is not finite.
    """
    query = embeddings[tracklets.index.get_indexer(dataset.query.index)]
    gallery = embeddings[tracklets.index.get_indexer(dataset.gallery.index)]
    return _by_protocol(
        dataset, lambda rule, labels: evaluate_protocol(rule, query, gallery, **labels)
    )


def chance_scores(dataset: TrackletDataset) -> dict[str, RankingResult]:
    """What a random ranking scores under every protocol that the data set allows.

    Raises:
        UserError: No query has a match.
    """
    return _by_protocol(dataset, lambda rule, labels: chance_for_protocol(rule, **labels))


def _by_protocol(
    dataset: TrackletDataset, evaluate: Callable[[Protocol, dict[str, Any]], RankingResult]
) -> dict[str, RankingResult]:
    labels = {
        "query_pids": dataset.query["pid"].to_numpy(),
        "gallery_pids": dataset.gallery["pid"].to_numpy(),
        "query_camids": dataset.query["camid"].to_numpy(),
        "gallery_camids": dataset.gallery["camid"].to_numpy(),
        "gallery_is_query": dataset.gallery_is_query(),
    }
    rules = [protocol(name) for name in dataset.protocols]
    rules = [rule for rule in rules if _has_matches(dataset, rule)]
    if not rules:
        raise UserError(f"{dataset.name} at {dataset.root}: no query has a match in another camera")
    try:
        return {rule.name: evaluate(rule, labels) for rule in rules}
    except ValueError as error:
        raise UserError(f"{dataset.name} at {dataset.root}: {error}") from error


def _has_matches(dataset: TrackletDataset, rule: Protocol) -> bool:
    """Whether any query has a match, as none has in `query-free` if all tracklets are queries."""
    kept = select_gallery(rule, dataset.gallery["pid"].to_numpy(), dataset.gallery_is_query())
    pairs = dataset.query.merge(dataset.gallery[kept], on="pid")
    return bool((pairs["camid_x"] != pairs["camid_y"]).any())
