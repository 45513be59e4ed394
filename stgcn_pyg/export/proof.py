"""Whether an exported file computes what the network does, on real clips and in its ranking."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stgcn_pyg.data.reading import reading
from stgcn_pyg.data.transforms import normalize
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import RankingResult
from stgcn_pyg.evaluation.bootstrap import EQUAL, scores_by_statistic
from stgcn_pyg.evaluation.compare import compare
from stgcn_pyg.evaluation.result import REPORTED_RANKS
from stgcn_pyg.export.exported import Exported
from stgcn_pyg.export.network import branches_with_graphs
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.embedding import average_clips
from stgcn_pyg.runs.scoring import score_features
from stgcn_pyg.runs.trained_model import TrainedModel

BATCHES = (1, 3)  # numbers of clips
CALIBRATION_CLIPS = 64


@dataclass(frozen=True)
class Agreement:
    """How near an output comes to the network's own.

    Attributes:
        difference: Largest difference of two numbers, over the length of the network's output for
            the clip (the root of the sum of its squares).
        cosine: Smallest cosine of the outputs of a clip.
    """

    difference: float
    cosine: float


def agreement(found: np.ndarray, expected: np.ndarray) -> Agreement:
    """That of two outputs of N clips, ``[N, ...]``.

    Example:
        >>> agreement(np.array([[3.0, 4.5]]), np.array([[3.0, 4.0]])).difference
        0.1
    """
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (found, expected))
    lengths = np.linalg.norm(b, axis=1)
    cosines = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * lengths)
    difference = np.abs(a - b).max(axis=1) / lengths
    return Agreement(float(difference.max()), float(cosines.min()))


def compare_batches(
    exported: Exported, trained: TrainedModel
) -> Iterator[tuple[tuple[int, ...], dict[str, Agreement]]]:
    """Runs two batches of clips of a data set through the file and through the network.

    Where the file takes pictures, those of the second batch are given at another size, and the
    network gets what Pillow makes of them.

    Yields:
        The shape of the batch, and the agreement of each output.
    """
    clips = _some_clips(trained, "test", max(BATCHES))
    for place, size in enumerate(BATCHES):
        frames = clips[:size]
        given = frames
        if exported.about.input == "pictures" and place:
            height, width = frames.shape[2:4]
            given = _resized(frames, height * 3 // 2, width * 5 // 4)
            frames = _resized(given, height, width)
        found = exported.run(exported.prepare(given))
        with trained.arithmetic():
            expected = _of_network(trained.model, frames)
        yield (
            given.shape,
            {name: agreement(found[name], expected[name]) for name in found},
        )


def compare_rankings(
    exported: Exported, trained: TrainedModel
) -> tuple[Agreement, dict[str, dict[str, Any]]]:
    """Embeds all test tracklets by the network and by the file, and ranks them.

    Returns:
        The agreement of the embeddings, and for each protocol the paired differences, the network
        first, as plain JSON values. Where fewer than two identities have a match, what would be
        resampled is None; there is no protocol where no query is known to have one.
    """
    tracklets, data = trained.data.dataset.test(), trained.data
    before = trained.embed(tracklets)

    def run(batch: Any) -> Tensor:
        frames = batch.clips.permute(0, 1, 3, 4, 2).numpy()
        return torch.from_numpy(exported.run(exported.prepare(frames))["embedding"])

    loader = data.clip_dataloader(tracklets)
    after = average_clips(run, loader, len(tracklets), f"by {exported.runtime}")
    agreed = agreement(after.numpy(), before.numpy())
    try:
        task = trained.task
    except UserError:  # there is nothing to rank
        return agreed, {}
    query, gallery = (np.flatnonzero(tracklets[part]) for part in ("is_query", "is_gallery"))
    first, second = (
        score_features(task, embeddings[query], embeddings[gallery])
        for embeddings in (before, after)
    )
    return agreed, {name: _difference(first[name], second[name], task.query_pids) for name in first}


def _difference(
    first: RankingResult, second: RankingResult, query_pids: np.ndarray
) -> dict[str, Any]:
    """What ``compare`` says, and what it could say of fewer identities than can be resampled."""
    if len(np.unique(query_pids[np.isfinite(first.average_precision)])) > 1:
        return compare(first, second, query_pids).to_dict()
    scores = [scores_by_statistic(result, REPORTED_RANKS) for result in (first, second)]
    statistics: dict[str, dict[str, Any]] = {}
    for name, before in scores[0].items():
        after = scores[1][name]
        means = {"first": before, "second": after, "difference": after - before}
        statistics[name] = {what: float(np.nanmean(values)) for what, values in means.items()}
        statistics[name] |= dict.fromkeys(("low", "high", "standard_error", "p_value"))
        signs = {"better": after - before >= EQUAL, "worse": before - after >= EQUAL}
        signs["equal"] = abs(after - before) < EQUAL
        statistics[name] |= {what: int(found.sum()) for what, found in signs.items()}
    return {"statistics": statistics}


def calibration_clips(trained: TrainedModel) -> list[np.ndarray]:
    """Clips of the training tracklets, each ``[1, T, height, width, 3]`` of uint8.

    Raises:
        UserError: The data set has none.
    """
    if not len(trained.data.dataset.train):
        raise UserError(
            f"{trained.data.dataset.root}: has no training tracklets, by which int8 is calibrated: "
            "pass --dataset and --root of one that has"
        )
    return np.split(clips := _some_clips(trained, "train", CALIBRATION_CLIPS), len(clips))


def _some_clips(trained: TrainedModel, parts: Any, count: int) -> np.ndarray:
    """The first clip of tracklets evenly spread over a part, ``[N, T, height, width, 3]``."""
    data = trained.data
    table = data.dataset.tracklets(parts)
    chosen = np.linspace(0, len(table) - 1, min(count, len(table))).astype(int)
    rows = table.iloc[np.unique(chosen)]
    first = [data.clips_of(int(length))[:1] for length in rows["num_frames"]]
    with reading(data.clip_dataloader(rows, clips=first)) as batches:
        clips = torch.cat([batch.clips for batch in batches])
    return clips.permute(0, 1, 3, 4, 2).contiguous().numpy()


def _resized(clips: np.ndarray, height: int, width: int) -> np.ndarray:
    """Clips at another size, by Pillow."""
    size, how = (width, height), Image.Resampling.BILINEAR
    return np.stack(
        [[np.asarray(Image.fromarray(frame).resize(size, how)) for frame in clip] for clip in clips]
    )


@torch.inference_mode()
def _of_network(model: STGCN, frames: np.ndarray) -> dict[str, np.ndarray]:
    """Every output that can be exported, for clips ``[B, T, height, width, 3]`` of uint8."""
    device = next(model.parameters()).device
    pixels = torch.from_numpy(frames).to(device).permute(0, 1, 4, 2, 3).float() / 255
    clips = normalize(pixels, model.mean, model.std)
    maps = model.backbone(clips.flatten(0, 1))
    output = model.from_feature_maps(maps)
    found = {"embedding": output.embedding} | output.features
    for name, branch in branches_with_graphs(model).items():
        weights = branch.edge_weights(maps, model.num_frames)
        split = weights.unflatten(0, (len(frames), -1)) if name == "spatial" else weights
        found[f"{name}_affinity"] = split
    return {name: tensor.cpu().numpy() for name, tensor in found.items()}
